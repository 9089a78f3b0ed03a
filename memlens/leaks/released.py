"""What was released as a program's work ended: it leaked while there was work.

The variables of a thread, a generator or a task go when that ends, and what a function closes is
empty as it returns. So a snapshot taken just before ``main()`` returns may show nothing of a leak.
The snapshots before that do.
"""

from __future__ import annotations

from collections.abc import Sequence

from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.visibility import OWN, shown_totals
from memlens.leaks.growth import Growth, Holder

__all__ = ("at_work", "released_holders")

_MIN_SNAPSHOTS = 4  # three intervals: fewer tell no leak from work that is soon done
_MAX_LEFT = 0.1  # of the bytes that a holder gained: more is left where it only evicted some


def at_work(running: Sequence[HeapSnapshot]) -> Sequence[HeapSnapshot]:
    """Return the snapshots before the return of the main function, if memory was released by it.

    None where too few are left. ``running``: in time order, the last before the program's end.
    """
    before = running[:-1]
    if running[-1].reason != "return" or len(before) < _MIN_SNAPSHOTS:
        return ()
    sizes = [shown_totals(snapshot.graph, OWN).total_bytes for snapshot in running[-2:]]
    return before if sizes[1] < sizes[0] else ()


def released_holders(
    growth: Growth, holders: Sequence[Holder], after: HeapSnapshot
) -> list[Holder]:
    """Return the holders that no longer hold in a later snapshot what they had gained.

    ``holders`` must know what they reach (`sharing.reach`).
    """
    if not holders:
        return []
    alive = set(growth.match(growth.last, after.graph))
    sizes = growth.last.node_size
    return [holder for holder in holders if _is_released(holder, sizes, alive)]


def _is_released(holder: Holder, sizes: Sequence[int], alive: set[int]) -> bool:
    nodes = holder.gained or (holder.node,)  # a buffer has no elements
    total = sum(sizes[node] for node in nodes)
    return sum(sizes[node] for node in nodes if node in alive) <= _MAX_LEFT * total
