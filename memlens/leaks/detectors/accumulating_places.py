"""Places that accumulate elements: containers that grow in place, or that longer ones replace.

A place is followed through the snapshots by its key, and its containers by their identity. So it
does not matter whether one list grows, whether a tuple is rebuilt each time, or whether each of
many instances keeps a little more.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace

from memlens._core.layout import NodeFlag
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.views.visibility import OWN, shown_totals
from memlens.leaks.detectors.members import elements_of, members_through_time
from memlens.leaks.detectors.reused_addresses import the_same_before
from memlens.leaks.gates import (
    Contents,
    can_be_leak,
    is_initial_load,
    is_leak,
    onset_of,
    steps_of,
)
from memlens.leaks.growth import NOT_ELEMENTS, Growth, Holder, length_in
from memlens.progress import part, reached

__all__ = ("accumulating_places", "follow_elements")

_MAX_PLACES = 400  # looked at closely; of more, those that gained the most elements
_SHORT_HISTORY = 3  # snapshots: then the one before a place existed counts, too
_MAX_SINGLE = 3  # containers of one place that are looked at on their own
_MORE = 1.1  # containers of a place in the last snapshot, relative to the one before
_MIN_HELD_BYTES, _MIN_HELD_SHARE = 1 << 20, 0.5  # by a place that only the last of two shows
_NOTHING = array("I")
_MIN_ATTRIBUTES = 10  # of a namespace, an interval: a program sets a few as it runs


def accumulating_places(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield the holders among the containers; ``known`` collects their nodes."""
    ours = growth.places(growth.end).holding_own
    for found, begin, end in _candidates(growth):
        members = array("I", [node for node in found if node not in ours])
        if not members:
            continue
        with part(begin, end):
            holder = _holder(growth, members) or _single(growth, members)
        if holder is not None and known.isdisjoint(holder.members or (holder.node,)):
            known.update(holder.members or (holder.node,))
            yield holder


def _candidates(growth: Growth) -> Iterator[tuple[array[int], float, float]]:
    """Yield the containers of each place whose length has risen, most elements gained first.

    With the shares of the work that are done before and after them, which is as much as they gained.
    """
    places = growth.places(growth.end).containers
    gains = _gains(growth)
    keys = sorted(gains, key=lambda key: -gains[key])[:_MAX_PLACES]
    total, done = sum(gains[key] for key in keys), 0
    for key in keys:
        yield places[key], done / total, (done + gains[key]) / total
        done += gains[key]


def _gains(growth: Growth) -> dict[int, int]:
    """Return for each place whose length has risen by how much."""
    last = growth.places(growth.end)
    before = growth.places(growth.end - 1)
    total_before = dict(before.lengths())
    gains: dict[int, int] = {}
    for key, length in last.lengths():
        gained = length - total_before.get(key, 0 if len(growth.graphs) == 2 else length)
        if gained > 0:
            gains[key] = gained
    for key, gained in last.gains(growth.same[-1], before):
        if gained and key not in gains:  # the path to a container may have changed
            gains[key] = gained
    return gains


def follow_elements(
    growth: Growth, elements: Sequence[set[int]], lengths: Sequence[int]
) -> tuple[Contents, dict[int, int]]:
    """Follow the elements of a place through the last ``len(elements)`` snapshots.

    Returns its contents, and for each element that is there at the end the position of the snapshot
    in which it came, 0 for the first of the place's life.
    """
    start = growth.end + 1 - len(elements)
    arrival = dict.fromkeys(elements[0], 0)
    added, removed = [], []
    for position in range(1, len(elements)):
        before = the_same_before(growth, start + position, elements[position])
        now = {node: arrival.get(before[node], position) for node in elements[position]}
        stayed = sum(1 for when in now.values() if when < position)
        added.append(len(now) - stayed)
        removed.append(len(arrival) - stayed)
        arrival = now
        reached(position / len(elements))
    kept = [0] * len(added)
    for when in arrival.values():
        if when:
            kept[when - 1] += 1
    return Contents(lengths, added, removed, kept, growth.seconds[start:]), arrival


def _holder(growth: Growth, members: array[int]) -> Holder | None:
    """Return the holder that the containers of a place are, None where they are no leak."""
    with part(0, 0.4):
        through = members_through_time(growth, members)
    is_late = 2 <= len(through) <= _SHORT_HISTORY and len(through) < len(growth.graphs)
    if is_late:  # it was empty before it existed: of a short program there is no more to see
        holder = _holder_over(growth, members, [_NOTHING, *through])
        if holder is not None:
            return holder
    if len(growth.graphs) == 2 and len(through) == 1:
        holder = _holder_over(growth, members, [_NOTHING, *through])
        return holder if holder is not None and _is_most_of_the_growth(growth, members) else None
    if len(through) < min(3, len(growth.graphs)):
        return None
    return _holder_over(growth, members, through)


def _is_most_of_the_growth(growth: Growth, members: array[int]) -> bool:
    """Tell whether a place that two snapshots show once, in the last, holds most of what is new.

    Any program makes containers as it starts. One that holds most of a large growth is reported,
    with the low confidence of two snapshots.
    """
    held = sum(growth.last.retained_bytes(node) for node in members)
    grown = (
        shown_totals(growth.last, OWN).total_bytes - shown_totals(growth.graphs[0], OWN).total_bytes
    )
    return held >= _MIN_HELD_BYTES and held >= _MIN_HELD_SHARE * grown


def _holder_over(growth: Growth, members: array[int], through: list[array[int]]) -> Holder | None:
    """Return the holder of a place with these containers in the last ``len(through)`` snapshots."""
    first = growth.end + 1 - len(through)
    lengths = [sum(growth.lengths(nodes, step)) for step, nodes in enumerate(through, first)]
    onset = onset_of(lengths)
    through, lengths = through[onset:], lengths[onset:]
    start = growth.end + 1 - len(through)
    graphs = growth.graphs[start:]
    is_born = not through[0]
    # What needs no look at the elements comes first: a place may have many.
    if lengths[-1] <= lengths[0] or not can_be_leak(
        lengths, growth.seconds[start:], is_born=is_born
    ):
        return None
    if not _is_beyond_imports(growth, members, steps_of(lengths), start):
        return None
    if len(members) > 1 and not _get_longer(growth, members, through, lengths):
        return None  # more containers, not longer ones: what holds them accumulates
    elements = [elements_of(growth, step, nodes) for step, nodes in enumerate(through, start)]
    contents, arrival = follow_elements(growth, elements, lengths)
    if len(members) == 1 and len(elements[-1]) * 2 < lengths[-1]:
        # One object many times, or small integers: there are no elements to follow.
        steps = contents.steps
        contents = replace(contents, added=steps, removed=[0] * len(steps), kept=steps)
        arrival = {}
    if is_born and is_initial_load(contents):
        return None
    contents = replace(contents, bytes_grown=_retained_growth(graphs, through), is_born=is_born)
    if not is_leak(contents):
        return None
    grown = _grown_members(growth, members, start)
    if len(grown) > 1:
        shape = "cluster"
    else:
        shape = "slot" if growth.births[grown[0]] > start + is_born else "container"
    return Holder(
        grown[0],
        shape,
        start,
        tuple(lengths),
        _new_entries(growth, grown, arrival, start),
        members=tuple(grown) if shape == "cluster" else (),
    )


def _single(growth: Growth, members: array[int]) -> Holder | None:
    """Return one container that grows where the others of its place come and go."""
    if len(members) < 2:
        return None
    gains = growth.gains(members)
    for node in sorted(gains, key=lambda node: -gains[node])[:_MAX_SINGLE]:
        if (holder := _holder(growth, array("I", [node]))) is not None:
            return holder
    return None


def _retained_growth(graphs: Sequence[HeapGraph], through: list[array[int]]) -> int:
    first, last = (sum(graphs[at].retained_bytes(node) for node in through[at]) for at in (0, -1))
    return last - first


def _is_beyond_imports(
    growth: Growth, members: array[int], steps: Sequence[int], start: int
) -> bool:
    """Tell whether growth is more than imports and a program's own start bring about."""
    if not any(growth.last.has(node, NodeFlag.NAMESPACE) for node in members):
        return True
    if min(steps) < _MIN_ATTRIBUTES:
        return False
    imports = growth.imports[start:]
    quiet = [
        step for step, while_importing in zip(steps, imports, strict=True) if not while_importing
    ]
    return not any(imports) or (len(quiet) >= 2 and min(quiet) >= _MIN_ATTRIBUTES)


def _get_longer(
    growth: Growth, members: array[int], through: list[array[int]], lengths: list[int]
) -> bool:
    """Tell whether the containers of a place get longer, rather than more.

    Where there are more of them, those that existed before must have gained most of the growth:
    what comes with each new object is held by what holds the object.
    """
    count = len(through[-1])
    if count > _MORE * len(through[-2]):
        # A new one may have the address of one that was shorter, and somewhere else.
        same, before = growth.same[-1], set(through[-2])
        gains = growth.gains(members).items()
        gained = sum(gain for node, gain in gains if same[node] in before)
        return gained * 2 >= lengths[-1] - lengths[-2]
    if not through[0]:
        return True
    return lengths[-1] * len(through[0]) > 1.05 * lengths[0] * count


def _grown_members(growth: Growth, members: array[int], start: int) -> list[int]:
    """Return the containers that are longer than at the start, the longest first."""
    lengths = dict(zip(members, growth.lengths(members, growth.end), strict=True))
    grown = [node for node in members if _is_longer(growth, node, lengths[node], start)]
    return sorted(grown or members, key=lambda node: -lengths[node])


def _is_longer(growth: Growth, node: int, length: int, start: int) -> bool:
    first = growth.births[node]
    if first > start:
        return True
    return length > length_in(growth.graphs[first], growth.history(node)[0])


def _new_entries(
    growth: Growth, members: list[int], arrival: dict[int, int], start: int
) -> list[int]:
    """Return what was added since the start: of a mapping, keys and values."""
    flags = growth.last.flags
    found: dict[int, None] = {}
    for node in members:
        for target in growth.last.strong_targets(node):
            is_new = arrival.get(target) or growth.is_new(target, start)
            if is_new and not flags[target] & NOT_ELEMENTS:
                found[target] = None
    return list(found)
