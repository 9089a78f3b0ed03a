"""Which objects a view shows: the program's own, and garbage where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

from memlens._core.layout import NodeFlag
from memlens.errors import OptionError
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("HIDDEN", "check_limit", "hidden_flags", "is_shown", "shown_nodes", "with_rest")

HIDDEN = int(NodeFlag.OWN | NodeFlag.GARBAGE)
_OWN = int(NodeFlag.OWN)


def hidden_flags(include_garbage: bool) -> int:
    """Return the flags of what a view leaves out: memlens's own always, garbage unless asked."""
    return _OWN if include_garbage else HIDDEN


def is_shown(graph: HeapGraph, node: int, hidden: int = HIDDEN) -> bool:
    """Tell whether a node is an object that a view shows; node 0 is none."""
    return node != 0 and not graph.flags[node] & hidden


def shown_nodes(graph: HeapGraph, hidden: int = HIDDEN) -> Iterator[int]:
    """Yield the nodes that a view shows, ascending."""
    shown = [not flag & hidden for flag in graph.flags]
    shown[0] = False
    return compress(range(graph.node_count), shown)


def check_limit(name: str, value: float, least: float) -> None:
    """Raise ``OptionError`` for a number below the least that makes sense."""
    if not value >= least:
        raise OptionError(f"{name} is {value}: it must be at least {least}")


def with_rest(table: str, total: int, limit: int, what: str = "") -> str:
    """Return a table with a last line that tells how many rows were left out, if any were."""
    if total <= limit:
        return table
    return f"{table}\n... and {total - limit:,} more{' ' if what else ''}{what}"
