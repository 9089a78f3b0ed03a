"""The adapters that memlens has and those that the program registered, for the types that exist.

To add a library, write a module in ``libraries`` that defines ``ADAPTERS`` and add it to
``_BUILT_IN``. Our module is imported when the program has imported the library. No lock is needed: a
dict is changed and copied in one step.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

from memlens._options import check_callable, check_text
from memlens.errors import OptionError
from memlens.heap.native.adapter import Adapter, BlocksOf, LibraryAdapters
from memlens.heap.native.blocks import BadBlockError

__all__ = ("active_types", "register_native", "unregister_native")

# The name by which a program imports a library, and our module that defines `ADAPTERS` for it.
_LIBRARIES = "memlens.heap.native.libraries"
_BUILT_IN = {
    "PIL": f"{_LIBRARIES}.pillow",
    "lxml": f"{_LIBRARIES}.lxml",
    "lzma": f"{_LIBRARIES}.lzma",
    "pandas": f"{_LIBRARIES}.pandas",
    "polars": f"{_LIBRARIES}.polars",
    "pyarrow": f"{_LIBRARIES}.pyarrow",
    "shapely": f"{_LIBRARIES}.shapely",
    "torch": f"{_LIBRARIES}.torch",
}
_registered: dict[str, BlocksOf] = {}  # by the full name of the type


class _StandIn:
    """An object of ours in the heap that is asked for a library whose adapter cannot be imported."""


_stand_ins: dict[str, _StandIn] = {}  # by library

# These read the namespace itself: a module that loads lazily, or a metaclass, runs no code.
_namespace_of_module = vars(ModuleType)["__dict__"].__get__
_namespace_of_class = type.__dict__["__dict__"].__get__
_mro_of_class = type.__dict__["__mro__"].__get__
_name_of_class = type.__dict__["__name__"].__get__


def register_native(type_name: str, blocks_of: BlocksOf) -> None:
    """Let captures ask ``blocks_of`` for the native memory of all objects of one type.

    ``type_name`` is the module and the name of the type: ``"vendor.Blob"``. The type need not exist
    yet. Objects of subclasses are not asked for; register the subclasses as well. ``blocks_of`` takes
    an object and returns an iterable of `NativeBlock`. It is called at each capture, in a forked child
    where captures fork, so it must be quick, wait for no lock and start no thread. If it raises often
    or is slow, it is not called for the rest of that capture. A second registration for a type replaces
    the first, and one for a type that memlens knows replaces what memlens does.

    Raises ``OptionError`` if ``type_name`` is no dotted name or ``blocks_of`` cannot be called.
    """
    name = check_text("type_name", type_name)
    if "." not in name or not all(part.isidentifier() for part in name.split(".")):
        raise OptionError(f"type_name must be a module and a type ('vendor.Blob'), got {name!r}")
    check_callable("blocks_of", blocks_of)
    _registered[name] = blocks_of


def unregister_native(type_name: str) -> None:
    """Forget what `register_native` registered for a type.

    Raises ``OptionError`` if nothing is registered for it.
    """
    name = check_text("type_name", type_name)
    if _registered.pop(name, None) is None:
        raise OptionError(f"type_name: nothing is registered for {name!r}")


def active_types() -> list[tuple[type, Adapter]]:
    """Return each type with an adapter that the program has imported, and the adapter.

    Imports no library and runs no code of the program, so that types are never compared or hashed:
    they are told apart by identity. Call it before a fork: our modules are imported. If that fails, the
    capture notes it of the library.
    """
    found: dict[int, tuple[type, Adapter]] = {}
    for library, module_name in _BUILT_IN.items():
        if library in sys.modules:
            for cls, adapter in _types_of_built_in(library, module_name):
                found[id(cls)] = cls, adapter
    for name, blocks_of in _registered.copy().items():
        registered = _find_type(name)
        if registered is not None:
            found[id(registered)] = registered, Adapter(name.split(".")[0], blocks_of)
    return [*found.values()]


def _types_of_built_in(library: str, module_name: str) -> Iterable[tuple[type, Adapter]]:
    """Return the types of a library that memlens knows, or what makes the capture note a failure."""
    try:
        adapters = import_module(module_name).ADAPTERS
    except ImportError as error:
        stand_in = _stand_ins.setdefault(library, type("_StandIn", (_StandIn,), {})())
        return [(type(stand_in), Adapter(library, _refuse(error)))]
    return _types_of(adapters)


def _refuse(error: ImportError) -> BlocksOf:
    text = f"its adapter cannot be imported: {type(error).__name__}"

    def blocks_of(stand_in: object) -> NoReturn:
        raise BadBlockError(text)

    return blocks_of


def _types_of(library: LibraryAdapters) -> Iterator[tuple[type, Adapter]]:
    for name, blocks_of in library.families.items():
        base = _find_type(name)
        if base is not None:
            adapter = Adapter(library.library, blocks_of)
            for value in tuple(_namespace_of(name.rpartition(".")[0]).values()):
                if _is_type(value) and any(one is base for one in _mro_of_class(value)):
                    yield value, adapter
    for name, blocks_of in library.types.items():
        cls = _find_type(name)
        if cls is not None:
            yield cls, Adapter(library.library, blocks_of, library.later.get(name))
    if library.unlisted:
        for cls in type.__subclasses__(object):
            unlisted_blocks_of = library.unlisted.get(_name_of_class(cls))
            if unlisted_blocks_of is not None:
                yield cls, Adapter(library.library, unlisted_blocks_of)


def _find_type(name: str) -> type | None:
    """Return a type by its full name; None if it is not loaded. It may stand within another type."""
    module_name = name.rpartition(".")[0]
    while module_name and module_name not in sys.modules:
        module_name = module_name.rpartition(".")[0]
    namespace: Mapping[str, Any] = _namespace_of(module_name)
    value: Any = None
    for part in name[len(module_name) + 1 :].split("."):
        value = namespace.get(part)
        if not _is_type(value):
            return None
        namespace = _namespace_of_class(value)
    return value  # type: ignore[no-any-return]


def _namespace_of(module_name: str) -> Mapping[str, Any]:
    module = sys.modules.get(module_name)
    if not issubclass(type(module), ModuleType):
        return {}
    return _namespace_of_module(module)  # type: ignore[no-any-return]


def _is_type(value: object) -> bool:
    return issubclass(type(value), type)
