"""Sparse collections: dicts, sets and lists that use little of their capacity.

A container does not shrink when elements are removed one by one: the table of a dict or set stays
as large as it was. The size of a fresh copy is computed by the rules of CPython's containers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memlens._display import displayed
from memlens._text import format_bytes, format_count
from memlens.errors import OptionError
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.views.visibility import check_min, hidden_flags, is_shown
from memlens.heap.views.waste import WasteView

__all__ = ("SparseCollection", "SparseCollections", "sparse_collections_of")

_POINTER_BYTES = 8
_DICT_BYTES = 64  # a dict without its table, including the collector's header
_SET_BYTES = 216  # a set with its built-in table, which holds up to 4 elements
_MIN_TABLE_BITS = 3


@displayed
@dataclass(frozen=True, slots=True)
class SparseCollection:
    """A container with ``length`` elements and a capacity of ``capacity`` elements.

    ``wasted_bytes`` is the number of bytes that a fresh copy would save.
    """

    node: Node
    type_name: str
    length: int
    capacity: int
    shallow_bytes: int
    wasted_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.type_name} with {format_count(self.length)} of {format_count(self.capacity)}"
            f" places in use, {format_bytes(self.wasted_bytes)} wasted"
        )

    def __repr__(self) -> str:
        return f"<SparseCollection {self}>"

    @property
    def fill(self) -> float:
        """The share of the capacity in use, from 0 to 1."""
        return self.length / self.capacity if self.capacity > 0 else 1.0

    @property
    def order(self) -> int:
        """The sort key of containers that waste the same number of bytes."""
        return self.node.index


class SparseCollections(WasteView[SparseCollection]):
    """Containers that waste memory, the most wasted bytes first."""

    headers = ("wasted", "length", "capacity", "type", "path")
    aligned_right = (True, True, True, False, False)

    @property
    def title(self) -> str:
        """The total in one line."""
        return (
            f"{format_bytes(self.wasted_bytes)} are unused in {format_count(len(self.rows))}"
            " sparse collections"
        )

    def _cells(self, row: SparseCollection) -> tuple[str, ...]:
        return (
            format_bytes(row.wasted_bytes),
            format_count(row.length),
            format_count(row.capacity),
            row.type_name,
            self._place(row.node.index),
        )

    def _totals(self) -> dict[str, Any]:
        return {"wasted_bytes": self.wasted_bytes, "collection_count": len(self.rows)}

    def _row_to_dict(self, row: SparseCollection) -> dict[str, Any]:
        return {
            "type": row.type_name,
            "address": row.node.address,
            "length": row.length,
            "capacity": row.capacity,
            "shallow_bytes": row.shallow_bytes,
            "wasted_bytes": row.wasted_bytes,
            "path": self._place(row.node.index),
        }


def sparse_collections_of(
    graph: HeapGraph,
    *,
    max_fill: float = 0.25,
    min_wasted_bytes: int = 1024,
    include_garbage: bool = False,
) -> SparseCollections:
    """Find containers that waste memory: see `HeapSnapshot.sparse_collections`."""
    if not 0 <= max_fill <= 1:
        raise OptionError(f"max_fill is {max_fill}: it must be from 0 to 1")
    check_min("min_wasted_bytes", min_wasted_bytes, 0)
    hidden = hidden_flags(include_garbage)
    measure = [_MEASURES.get(name) for name in graph.type_names]
    rows = []
    lengths = zip(graph.sections["container_node"], graph.sections["container_length"], strict=True)
    for index, length in lengths:
        measured = measure[graph.node_type[index]]
        size = graph.node_size[index]
        if measured is None or size < min_wasted_bytes or not is_shown(graph, index, hidden):
            continue
        capacity, needed = measured(size, length)
        if length <= max_fill * capacity and size - needed >= max(1, min_wasted_bytes):
            node = Node(graph, index)
            rows.append(
                SparseCollection(node, node.type_name, length, capacity, size, size - needed)
            )
    return SparseCollections(graph, rows)


def _measure_list(size: int, length: int) -> tuple[int, int]:
    """Return the capacity of a list of this size, and the bytes that ``length`` elements need."""
    header = 56
    return (size - header) // _POINTER_BYTES, header + _POINTER_BYTES * length


def _measure_set(size: int, length: int) -> tuple[int, int]:
    table = (size - _SET_BYTES) // (2 * _POINTER_BYTES)  # 0: the built-in table is used
    capacity = max(table, 8) * 3 // 5
    bits = _MIN_TABLE_BITS
    while (1 << bits) * 3 // 5 < length:
        bits += 1
    needed = _SET_BYTES if length <= 4 else _SET_BYTES + (2 * _POINTER_BYTES << bits)
    return capacity, min(needed, size)


def _measure_dict(size: int, length: int) -> tuple[int, int]:
    """Return the same as `_measure_list`. The size determines the table: few are possible."""
    if size <= _DICT_BYTES:
        return max(length, 1), size
    bits, entry = min(
        ((bits, entry) for entry in (3, 2) for bits in range(_MIN_TABLE_BITS, 40)),
        key=lambda kind: abs(_dict_bytes(*kind) - size),
    )
    room = _MIN_TABLE_BITS
    while (1 << room) * 2 // 3 < length:
        room += 1
    needed = _dict_bytes(room, entry) if length else _DICT_BYTES
    return (1 << bits) * 2 // 3, min(needed, size)


def _dict_bytes(bits: int, entry_words: int) -> int:
    """Return the size of a dict with ``2**bits`` slots and entries of ``entry_words`` words."""
    index_bytes = 1 if bits <= 7 else 2 if bits <= 15 else 4 if bits <= 31 else 8
    entries = (1 << bits) * 2 // 3
    return _DICT_BYTES + 32 + (index_bytes << bits) + entries * entry_words * _POINTER_BYTES


_MEASURES: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "list": _measure_list,
    "set": _measure_set,
    "dict": _measure_dict,
    "collections.defaultdict": _measure_dict,
    "collections.Counter": _measure_dict,
}
