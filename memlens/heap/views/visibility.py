"""Which objects a view shows: those of the program, and garbage on request."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

from memlens._core.layout import NodeFlag
from memlens.errors import OptionError
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("HIDDEN", "check_min", "hidden_flags", "is_shown", "shown_nodes", "with_rest")

HIDDEN = int(NodeFlag.OWN | NodeFlag.GARBAGE)
_OWN = int(NodeFlag.OWN)


def hidden_flags(include_garbage: bool) -> int:
    """Return the flags of the objects to hide: memlens's own, and garbage unless included."""
    return _OWN if include_garbage else HIDDEN


def is_shown(graph: HeapGraph, node: int, hidden: int = HIDDEN) -> bool:
    """Return whether a view shows a node. Node 0 is not an object and never shown."""
    return node != 0 and not graph.flags[node] & hidden


def shown_nodes(graph: HeapGraph, hidden: int = HIDDEN) -> Iterator[int]:
    """Yield the nodes that a view shows, ascending."""
    shown = [not flag & hidden for flag in graph.flags]
    shown[0] = False
    return compress(range(graph.node_count), shown)


def check_min(name: str, value: float, minimum: float) -> None:
    """Raise ``OptionError`` for a value below the minimum."""
    if not value >= minimum:
        raise OptionError(f"{name} is {value}: it must be at least {minimum}")


def with_rest(table: str, total: int, limit: int) -> str:
    """Return a table with a last line that states how many rows were left out, if any."""
    if total <= limit:
        return table
    return f"{table}\n... and {total - limit:,} more"
