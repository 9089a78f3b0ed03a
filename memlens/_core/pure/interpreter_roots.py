"""Objects that the interpreter itself refers to, as far as they can be queried or recognized."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from memlens._core.pure.access import class_name, function_code, module_namespace
from memlens._core.pure.containers import list_items
from memlens._core.pure.walk import WalkedHeap
from memlens._interpreter import handled_exceptions

__all__ = ("asked_for", "recognised")

_WARNINGS_STATE = ("filters", "_onceregistry", "_defaultaction")
_KNOWN_TYPES = {"_contextvars.Context": "context of a thread", "Context": "context of a thread"}
_MAX_ENTRIES = 4096  # larger dicts are not examined


def asked_for() -> Iterator[tuple[str, Any]]:
    """Yield the objects that public functions return, with a name for each."""
    yield "sys.modules", sys.modules
    collector = _module("gc")
    for name in ("garbage", "callbacks"):
        if name in collector:
            yield f"gc.{name}", collector[name]
    for name, hook in (("sys.settrace", sys.gettrace()), ("sys.setprofile", sys.getprofile())):
        if hook is not None:
            yield name, hook
    for thread, exception in handled_exceptions().items():
        # 3.11 gives (type, value, traceback).
        value = exception[1] if type(exception) is tuple else exception
        if value is not None:
            yield f"exception that thread {thread} handles", value
    signals = _module("_signal")
    get_handler = signals.get("getsignal")
    if type(get_handler) is BuiltinFunctionType:
        for number in range(1, signals["NSIG"]):
            handler = get_handler(number)
            if handler is not None and type(handler) is not int:
                yield f"handler of signal {number}", handler


def recognised(heap: WalkedHeap, excess: dict[int, int]) -> list[tuple[str, int]]:
    """Return the name and node of objects with unexplained references from the interpreter.

    These are the objects to which ``sys``, ``builtins``, ``importlib`` and ``warnings`` keep
    pointers, and tables that are recognized by their contents.
    """
    known = {id(obj): name for name, obj in _kept_pointers()}
    found = []
    for node in excess:
        obj = heap.objects[node]
        name = known.get(id(obj)) or _KNOWN_TYPES.get(class_name(type(obj))) or _by_content(obj)
        if name:
            found.append((name, node))
    return found


def _module(name: str) -> dict[str, Any]:
    module = sys.modules.get(name)
    return module_namespace(module) if type(module) is ModuleType else {}


def _kept_pointers() -> Iterator[tuple[str, Any]]:
    for name in ("sys", "builtins"):
        yield f"{name}.__dict__", _module(name)
    yield "sys.lazy_modules", _module("sys").get("lazy_modules")
    yield "builtins.__import__", _module("builtins").get("__import__")
    yield "importlib", sys.modules.get("_frozen_importlib")
    yield "__main__", sys.modules.get("__main__")
    state = _module("_warnings")
    for name in _WARNINGS_STATE:
        yield f"warnings.{name.lstrip('_')}", state.get(name)


def _by_content(obj: Any) -> str:
    """Return the name of a table of the interpreter that is recognized by its entries, or ""."""
    if type(obj) is list:
        return _list_name(obj)
    if type(obj) is dict and _is_table_of_interned(obj):
        return "interned strings"
    if type(obj) is not dict or not 0 < len(obj) <= _MAX_ENTRIES:
        return ""
    entries = [*obj.items()]
    if all(class_name(type(definition)) == "moduledef" for _, definition in entries):
        return "extension modules"
    if any(type(key) is not str for key, _ in entries):
        return ""
    if all(class_name(type(value)) == "codecs.CodecInfo" for _, value in entries):
        return "codec cache"
    key, value = entries[0]
    if key == "strict" and type(value) is BuiltinFunctionType:
        return "codec error handlers"
    if key.startswith("thread.local.") or key == "Py_Repr":
        return "thread-local storage"
    # The interpreter keeps a copy of the namespace of extension modules with single-phase init.
    module = sys.modules.get(value) if key == "__name__" and type(value) is str else None
    return f"saved copy of {value}" if module is not None and _module(value) is not obj else ""


def _is_table_of_interned(obj: dict[Any, Any]) -> bool:
    """Tell whether every string is its own value: the collector tracks that table from 3.14 on."""
    first = [*islice(obj.items(), 1)]  # at once: another thread may be adding
    if not first or type(first[0][0]) is not str or first[0][0] is not first[0][1]:
        return False
    return all(key is value and type(key) is str for key, value in [*obj.items()])


def _list_name(obj: list[Any]) -> str:
    items, _ = list_items(obj)  # another thread or C code may be filling it
    if len(items) > 1 and items[1] is sys:
        return "modules by index"
    if items and all(map(_is_search_function, items)):
        return "codec search path"
    return "atexit" if items and _are_exit_callbacks(items) else ""


def _are_exit_callbacks(items: list[Any]) -> bool:
    """Tell whether these are the callbacks of atexit: a list from 3.14 on, before that an array in C.

    Each is a tuple of function, arguments, and keywords or None; as many as atexit says it has.
    """
    count = _module("atexit").get("_ncallbacks")
    if type(count) is not BuiltinFunctionType or count() != len(items):
        return False
    return all(
        type(item) is tuple
        and len(item) == 3
        and type(item[1]) is tuple
        and (item[2] is None or type(item[2]) is dict)
        for item in items
    )


def _is_search_function(obj: Any) -> bool:
    code = function_code(obj) if type(obj) is FunctionType else None
    return code is not None and code.co_name == "search_function"
