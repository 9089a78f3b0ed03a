"""Objects that grow in their own memory: buffers in place, and texts that longer ones replace.

They have no elements that could be followed. What is known of texts, buffers and ints is whether they
still begin as they did: a buffer that accumulates keeps its beginning, one that is filled and
emptied does not. Of anything else only even growth counts, since something that is emptied now and
then may be larger three times by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.gates import is_even, rates, slows_down
from memlens.leaks.growth import Growth, Holder

__all__ = ("MIN_BUFFER_BYTES", "growing_buffers")

MIN_LARGE_BYTES = 512  # with a beginning of its own
MIN_BUFFER_BYTES = 1024  # of growth in all; less is how allocators round
_MIN_STEP_BYTES = 64  # in each interval
_NEVER_BUFFERS = frozenset({"frame", "generator", "coroutine", "code", "type", "function"})
# Calculations make larger numbers, too: only one that keeps its lowest digits accumulates bits.
_KNOWN_ONLY = frozenset({"int"})
# Their text is not seen: of two snapshots nothing tells whether it is the same one.
_BEGINNING_UNSEEN = frozenset({"_io.StringIO"})
_MAX_ALIKE = 3  # buffers of one place that are looked at on their own
_MIN_GROWTH_OF_MANY = 0.2  # of many buffers together, relative to their first size
_MIN_INTERVALS_KEPT = 2  # in which a beginning stays
_MIN_INTERVALS_EVEN = 3  # where nothing is known of the beginning
_MIN_STEP_SHARE = 0.1  # of the mean, where the beginning stays
_QUIET_INTERVALS = 4  # of so many one may show no growth: buffers grow ahead of their contents


def growing_buffers(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield a holder for each object, or text under one name, that grew and kept its beginning."""
    last = growth.last
    for key, nodes in growth.places(growth.end).buffers.items():
        buffers = [
            node for node in nodes if node not in known and last.type_of(node) not in _NEVER_BUFFERS
        ]
        if len(buffers) > 1 and (holder := _many(growth, key, buffers)) is not None:
            known.update(buffers)
            yield holder
        elif len(buffers) <= _MAX_ALIKE:
            for node in buffers:
                start, history = _through_time(growth, node, key)
                sizes = [
                    graph.node_size[at]
                    for graph, at in zip(growth.graphs[start:], history, strict=True)
                ]
                stays = _stays(growth.graphs[start:], history)
                if _is_told(last.type_of(node), stays) and _grows(growth, sizes, start, stays):
                    known.add(node)
                    yield Holder(node, "buffer", start, tuple(sizes), [])
                    break


def _grows(growth: Growth, sizes: Sequence[int], start: int, stays: Sequence[bool | None]) -> bool:
    """Tell whether sizes through time are those of a leak.

    ``stays``: of each interval whether the beginning stayed, None where that is unknown.
    """
    if len(sizes) < min(3, len(growth.graphs)) or sizes[-1] - sizes[0] < MIN_BUFFER_BYTES:
        return False
    steps = [after - before for before, after in pairwise(sizes)]
    seconds = growth.seconds[start:]
    if False in stays or slows_down(steps, seconds):
        return False
    if len(steps) == 1:
        return True  # two snapshots: no more can be asked for
    if all(stays[-_MIN_INTERVALS_KEPT:]):
        quiet = sum(1 for step in steps if step < _MIN_STEP_BYTES)
        fair = _MIN_STEP_SHARE * sum(steps) / len(steps)
        return min(steps) >= 0 and quiet <= len(steps) // _QUIET_INTERVALS and steps[-1] >= fair
    if min(steps) < _MIN_STEP_BYTES or len(steps) < _MIN_INTERVALS_EVEN:
        return False
    return is_even(steps) or is_even(rates(steps, seconds))


def _is_told(type_name: str, stays: Sequence[bool | None]) -> bool:
    """Tell whether enough is known of a beginning to judge an object of a type."""
    if type_name in _BEGINNING_UNSEEN and len(stays) < _MIN_INTERVALS_KEPT:
        return False
    return type_name not in _KNOWN_ONLY or (bool(stays) and all(stays[-_MIN_INTERVALS_KEPT:]))


def _stays(graphs: Sequence[HeapGraph], nodes: Sequence[int]) -> list[bool | None]:
    """Tell for each interval whether an object begins as before, None where that is unknown."""
    prefixes = [_beginning(graph, node) for graph, node in zip(graphs, nodes, strict=True)]
    return [
        None if before is None or after is None else before == after
        for before, after in pairwise(prefixes)
    ]


def _beginning(graph: HeapGraph, node: int) -> int | None:
    """Return the hash of the beginning of a large object; that of a small text is of all of it."""
    return graph.prefix_of(node) if graph.node_size[node] >= MIN_LARGE_BYTES else None


def _many(growth: Growth, key: int, nodes: list[int]) -> Holder | None:
    """Return the buffers of one place as a holder, where they get larger and not more."""
    through: list[Sequence[int]] = [nodes]
    for step in range(growth.end - 1, -1, -1):
        before = growth.places(step).buffers.get(key)
        if not before:
            break
        through.append(before)
    through.reverse()
    start = growth.end + 1 - len(through)
    extents = [
        sum(graph.node_size[node] for node in buffers)
        for graph, buffers in zip(growth.graphs[start:], through, strict=True)
    ]
    if max(map(len, through)) > 1.05 * min(map(len, through)) or len(through) < 4:
        return None
    if extents[-1] - extents[0] < _MIN_GROWTH_OF_MANY * extents[0]:
        return None
    stays = _most_stay(growth.graphs[start:], through)
    if not _is_told(growth.last.type_of(nodes[0]), stays):
        return None
    if not _grows(growth, extents, start, stays):
        return None
    ordered = sorted(nodes, key=lambda node: -growth.last.node_size[node])
    return Holder(ordered[0], "buffer", start, tuple(extents), [], members=tuple(ordered))


def _most_stay(graphs: Sequence[HeapGraph], through: Sequence[Sequence[int]]) -> list[bool | None]:
    """Tell for each interval whether most of the beginnings in a place are still there."""
    beginnings = [
        [prefix for node in nodes if (prefix := _beginning(graph, node)) is not None]
        for graph, nodes in zip(graphs, through, strict=True)
    ]
    return [
        len(set(after).intersection(before)) * 2 > len(set(before)) if before and after else None
        for before, after in pairwise(beginnings)
    ]


def _through_time(growth: Growth, node: int, key: int) -> tuple[int, list[int]]:
    """Return where the history of an object or its place begins, and its node in each snapshot."""
    nodes = [node]
    step, at = growth.end, node
    kind = growth.last.type_of(node)
    while step > 0:
        was = growth.earlier(at, step)
        step -= 1
        if was == NONE:
            before = [
                other
                for other in growth.places(step).buffers.get(key, ())
                if growth.graphs[step].type_of(other) == kind
            ]
            if len(before) != 1:
                return step + 1, nodes[::-1]
            was = before[0]
        nodes.append(was)
        at = was
    return 0, nodes[::-1]
