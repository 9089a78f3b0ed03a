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
_MAX_ALIKE = 3  # buffers of one place; of more, the place is one of comings and goings


def growing_buffers(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield a holder for each object, or text under one name, that grew steadily."""
    last = growth.last
    for key, nodes in growth.places(growth.end).buffers.items():
        if len(nodes) > _MAX_ALIKE:
            continue
        for node in nodes:
            if node in known or last.type_of(node) in _NEVER_BUFFERS:
                continue
            start, extents = _sizes_through_time(growth, node, key)
            if len(extents) < min(3, len(growth.graphs)):
                continue
            if extents[-1] - extents[0] >= MIN_BUFFER_BYTES and _grows(growth, extents, start):
                known.add(node)
                yield Holder(node, "buffer", start, tuple(extents), [])
                break


def _grows(growth: Growth, extents: list[int], start: int) -> bool:
    steps = [after - before for before, after in pairwise(extents)]
    if min(steps) < 64 or slows_down(steps, growth.seconds[start:]):
        return False
    return len(steps) < 3 or is_steady(extents)


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
