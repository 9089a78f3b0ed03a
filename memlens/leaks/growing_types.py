"""Types that grew over several snapshots and kept what they gained."""

from __future__ import annotations

from collections.abc import Sequence

from memlens.heap.comparison import HeapComparison, TypeChange
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.growth import HIDDEN
from memlens.process.detector.trend import effective_increments, suffix_minimum

__all__ = ("growing_types",)

_MIN_INCREMENTS = 1.5  # that carry the growth: one step gives 1


def growing_types(comparison: HeapComparison, graphs: Sequence[HeapGraph]) -> list[TypeChange]:
    """Return the types that grew, most bytes first.

    A type's number counts by its suffix minimum over all snapshots, what it never fell below again,
    and must have risen more than once; two snapshots cannot tell that.
    """
    grown = comparison.growing()
    if len(graphs) < 3:
        return list(grown)
    counts = [_counts(graph) for graph in graphs]
    return [
        change
        for change in grown
        if change.count_delta <= 0  # in bytes alone
        or effective_increments(suffix_minimum([one.get(change.type_name, 0) for one in counts]))
        >= _MIN_INCREMENTS
    ]


def _counts(graph: HeapGraph) -> dict[str, int]:
    names = graph.type_names
    columns = graph.node_type, graph.node_size, graph.flags
    counts, _ = checked_core.count_types(*columns, len(names), HIDDEN)
    found: dict[str, int] = {}
    for name, count in zip(names, counts, strict=True):  # two classes may have the same name
        found[name] = found.get(name, 0) + count
    return found
