"""Which snapshot to show: the last one in which what leaked is still there.

The last snapshot may be of the end of a program, when what it had accumulated is free again. Pictures
and tables of that heap would contradict the suspects.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import LeakSuspect

__all__ = ("released_text", "shown_snapshots")

_ENDINGS = ("return", "exit")  # reasons of snapshots
_MIN_FREED_SHARE = 0.5  # of what the holder retained, by which the heap is smaller at the end


def shown_snapshots(
    snapshots: Sequence[HeapSnapshot], leaks: LeakReport | None
) -> Sequence[HeapSnapshot]:
    """Return the snapshots up to the last one in which the first suspect's holder lives.

    All of them where that is not certain.
    """
    if leaks is None or not leaks.suspects or not snapshots:
        return snapshots
    suspect, last = leaks.suspects[0], snapshots[-1]
    if last.reason not in _ENDINGS or not suspect.path.hops:
        return snapshots
    node = suspect.path.hops[-1].node
    for place in range(len(snapshots) - 1, -1, -1):
        if _is_holder(snapshots[place].graph, node, suspect):
            return snapshots[: place + 1] if _is_gone(snapshots[place], last, node) else snapshots
    return snapshots


def released_text(shown: Sequence[HeapSnapshot]) -> str:
    """Return the sentence about a suspect that the last snapshot does not have."""
    moment = time.strftime("%H:%M:%S", time.gmtime(shown[-1].timestamp))
    return (
        "It was released when the program's work ended; the treemap and the tables show the heap"
        f" before that, at {moment} UTC."
    )


def _is_holder(graph: HeapGraph, node: int, suspect: LeakSuspect) -> bool:
    return (
        0 < node < graph.node_count
        and graph.retained_bytes(node) == suspect.retained_bytes
        and graph.type_of(node) == suspect.holder_type
    )


def _is_gone(before: HeapSnapshot, last: HeapSnapshot, node: int) -> bool:
    """Tell whether an object is certainly not in the last heap, nor what it retained elsewhere."""
    if before is last:
        return False
    graph, address = last.graph, before.graph.node_address[node]
    there = [place for place, other in enumerate(graph.node_address) if other == address]
    freed = before.total_bytes - last.total_bytes
    return freed >= _MIN_FREED_SHARE * before.graph.retained_bytes(node) and all(
        graph.type_of(other) != before.graph.type_of(node)  # its address was used again
        for other in there
    )
