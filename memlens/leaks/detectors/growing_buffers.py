"""Objects that grow in their own memory: buffers in place, and texts that longer ones replace.

They have no elements that could be followed, so only steady growth counts: something that is
filled and emptied, or replaced by something of any length, may be larger three times by chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from memlens._core.layout import NONE
from memlens.leaks.gates import is_steady, slows_down
from memlens.leaks.growth import Growth, Holder

__all__ = ("MIN_BUFFER_BYTES", "growing_buffers")

MIN_BUFFER_BYTES = 1024  # of growth in all; less is how allocators round
_NEVER_BUFFERS = frozenset({"frame", "generator", "coroutine", "code", "type", "int", "function"})
_MAX_ALIKE = 3  # buffers of one place that are looked at on their own
_MIN_GROWTH_OF_MANY = 0.2  # of many buffers together, relative to their first size


def growing_buffers(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield a holder for each object, or text under one name, that grew steadily."""
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
                start, extents = _sizes_through_time(growth, node, key)
                if _grows(growth, extents, start):
                    known.add(node)
                    yield Holder(node, "buffer", start, tuple(extents), [])
                    break


def _grows(growth: Growth, extents: list[int], start: int) -> bool:
    if len(extents) < min(3, len(growth.graphs)) or extents[-1] - extents[0] < MIN_BUFFER_BYTES:
        return False
    steps = [after - before for before, after in pairwise(extents)]
    if min(steps) < 64 or slows_down(steps, growth.seconds[start:]):
        return False
    return len(steps) < 3 or is_steady(extents)


def _many(growth: Growth, key: int, nodes: list[int]) -> Holder | None:
    """Return the buffers of one place as a holder, where they get larger and not more."""
    through = [nodes]
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
    if not _grows(growth, extents, start):
        return None
    ordered = sorted(nodes, key=lambda node: -growth.last.node_size[node])
    return Holder(ordered[0], "buffer", start, tuple(extents), [], members=tuple(ordered))


def _sizes_through_time(growth: Growth, node: int, key: int) -> tuple[int, list[int]]:
    """Return where the history of an object or its place begins, and the size in each snapshot."""
    extents = [growth.last.node_size[node]]
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
                return step + 1, extents[::-1]
            was = before[0]
        extents.append(growth.graphs[step].node_size[was])
        at = was
    return 0, extents[::-1]
