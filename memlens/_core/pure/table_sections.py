"""Build the tables of types, roots, frames, containers, names and values."""

from __future__ import annotations

import functools
import gc
import sys
from array import array
from collections import deque
from collections.abc import Callable
from contextvars import Context
from functools import partial
from itertools import pairwise, repeat
from types import CodeType, FunctionType, GetSetDescriptorType, ModuleType
from typing import Any

from memlens._core.layout import NO_BOUND, NONE, VALUE_TEXT_LIMIT
from memlens._core.pure.access import (
    class_flags,
    class_module,
    class_mro,
    class_name,
    class_namespace,
    function_code,
    module_namespace,
)
from memlens._core.pure.containers import FROZEN_DICT
from memlens._core.pure.functions import has_cache_dict
from memlens._core.pure.labels import StringTable, shown_value
from memlens._core.pure.owner_bounds import add_owner_bounds
from memlens._core.pure.roots import Root, function_name
from memlens._core.pure.running_frames import RunningFrame
from memlens._core.pure.walk import WalkedHeap

__all__ = (
    "container_sections",
    "frame_sections",
    "name_sections",
    "root_sections",
    "type_sections",
    "value_sections",
)

_IS_CLASS = 1 << 31
_SIZED: tuple[type, ...] = (list, tuple, dict, set, frozenset, deque)
if FROZEN_DICT is not None:
    _SIZED += (FROZEN_DICT,)
_SHOWN = (str, bytes, int, float)
_max_length = deque.__dict__["maxlen"].__get__


def type_sections(heap: WalkedHeap, strings: StringTable) -> dict[str, array[int]]:
    """Return the type of each node and the type table; row 0 is the process."""
    types = [heap.objects[node] for node in heap.types]
    row = {id(cls): place + 1 for place, cls in enumerate(types)}
    node_type = array("I", map(row.get, map(id, map(type, heap.objects)), repeat(0)))
    node_type[0] = 0
    return {
        "node_type": node_type,
        "type_name": array("I", [0, *(strings[class_name(cls)] for cls in types)]),
        "type_node": array("I", [NONE, *heap.types]),
    }


def root_sections(roots: list[Root]) -> dict[str, array[int]]:
    """Return the root table, in the order of the roots."""
    return {
        "root_kind": array("B", [root.kind for root in roots]),
        "root_name": array("I", [root.name for root in roots]),
        "root_count": array("Q", [root.count for root in roots]),
        "root_frame": array("I", [NONE if root.frame < 0 else root.frame for root in roots]),
    }


def frame_sections(frames: list[RunningFrame], strings: StringTable) -> dict[str, array[int]]:
    """Return the frame table."""
    codes = [running.frame.f_code for running in frames]
    return {
        "frame_thread": array("Q", [running.thread for running in frames]),
        "frame_function": array("I", [strings[function_name(code)] for code in codes]),
        "frame_file": array("I", [strings[code.co_filename] for code in codes]),
        "frame_line": array("I", [running.frame.f_lineno or 0 for running in frames]),
        "frame_depth": array("I", [running.depth for running in frames]),
    }


def _call(length: Callable[[Any], int], obj: Any) -> int:
    return length(obj)


def container_sections(
    heap: WalkedHeap, node_type: array[int], strings: StringTable
) -> dict[str, array[int]]:
    """Return the lengths of built-in containers, and the bounds of them or of their owners."""
    sized = {
        row: length
        for row, node in enumerate(heap.types, 1)
        if (length := _length(heap.objects[node])) is not None
    }
    nodes = [node for node, row in enumerate(node_type) if row in sized]
    lengths = [sized[node_type[node]](heap.objects[node]) for node in nodes]
    bounds = array("Q", [NO_BOUND]) * len(nodes)
    bounded = {row: _bound(heap.objects[heap.types[row - 1]]) for row in sized}
    for place, node in enumerate(nodes):
        bound = bounded[node_type[node]]
        if bound is not None:
            bounds[place] = bound(heap.objects[node])
    add_owner_bounds(heap, nodes, lengths, bounds, strings)
    return {
        "container_node": array("I", nodes),
        "container_length": array("Q", lengths),
        "container_bound": bounds,
    }


def _length(cls: type) -> Callable[[Any], int] | None:
    """Return the function that computes the length of instances of ``cls``, or None."""
    for base in class_mro(cls):
        if base is functools._lru_cache_wrapper:
            return lambda obj: _cache_info(obj)[0]
        if any(base is sized for sized in _SIZED):
            length = class_namespace(base)["__len__"]
            return len if base is cls else partial(_call, length)
    return None


def _bound(cls: type) -> Callable[[Any], int] | None:
    """Return the function that reads the bound of instances of ``cls``, or None."""
    for base in class_mro(cls):
        if base is functools._lru_cache_wrapper:
            return lambda obj: _cache_info(obj)[1]
        if base is deque:
            return _deque_bound
    return None


def _deque_bound(obj: Any) -> int:
    bound: int | None = _max_length(obj)
    return NO_BOUND if bound is None else bound


def _cache_info(obj: Any) -> tuple[int, int]:
    """Return size and bound of an lru_cache, unless ``cache_info`` would call a foreign class."""
    held = gc.get_referents(obj)
    if not has_cache_dict(held) or not any(value is functools._CacheInfo for value in held):
        return 0, NO_BOUND
    _, _, bound, size = functools._lru_cache_wrapper.cache_info(obj)
    return size, NO_BOUND if bound is None else bound


def value_sections(
    heap: WalkedHeap, node_type: array[int], strings: StringTable
) -> dict[str, array[int]]:
    """Return the text of plain strings, bytes and numbers."""
    number = heap.number
    shown = {number.get(id(cls)) for cls in _SHOWN}
    rows = {row for row, node in enumerate(heap.types, 1) if node in shown}
    nodes = [node for node, row in enumerate(node_type) if row in rows]
    texts = (_value_text(heap.objects[node]) for node in nodes)
    return {
        "value_node": array("I", nodes),
        "value_text": array("I", map(strings.__getitem__, texts)),
    }


def _value_text(value: Any) -> str:
    if type(value) is str:
        return value[:VALUE_TEXT_LIMIT]
    return shown_value(value, VALUE_TEXT_LIMIT) or ""


def name_sections(
    heap: WalkedHeap, node_type: array[int], strings: StringTable
) -> dict[str, array[int]]:
    """Return the names of modules, classes, functions, code and tasks, and where they are defined."""
    namers: dict[int, Callable[[Any], tuple[str, str, int]]] = {}
    for row, node in enumerate(heap.types, 1):
        namer = _namer(heap.objects[node])
        if namer is not None:
            namers[row] = namer
    nodes = [node for node, row in enumerate(node_type) if row in namers]
    named = [namers[node_type[node]](heap.objects[node]) for node in nodes]
    return {
        "name_node": array("I", nodes),
        "name_text": array("I", [strings[name] for name, _, _ in named]),
        "name_file": array("I", [strings[file] for _, file, _ in named]),
        "name_line": array("I", [max(line, 0) for _, _, line in named]),
    }


def _namer(cls: type) -> Callable[[Any], tuple[str, str, int]] | None:
    if cls is FunctionType:
        return _name_function
    if cls is CodeType:
        return _name_code
    if class_flags(cls) & _IS_CLASS:
        return _name_class
    for base in class_mro(cls):
        if base is ModuleType:
            return _name_module
        if class_name(base) == "_asyncio.Task" and _is_of_c(base, "_coro"):
            return _name_task
    return None


def _is_of_c(cls: type, getter: str) -> bool:
    """Tell a C type, by one of its getters, from a class that only has its name."""
    return type(class_namespace(cls).get(getter)) is GetSetDescriptorType


def _name_task(task: Any) -> tuple[str, str, int]:
    """Return the name of an asyncio task; ``get_name()`` would make it a str, which stays.

    The name follows the context and the coroutine, which is gone where a task ended at its start.
    Until somebody asks for it, the name that asyncio gives a task is a number from 3.12 on.
    """
    held = gc.get_referents(task)
    first = next(
        (
            place
            for place, (before, context) in enumerate(pairwise(held), 1)
            if before is type(task) and type(context) is Context  # attributes come before these
        ),
        0,
    )
    for value in held[first : first + 3]:
        if type(value) is str:
            return value, "", 0
        if type(value) is int:
            return f"Task-{value}", "", 0
    return "", "", 0


def _name_function(function: Any) -> tuple[str, str, int]:
    code = function_code(function)
    if code is None:
        return "", "", 0
    module, name = function.__module__, function.__qualname__
    full = f"{module}.{name}" if type(module) is str else name
    return full, code.co_filename, code.co_firstlineno


def _name_code(code: Any) -> tuple[str, str, int]:
    return function_name(code), code.co_filename, code.co_firstlineno


def _name_class(cls: type) -> tuple[str, str, int]:
    module = sys.modules.get(class_module(cls))
    file = _name_module(module)[1] if type(module) is ModuleType else ""
    line = class_namespace(cls).get("__firstlineno__", 0)  # from 3.13 on
    return class_name(cls), file, line if type(line) is int else 0


def _name_module(module: Any) -> tuple[str, str, int]:
    namespace = module_namespace(module)
    name, file = namespace.get("__name__"), namespace.get("__file__")
    return name if type(name) is str else "", file if type(file) is str else "", 0
