"""Statistics: the heap by kind of object."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import compress
from typing import Any

from memlens._core.layout import NONE, NodeFlag
from memlens._display import displayed
from memlens._rows import Rows
from memlens._text import format_bytes, format_count
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import PYTHON, HeapGraph
from memlens.heap.graph.native_blocks import is_native_type
from memlens.heap.views.visibility import hidden_flags

__all__ = ("Statistics", "StatisticsRow", "statistics_of")

_KINDS: dict[str, str] = {
    "strings": "str",
    "numbers": "int float complex bool decimal.Decimal fractions.Fraction",
    "bytes and buffers": (
        "bytes bytearray memoryview managedbuffer array.array mmap.mmap numpy.ndarray"
        " _io.BytesIO _io.StringIO ctypes.Array"
    ),
    "containers": (
        "dict list tuple set frozenset collections.deque collections.OrderedDict"
        " collections.defaultdict collections.Counter collections.ChainMap"
        " functools._lru_cache_wrapper range slice"
    ),
    "functions and code": (
        "function code builtin_function_or_method method cell classmethod staticmethod property"
        " getset_descriptor member_descriptor wrapper_descriptor method_descriptor method-wrapper"
        " classmethod_descriptor functools.partial functools.cached_property types.GenericAlias"
    ),
    "modules": "module _frozen_importlib.ModuleSpec",
    "frames and coroutines": (
        "frame traceback generator coroutine async_generator coroutine_wrapper"
        " async_generator_asend _asyncio.Task _asyncio.Future contextvars.Context Context"
    ),
    "weak references": "weakref weakref.ReferenceType weakproxy weakcallableproxy weakref.KeyedRef",
}
_V8_KINDS: dict[str, tuple[str, ...]] = {  # by the classes of Chrome DevTools
    "strings": ("(string)", "(concatenated string)", "(sliced string)", "(symbol)"),
    "numbers": ("(number)", "(bigint)", "heap number"),
    "bytes and buffers": ("ArrayBuffer", "Buffer", "Uint8Array", "system / JSArrayBufferData"),
    "containers": ("(array)", "Array", "Map", "Set", "WeakMap", "WeakSet"),
    "functions and code": ("Function", "(compiled code)", "(closure)", "system / Context"),
    "built-in objects": ("(system)", "(object shape)", "(synthetic)", "(regexp)", "(wasm object)"),
}
_INSTANCES, _CLASSES, _NAMESPACES = "instances", "classes", "namespaces"
_BUILT_IN, _NATIVE = "built-in objects", "native memory"
_NAMES = (*_KINDS, _CLASSES, _NAMESPACES, _INSTANCES, _BUILT_IN, _NATIVE)
_NAMESPACE, _HEAP_TYPE = int(NodeFlag.NAMESPACE), int(NodeFlag.HEAP_TYPE)


@displayed
@dataclass(frozen=True, slots=True)
class StatisticsRow:
    """One kind of object: the count, the bytes and the share of the heap from 0 to 1."""

    kind: str
    count: int
    shallow_bytes: int
    share: float

    def __str__(self) -> str:
        size = format_bytes(self.shallow_bytes)
        return f"{self.kind}: {format_count(self.count)} objects, {size} ({100 * self.share:.1f} %)"

    def __repr__(self) -> str:
        return f"<StatisticsRow {self}>"


class Statistics(Rows[StatisticsRow]):
    """The heap by kind of object, most bytes first; each object is of one kind.

    ``namespaces`` are the dicts behind modules, classes and instances; ``instances`` are the
    objects of classes made at run time that belong to no other kind; ``native memory`` are the blocks
    outside of the Python heap that objects hold.
    """

    headers = ("count", "bytes", "share", "kind")

    def __init__(self, rows: list[StatisticsRow]) -> None:
        super().__init__(sorted(rows, key=lambda row: (-row.shallow_bytes, row.kind)))

    @property
    def count(self) -> int:
        """The number of objects of all kinds, without blocks of native memory."""
        return sum(row.count for row in self.rows if row.kind != _NATIVE)

    @property
    def shallow_bytes(self) -> int:
        """The bytes of all kinds."""
        return sum(row.shallow_bytes for row in self.rows)

    @property
    def title(self) -> str:
        """The totals in one line."""
        return f"{format_count(self.count)} objects, {format_bytes(self.shallow_bytes)}"

    def _cells(self, row: StatisticsRow) -> tuple[str, ...]:
        return (
            format_count(row.count),
            format_bytes(row.shallow_bytes),
            f"{100 * row.share:.1f}%",
            row.kind,
        )

    def _totals(self) -> dict[str, Any]:
        return {"count": self.count, "shallow_bytes": self.shallow_bytes}


def statistics_of(graph: HeapGraph, *, include_garbage: bool = False) -> Statistics:
    """Count the objects of a heap by kind."""
    counts, sizes = checked_core.count_types(
        _kind_by_node(graph),
        graph.node_size,
        graph.flags,
        len(_NAMES),
        hidden_flags(include_garbage),
    )
    whole = sum(sizes) or 1
    return Statistics(
        [
            StatisticsRow(name, count, size, size / whole)
            for name, count, size in zip(_NAMES, counts, sizes, strict=True)
            if count
        ]
    )


def _kind_by_node(graph: HeapGraph) -> array[int]:
    number = {name: place for place, name in enumerate(_NAMES)}
    if graph.language != PYTHON:
        by_class = {name: number[kind] for kind, names in _V8_KINDS.items() for name in names}
        of_row = [by_class.get(name, number[_INSTANCES]) for name in graph.type_names]
        return array("I", map(of_row.__getitem__, graph.node_type))
    by_name = {name: number[kind] for kind, names in _KINDS.items() for name in names.split()}
    by_row = [
        number[_NATIVE]
        if is_native_type(name)
        else by_name.get(name, number[_type_kind(graph, node)])
        for name, node in zip(graph.type_names, graph.type_node, strict=True)
    ]
    kinds = array("I", map(by_row.__getitem__, graph.node_type))
    flags = graph.node_flags
    for node in compress(range(graph.node_count), [f & _NAMESPACE for f in flags]):
        kinds[node] = number[_NAMESPACES]
    for node in compress(range(graph.node_count), [f & _HEAP_TYPE for f in flags]):
        kinds[node] = number[_CLASSES]
    for node in graph.type_node:  # static types have no flag of their own
        if node != NONE:
            kinds[node] = number[_CLASSES]
    return kinds


def _type_kind(graph: HeapGraph, type_node: int) -> str:
    """Return the kind of a type that `_KINDS` does not list."""
    is_heap_type = type_node != NONE and graph.node_flags[type_node] & _HEAP_TYPE
    return _INSTANCES if is_heap_type else _BUILT_IN
