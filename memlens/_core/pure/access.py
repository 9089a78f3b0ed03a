"""Inspect objects and classes without running code of the program.

Attribute access may call the metaclass of a class or the ``__getattribute__`` of an instance, which
can be Python code. These functions read the same fields through the descriptors of the C types that
define them, and use ``type(obj)``.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from types import BuiltinFunctionType, CodeType, MappingProxyType, ModuleType
from typing import Any

from memlens.errors import CaptureError

__all__ = (
    "FOREIGN_ERRORS",
    "HEAP_TYPE",
    "READY",
    "TRAVERSED",
    "class_flags",
    "class_module",
    "class_mro",
    "class_name",
    "class_namespace",
    "class_qualname",
    "find_in_mro",
    "function_code",
    "has_exact_keys",
    "has_inline_values",
    "is_class",
    "module_namespace",
    "require_ready",
)

# Errors that the C code of a type may raise for an object that is not initialized.
FOREIGN_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError),
    *(NameError, OSError, ReferenceError, RuntimeError, SystemError, TypeError, ValueError),
)
HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
# Py_TPFLAGS_READY. A static type may be in a module before it is ready (``_socket.socket`` up to
# 3.11, until something subclasses it): its fields are still NULL, and ``__bases__`` would crash.
READY = 1 << 12
TRAVERSED = 1 << 14  # Py_TPFLAGS_HAVE_GC
_CLASS_OFFSET = object.__basicsize__ - tuple.__itemsize__  # the class of an object, in its memory
_IS_CLASS = 1 << 31  # Py_TPFLAGS_TYPE_SUBCLASS

_INLINE_VALUES = 1 << 2  # Py_TPFLAGS_INLINE_VALUES
_MANAGED_DICT = 1 << 4  # Py_TPFLAGS_MANAGED_DICT

_fields: Any = type.__dict__
_mro = _fields["__mro__"].__get__
class_flags = _fields["__flags__"].__get__
_qualname = _fields["__qualname__"].__get__
_module = _fields["__module__"].__get__
_proxy = _fields["__dict__"].__get__
_module_namespace = vars(ModuleType)["__dict__"].__get__


def is_class(obj: object) -> bool:
    """Return whether ``obj`` is a class; unlike ``isinstance``, without running its code."""
    return bool(class_flags(type(obj)) & _IS_CLASS)


def require_ready(address: int) -> None:
    """Raise ``CaptureError`` for the class at ``address`` (its ``id``) if it has no class itself.

    Static types that an extension has not passed to ``PyType_Ready`` have none, such as cffi's
    ``thread_canary``: an instance is in the dict of each thread that has called back to Python. Code
    that looks at such a class crashes, and so does a collection while a variable holds it, which is why
    only the address is passed. Checked where the program has imported cffi or ctypes.
    """
    reader = _address_reader()
    if reader is not None and not reader(address + _CLASS_OFFSET).value:
        raise CaptureError(
            "an extension has made an object of a type that is not ready (cffi does, for threads that"
            " call back to Python): pure Python cannot look at it, the C core can"
        )


def _address_reader() -> Any:
    """Return what reads a pointer. None without ctypes, which is imported here only for cffi."""
    if "_cffi_backend" in sys.modules:
        with suppress(ImportError):
            import ctypes  # noqa: F401
    module = sys.modules.get("ctypes")
    return None if module is None else module.c_void_p.from_address


def class_mro(cls: type) -> tuple[type, ...]:
    """Return ``cls.__mro__``; empty while the class is under construction."""
    mro = _mro(cls)
    return mro if type(mro) is tuple else ()


def class_namespace(cls: type) -> dict[Any, Any]:
    """Return the dict behind ``cls.__dict__``, which callers must not change."""
    proxy = _proxy(cls)
    if type(proxy) is MappingProxyType:
        for referent in gc.get_referents(proxy):
            # Up to 3.12, the classes of ctypes have a dict with C fields of its own.
            if type(referent) is dict or class_qualname(type(referent)) == "StgDict":
                return referent  # type: ignore[no-any-return]  # it is a dict
    return {}


def has_inline_values(cls: type) -> bool:
    """Return whether instances of ``cls`` store attributes in an array until a dict is needed.

    3.13 has a flag for it. In 3.11 and 3.12 ``object.__new__`` creates the array for classes with
    a managed dict, so instances that a base written in C creates have none.
    """
    if sys.version_info >= (3, 13):
        return bool(class_flags(cls) & _INLINE_VALUES)
    if not class_flags(cls) & _MANAGED_DICT:
        return False
    for base in class_mro(cls):
        make = class_namespace(base).get("__new__")
        if type(make) is BuiltinFunctionType:
            return base is object
    return False


def module_namespace(module: Any) -> dict[str, Any]:
    """Return the dict behind ``module.__dict__``; empty for a module without one."""
    namespace = _module_namespace(module)
    return namespace if type(namespace) is dict else {}


def function_code(function: Any) -> CodeType | None:
    """Return the code of a function; None if the collector has cleared the function.

    The code is cleared first, and traversal yields it first.
    """
    for referent in gc.get_referents(function)[:1]:
        if type(referent) is CodeType:
            return referent
    return None


def class_qualname(cls: type) -> str:
    """Return ``cls.__qualname__``."""
    name = _qualname(cls)
    return name if type(name) is str else "?"


def class_module(cls: type) -> str:
    """Return ``cls.__module__``, or "" if that is not a string."""
    try:
        module = _module(cls)
    except AttributeError:  # deleted from the class's namespace
        return ""
    return module if type(module) is str else ""


def class_name(cls: type) -> str:
    """Return ``module.qualname`` of a class; for built-in ones ``qualname`` alone: ``dict``."""
    module = class_module(cls)
    if module in ("", "builtins"):
        return class_qualname(cls)
    return f"{module}.{class_qualname(cls)}"


def has_exact_keys(namespace: dict[Any, Any]) -> bool:
    """Return whether all keys are exact strings, so that a lookup cannot call an ``__eq__``."""
    return {*map(id, map(type, [*namespace]))} <= _ONLY_STR


def find_in_mro(cls: type, name: str) -> Any:
    """Return the unbound value of ``name`` in the class or its bases; raise `KeyError` if none."""
    for base in class_mro(cls):
        namespace = class_namespace(base)
        if not has_exact_keys(namespace):
            raise LookupError(f"the namespace of {class_name(base)} has keys that are not strings")
        if name in namespace:
            return namespace[name]
    raise KeyError(name)


_ONLY_STR = frozenset({id(str)})
