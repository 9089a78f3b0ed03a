"""From snapshots to cases: what accumulated by the end of a program, and before its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.ending import (
    ENDINGS,
    grew_until_the_end,
    length_of,
    snapshot_before_end,
    while_not_waiting,
    work_seconds,
)
from memlens.leaks.find_growth import find_growth
from memlens.leaks.growth import Growth, Holder, Shared, informative_steps
from memlens.leaks.naming import name_holders
from memlens.leaks.patterns import Case
from memlens.leaks.released import at_work, released_holders
from memlens.leaks.stated_bounds import BoundedHolder
from memlens.progress import part

__all__ = ("find_cases",)

_MIN_INTERVALS_RUNNING = 3  # that show a leak, whatever becomes of it at the end of the program
_MAX_AFTER_RETURN = 3  # snapshots between that and the exit: a busy machine takes its time


def find_cases(ordered: list[HeapSnapshot]) -> tuple[list[Case], list[BoundedHolder]]:
    """Return the holders that accumulate, the largest share first, and the bounded ones.

    At the end of a program the variables of its functions are gone, and what it closes is empty. So
    the snapshots before the last one are looked at, too. What is smaller at the end than before was
    seen growing over three intervals at least.
    """
    ordered = while_not_waiting(ordered)
    shared = Shared()
    at_end = _growth(ordered, shared)
    is_once = ordered[-1].reason not in ENDINGS or len(ordered) <= _MIN_INTERVALS_RUNNING
    with part(0, 0.9 if is_once else 0.45):
        found = find_growth(at_end)
    holders = grew_until_the_end(at_end, found, snapshot_before_end(ordered, at_end))
    if is_once:
        at_end.forget()
        return name_holders(at_end, holders)
    if ordered[-1].reason == "return":
        released = _released(ordered, shared)
        at_end.forget()
        cases, bounded = name_holders(at_end, holders)
        cases += _released_cases(released, cases)
        return _largest_first(cases), bounded
    at_end.forget_same()
    shared.forget(at_end.last)
    then = _while_running(ordered)
    running = _growth(then, shared)
    before_end = snapshot_before_end(then, running)
    with part(0.45, 0.9):
        found = find_growth(running)
    earlier_holders = grew_until_the_end(running, found, before_end)
    released = _released(then, shared)
    at_end.forget()
    running.forget()
    cases, bounded = name_holders(at_end, holders)
    known = {case.text for case in cases}
    earlier, bounded_then = name_holders(running, earlier_holders)
    cases += [
        case
        for case in earlier
        if case.text not in known
        and (
            _intervals_of(case.holder) >= _MIN_INTERVALS_RUNNING
            or not _is_smaller_in(ordered[-1].graph, case, shared)
        )
    ]
    cases += _released_cases(released, cases)
    texts = {holder.holder for holder in bounded}
    bounded += [holder for holder in bounded_then if holder.holder not in texts]
    return _largest_first(cases), bounded


def _largest_first(cases: Iterable[Case]) -> list[Case]:
    return sorted(cases, key=lambda case: -case.holder.share_bytes)


def _released(running: list[HeapSnapshot], shared: Shared) -> tuple[Growth, list[Holder]] | None:
    """Find what accumulated until the work ended, and was released with that; None without work.

    Before places and identities are forgotten, which it shares with the analyses before it.
    """
    before = at_work(running)
    if not before:
        return None
    growth = _growth(list(before), shared)
    return growth, released_holders(growth, find_growth(growth), running[-1])


def _released_cases(
    released: tuple[Growth, list[Holder]] | None, known: Sequence[Case]
) -> list[Case]:
    """Name the holders that were released with the work, without those that are known."""
    if released is None:
        return []
    growth, holders = released
    growth.forget()
    texts = {case.text for case in known}
    cases, _ = name_holders(growth, holders)
    return [
        case
        for case in cases
        if case.text not in texts and _intervals_of(case.holder) >= _MIN_INTERVALS_RUNNING
    ]


def _intervals_of(holder: Holder) -> int:
    """Return in how many intervals a holder grew, without the one in which it came."""
    return len(holder.lengths) - 1 - (holder.lengths[0] == 0)


def _while_running(ordered: list[HeapSnapshot]) -> list[HeapSnapshot]:
    """Return the snapshots before the end of a program.

    Those up to the return of its main function, if it was seen: a snapshot may come between that
    and the exit, and shows no variable either.
    """
    returns = [at for at, snapshot in enumerate(ordered) if snapshot.reason == "return"]
    if returns and len(ordered) - 2 - returns[-1] <= _MAX_AFTER_RETURN and returns[-1] >= 2:
        return ordered[: returns[-1] + 1]
    return ordered[:-1]


def _growth(ordered: list[HeapSnapshot], shared: Shared) -> Growth:
    """Choose the snapshots that tell something, and match their objects."""
    is_ending = ordered[-1].reason in ENDINGS
    steps = informative_steps([work_seconds(one) for one in ordered], is_ending=is_ending)
    chosen = [ordered[step] for step in steps]
    return Growth([one.graph for one in chosen], [work_seconds(one) for one in chosen], shared)


def _is_smaller_in(graph: HeapGraph, case: Case, shared: Shared) -> bool:
    """Tell whether the holder of a case exists in a later graph with fewer elements or bytes.

    Only of what modules hold: the address of a variable that is gone may be used again.
    """
    if case.path.root_kind != "module":
        return False
    later = shared.same(graph, case.graph).column()
    nodes = case.holder.members or (case.holder.node,)
    if all(later[node] == NONE for node in nodes):
        return False
    then = length_of(case.holder, case.graph, range(case.graph.node_count))
    return length_of(case.holder, graph, later) < then
