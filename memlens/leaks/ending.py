"""The end of a program's work: a container that was full before it is no leak.

The interval in which the work ends is short and shows little growth, or none, so that it is judged
together with the one before (`informative_steps`). The snapshot between the two still tells a leak,
which grew until the work ended, from what had stopped growing earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.steady_time import steady_seconds
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.growth import Growth, Holder, length_in

__all__ = (
    "ENDINGS",
    "HELD_FACT",
    "WAITED_FACT",
    "grew_until_the_end",
    "length_of",
    "snapshot_before_end",
    "while_not_waiting",
    "work_seconds",
)

ENDINGS = ("return", "exit")  # reasons of snapshots
WAITED_FACT = "waited_seconds"  # how long the caller had waited for its turn
HELD_FACT = "held_seconds"  # how long returns had held the program up before, for their snapshots
_MIN_LAST_SHARE = 0.25  # of the mean rate, in the interval in which the work ended
_SHAPES = frozenset({"container", "cluster", "buffer"})  # the others are new objects each time
_MIN_RATE_SHARE = 0.7  # of the mean rate before, in the last interval that was all work


def work_seconds(snapshot: HeapSnapshot) -> float:
    """Return the time up to which a program had worked when a snapshot was taken.

    Without the time in which a function waited, before it returned, for its snapshot to be written.
    """
    return _ready_seconds(snapshot) - _noted_seconds(snapshot, HELD_FACT)


def _ready_seconds(snapshot: HeapSnapshot) -> float:
    """Return when the program was ready for a snapshot: one at a return may wait for others."""
    waited = _noted_seconds(snapshot, WAITED_FACT) if snapshot.reason == "return" else 0.0
    return steady_seconds(snapshot.facts) - waited


def _noted_seconds(snapshot: HeapSnapshot, fact: str) -> float:
    noted = snapshot.facts.get(fact)
    return max(noted, 0.0) if isinstance(noted, float) and isfinite(noted) else 0.0


def while_not_waiting(ordered: Sequence[HeapSnapshot]) -> list[HeapSnapshot]:
    """Return the snapshots without those that were taken while a program waited for its last one.

    Nothing grew from one of them to the next, which would tell that a leak had stopped.
    """
    waits = [
        (_ready_seconds(one), steady_seconds(one.facts))
        for one in ordered
        if one.reason == "return"
    ]
    return [
        one
        for one in ordered
        if one.reason in ("startup", *ENDINGS)
        or not any(begin <= steady_seconds(one.facts) < end for begin, end in waits)
    ]


def snapshot_before_end(ordered: Sequence[HeapSnapshot], growth: Growth) -> HeapSnapshot | None:
    """Return the snapshot before the one in which work ended, where the growth leaves it out."""
    before = ordered[-2]
    is_ending = ordered[-1].reason in ENDINGS
    left_out = all(graph is not before.graph for graph in growth.graphs)
    return before if is_ending and left_out else None


def grew_until_the_end(
    growth: Growth, holders: Iterable[Holder], before_end: HeapSnapshot | None
) -> list[Holder]:
    """Return the holders that grew while there was work, in the order given."""
    found = list(holders)
    if before_end is None or not found:
        return found
    same = growth.match(before_end.graph, growth.last)
    return [holder for holder in found if _grew(growth, holder, before_end, same)]


def _grew(growth: Growth, holder: Holder, before: HeapSnapshot, same: Sequence[int]) -> bool:
    if holder.shape not in _SHAPES or len(holder.lengths) < 3:
        return True
    seconds = growth.seconds
    at_previous = length_of(holder, growth.graphs[-2], growth.same[-1])
    between = length_of(holder, before.graph, same)
    at_end = length_of(holder, growth.last, range(growth.last.node_count))
    if at_end <= at_previous:
        return True  # what it gained is not in it: a context's variables are in its trie
    first, previous, last = holder.lengths[0], holder.lengths[-2], holder.lengths[-1]
    if seconds[-2] <= seconds[holder.start]:
        return True  # no rate is known
    rate = (last - first) / (seconds[-1] - seconds[holder.start])
    if at_end - between >= _MIN_LAST_SHARE * rate * (seconds[-1] - work_seconds(before)):
        return True
    rate_before = (previous - first) / (seconds[-2] - seconds[holder.start])
    wanted = _MIN_RATE_SHARE * rate_before * (work_seconds(before) - seconds[-2])
    return between - at_previous >= wanted


def length_of(holder: Holder, graph: HeapGraph, same: Sequence[int]) -> int:
    """Return how long a holder was in a graph, in bytes if it is a buffer; 0 where it did not exist.

    ``same``: for each node of the graph that the holder was found in, the node in this one.
    """
    nodes = [same[node] for node in holder.members or (holder.node,)]
    lengths = graph.node_size if holder.shape == "buffer" else None
    return sum(
        length_in(graph, node) if lengths is None else lengths[node]
        for node in nodes
        if node != NONE
    )
