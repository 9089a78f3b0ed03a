"""Cyclic garbage that piles up because nobody collects it."""

from __future__ import annotations

from itertools import pairwise

from memlens._core.layout import NodeFlag
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.growth import HIDDEN, Growth, Holder

__all__ = ("growing_garbage",)

_MIN_SNAPSHOTS = 3
_MIN_OBJECTS = 10  # more in each interval


def growing_garbage(growth: Growth) -> Holder | None:
    """Return the garbage as a holder, where it grows in every interval and the collector is off.

    None where a snapshot collected first, or where the collector runs: then it takes it away. The
    history begins where the collector is off: programs turn it off after their start.
    """
    start = growth.end + 1
    while start and _is_uncollected(growth.graphs[start - 1]):
        start -= 1
    graphs = growth.graphs[start:]
    if len(graphs) < min(_MIN_SNAPSHOTS, len(growth.graphs)):
        return None
    found = [_garbage(graph) for graph in graphs]
    counts = tuple(map(len, found))
    if any(after - before < _MIN_OBJECTS for before, after in pairwise(counts)):
        return None
    return Holder(0, "garbage", start, counts, found[-1], found[-1])


def _is_uncollected(graph: HeapGraph) -> bool:
    return graph.facts.get("collected") is None and graph.facts.get("gc_enabled") is False


def _garbage(graph: HeapGraph) -> list[int]:
    garbage, either = int(NodeFlag.GARBAGE), HIDDEN
    return [node for node, flag in enumerate(graph.flags) if flag & either == garbage]
