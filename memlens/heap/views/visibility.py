"""Which objects a view shows: those of the program, and garbage on request."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import NamedTuple

from memlens._core.layout import NodeFlag
from memlens.errors import OptionError
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import is_native_type

__all__ = (
    "HIDDEN",
    "OWN",
    "ShownTotals",
    "check_min",
    "hidden_flags",
    "is_shown",
    "shown_nodes",
    "shown_totals",
    "with_rest",
)

HIDDEN = int(NodeFlag.OWN | NodeFlag.GARBAGE)
OWN = int(NodeFlag.OWN)


def hidden_flags(include_garbage: bool) -> int:
    """Return the flags of the objects to hide: memlens's own, and garbage unless included."""
    return OWN if include_garbage else HIDDEN


def is_shown(graph: HeapGraph, node: int, hidden: int = HIDDEN) -> bool:
    """Return whether a view shows a node. Node 0 is not an object and never shown."""
    return node != 0 and not graph.flags[node] & hidden


def shown_nodes(graph: HeapGraph, hidden: int = HIDDEN) -> Iterator[int]:
    """Yield the nodes that a view shows, ascending."""
    shown = [not flag & hidden for flag in graph.flags]
    shown[0] = False
    return compress(range(graph.node_count), shown)


class ShownTotals(NamedTuple):
    """What a view shows of a heap: the number of objects, their bytes and those of native blocks."""

    object_count: int
    object_bytes: int
    block_bytes: int

    @property
    def total_bytes(self) -> int:
        """The bytes of objects and native blocks together."""
        return self.object_bytes + self.block_bytes


def shown_totals(graph: HeapGraph, hidden: int = HIDDEN) -> ShownTotals:
    """Return the totals of what a view shows: those of `HeapSnapshot.summary`, by one scan."""
    names = graph.type_names
    columns = graph.node_type, graph.node_size, graph.flags
    counts, sizes = checked_core.count_types(*columns, len(names), hidden)
    native = [row for row, name in enumerate(names) if is_native_type(name)]
    block_bytes = sum(sizes[row] for row in native)
    count = sum(counts) - sum(counts[row] for row in native)
    return ShownTotals(count, sum(sizes) - block_bytes, block_bytes)


def check_min(name: str, value: float, minimum: float) -> None:
    """Raise ``OptionError`` for a value below the minimum."""
    if not value >= minimum:
        raise OptionError(f"{name} is {value}: it must be at least {minimum}")


def with_rest(table: str, total: int, limit: int) -> str:
    """Return a table with a last line that states how many rows were left out, if any."""
    if total <= limit:
        return table
    return f"{table}\n... and {total - limit:,} more"
