"""The columns of nodes: shallow sizes and flags."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

from memlens._core.layout import KIND_MASK, EdgeKind, NodeFlag
from memlens._core.pure.access import (
    FOREIGN_ERRORS,
    HEAP_TYPE,
    class_flags,
    class_module,
    class_mro,
    class_namespace,
    has_inline_values,
    module_namespace,
)
from memlens._core.pure.containers import is_split
from memlens._core.pure.finished_objects import finished_test
from memlens._core.pure.labels import label
from memlens._core.pure.sizes import header_bytes, inline_values_bytes, sizer, split_dict_bytes
from memlens._core.pure.walk import WalkedHeap

__all__ = ("node_flags", "node_sizes")

_basic_size = type.__dict__["__basicsize__"].__get__
_IS_CLASS = 1 << 31  # Py_TPFLAGS_TYPE_SUBCLASS
_STAY_INLINE = sys.version_info >= (3, 13)  # values stay in the instance when a dict is created
_OWN, _FINISHED, _HEAP_TYPE = map(int, (NodeFlag.OWN, NodeFlag.FINISHED, NodeFlag.HEAP_TYPE))
_UNNAMED = label(EdgeKind.INTERNAL)
_OWN_PACKAGE = __name__.partition(".")[0]
_LENT_PACKAGE = f"{_OWN_PACKAGE}.structures"  # programs keep their data in the structures


def node_flags(
    heap: WalkedHeap,
    node_type: array[int],
    immortal: set[int],
    reached: bytearray,
    own_prefix: str,
) -> array[int]:
    """Return the flags of every node; code in files under ``own_prefix`` is memlens's own."""
    flags = array("H", map(gc.is_tracked, heap.objects))  # NodeFlag.TRACKED is 1
    flags[0] = 0
    for nodes, flag in (
        (heap.namespaces, NodeFlag.NAMESPACE),
        (immortal, NodeFlag.IMMORTAL),
        (_zeros(reached), NodeFlag.GARBAGE),
    ):
        bit = int(flag)  # arithmetic on members of an enumeration is slow
        for node in nodes:
            flags[node] |= bit
    _flag_by_type(heap, node_type, flags, own_prefix)
    return flags


def _zeros(reached: bytearray) -> Iterator[int]:
    node = reached.find(0)
    while node >= 0:
        yield node
        node = reached.find(0, node + 1)


def _flag_by_type(
    heap: WalkedHeap, node_type: array[int], flags: array[int], own_prefix: str
) -> None:
    """Set the flags that depend on the type of an object."""
    tests: dict[int, Callable[[Any], int]] = {}
    for row, node in enumerate(heap.types, 1):
        test = _flag_test(heap.objects[node], own_prefix)
        if test is not None:
            tests[row] = test
    for node in [node for node, row in enumerate(node_type) if row in tests]:
        flags[node] |= tests[node_type[node]](heap.objects[node])


def _flag_test(cls: type, own_prefix: str) -> Callable[[Any], int] | None:
    if class_flags(cls) & _IS_CLASS:
        return _class_flag
    if cls is CodeType and own_prefix:
        return lambda code: _OWN if code.co_filename.startswith(own_prefix) else 0
    if cls is FunctionType:
        return lambda obj: _OWN if _is_own(obj.__module__) else 0
    if any(base is ModuleType for base in class_mro(cls)):
        return _module_flag
    if _is_own(class_module(cls)):
        return lambda obj: _OWN
    has_finished = finished_test(cls)
    if has_finished is None:
        return None

    def finished_flag(obj: Any) -> int:
        try:
            return _FINISHED if has_finished(obj) else 0
        except FOREIGN_ERRORS:
            return 0  # not initialized, so not finished

    return finished_flag


def _class_flag(cls: type) -> int:
    flag = _HEAP_TYPE if class_flags(cls) & HEAP_TYPE else 0
    return flag | (_OWN if _is_own(class_module(cls)) else 0)


def _module_flag(module: Any) -> int:
    return _OWN if _is_own(module_namespace(module).get("__name__")) else 0


def _is_own(module: Any) -> bool:
    return (
        type(module) is str and _is_in(module, _OWN_PACKAGE) and not _is_in(module, _LENT_PACKAGE)
    )


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def node_sizes(heap: WalkedHeap, node_type: array[int], dict_label: int) -> array[int]:
    """Return the shallow size of every node, in bytes."""
    sizers = [sys.getsizeof, *(sizer(heap.objects[node]) for node in heap.types)]
    try:
        sizes = array("Q", [sizers[row](obj) for row, obj in zip(node_type, heap.objects)])
    except FOREIGN_ERRORS:
        sizes = array("Q", map(_size_or_zero, map(sizers.__getitem__, node_type), heap.objects))
    sizes[0] = 0
    _correct_sorted_lists(heap, node_type, sizes)
    _add_inline_values(heap, node_type, sizes, dict_label)
    for node in heap.namespaces:
        if is_split(heap.objects[node]):
            sizes[node] = split_dict_bytes(len(heap.objects[node]))
    return sizes


def _correct_sorted_lists(heap: WalkedHeap, node_type: array[int], sizes: array[int]) -> None:
    """Give a list that is being sorted the size of an empty one.

    ``list.sort`` takes the items away meanwhile, and marks that with a capacity of -1.
    """
    least = {
        row: _basic_size(heap.objects[node]) + header_bytes(heap.objects[node])
        for row, node in enumerate(heap.types, 1)
        if any(base is list for base in class_mro(heap.objects[node]))  # `in` would call ==
    }
    for node, row in enumerate(node_type):
        if row in least and sizes[node] < least[row]:
            sizes[node] = least[row]


def _size_or_zero(size: Callable[[Any], int], obj: Any) -> int:
    try:
        return size(obj)
    except FOREIGN_ERRORS:
        return 0


def _add_inline_values(
    heap: WalkedHeap, node_type: array[int], sizes: array[int], dict_label: int
) -> None:
    """Add the size of inline attribute values, which ``__sizeof__`` leaves out."""
    slots = {
        row: _slot_count(heap.objects[node])
        for row, node in enumerate(heap.types, 1)
        if has_inline_values(heap.objects[node])
    }
    with_items = {row for row in slots if _has_base_in_c(heap.objects[heap.types[row - 1]])}
    counts: dict[int, int] = {}  # by type: the most values that an instance has
    instances = []
    for node, row in enumerate(node_type):
        if row in slots:
            edges = slice(heap.starts[node], heap.starts[node + 1])
            labels = heap.labels[edges]
            if dict_label not in labels:
                count = _count_values(labels) if row in with_items else len(labels) - 1
                count -= slots[row]
            elif _STAY_INLINE:
                count = len(heap.objects[heap.targets[edges][labels.index(dict_label)]])
            else:
                continue
            instances.append(node)
            counts[row] = max(counts.get(row, 0), count)
    added = {row: inline_values_bytes(count) for row, count in counts.items()}
    for node in instances:
        sizes[node] += added[node_type[node]]


def _count_values(labels: array[int]) -> int:
    """Count the edges to values of attributes, of an instance that has other edges as well."""
    return sum(edge == _UNNAMED or edge & KIND_MASK == EdgeKind.ATTRIBUTE for edge in labels)


def _has_base_in_c(cls: type) -> bool:
    return any(not class_flags(base) & HEAP_TYPE for base in class_mro(cls) if base is not object)


def _slot_count(cls: type) -> int:
    return sum(
        type(value) is MemberDescriptorType
        for base in class_mro(cls)
        if "__slots__" in class_namespace(base)
        for value in [*class_namespace(base).values()]
    )
