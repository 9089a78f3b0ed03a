"""Captures the live heap: walks it, weighs its references, finds its roots."""

from __future__ import annotations

import gc
import sys
import time
from array import array
from itertools import chain
from operator import attrgetter
from types import FunctionType
from typing import Any

from memlens._core.layout import SECTIONS, EdgeKind
from memlens._core.pure.edges import Plans
from memlens._core.pure.equality import equal_sections
from memlens._core.pure.explain import Explanations
from memlens._core.pure.facts import node_flags, node_sizes
from memlens._core.pure.graph import count_inbound, drop_hidden, edge_sections, find_reached
from memlens._core.pure.labels import StringTable, label
from memlens._core.pure.roots import Root, named_roots, remaining_roots
from memlens._core.pure.running import RunningFrame, held_by_frames, own_fields, running_frames
from memlens._core.pure.tables import (
    container_sections,
    frame_sections,
    name_sections,
    root_sections,
    type_sections,
    value_sections,
)
from memlens._core.pure.walk import Walk, WalkedHeap

__all__ = ("capture",)

# The interpreter gives objects that it never frees a reference count beyond any real one: 3.11 about
# 1e9 for what is frozen into it, 3.12 and 3.13 2**32 - 1 for immortal objects.
_IMMORTAL_FROM = 1 << 29


def capture(
    *, values: bool = False, own_prefix: str = "", skip_frames: int = 0
) -> dict[str, array[int]]:
    """Capture the heap of this process as the sections of `memlens._core.layout`.

    ``values``: also the text of strings, bytes and numbers, and of dict keys that are. Frames of
    code in files whose name starts with ``own_prefix`` are left out, and the ``skip_frames``
    innermost other ones of the calling thread. The collector is off meanwhile.

    Beside the sections, ``failed_node`` has the objects that the C code of their type did not let
    be looked at; their references have no names.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    interval = sys.getswitchinterval()
    try:
        _keep_other_threads_waiting(interval)
        # First of all: what is made after this is not in the list, so the capture is not in itself.
        # And in this frame, which is known as ours: the list has the frames, too (3.10). Without
        # variables for it to close over: their cells would be in the list as well.
        tracked = [
            obj
            for obj in gc.get_objects()
            if type(obj) is not tuple
            or (len(obj) not in _GROWING and len(_referents(obj)) == len(obj))
        ]
        sys.setswitchinterval(interval)
        return _capture(tracked, values, own_prefix, skip_frames)
    finally:
        sys.setswitchinterval(interval)
        if was_enabled:
            gc.enable()


def _growing_sizes() -> frozenset[int]:
    """Return the lengths that a tuple goes through while it is made from an iterator.

    From ``PySequence_Tuple``, the same in 3.10 to 3.13.
    """
    sizes, size = set(), 10
    while size < 1 << 40:
        sizes.add(size)
        size += 10
        size += size >> 2
    return frozenset(sizes)


_GROWING = _growing_sizes()
_referents = gc.get_referents


def _keep_other_threads_waiting(interval: float) -> None:
    """Make sure that no other thread runs until the list of tracked objects is sorted out.

    A tuple that another thread is filling, in ``tuple(generator)``, is in that list, and is resized
    in place at the end, which fails as long as anybody else refers to it. So nothing may run between
    getting the list and dropping such tuples from it: those with empty slots, and those of a length
    at which a tuple that is being made may be full (finished ones are found through their holders).

    A thread that waits for the interpreter asks for it after the switch interval. With a longer one
    set, the sleep is for those that wait already to begin again.
    """
    if len(sys._current_frames()) > 1:
        sys.setswitchinterval(max(interval, 0.05 + sys.getallocatedblocks() * 2e-7))
        time.sleep(min(interval, 0.02))


def _capture(
    tracked: list[Any], values: bool, own_prefix: str, skip_frames: int
) -> dict[str, array[int]]:
    strings = StringTable()
    frames, hidden = running_frames(own_prefix, skip_frames)
    heap, roots, known = _walk(
        tracked, Walk(Plans(strings, values=values), hidden), frames, strings
    )
    inbound = count_inbound(heap)
    if inbound[0]:
        heap = drop_hidden(heap)
    excess, immortal = _weigh(heap, inbound, strings, frames, own_prefix)
    del inbound
    found = Explanations(heap, excess, strings)
    found.subclass_lists()
    found.module_names()
    found.embedded_dicts()
    found.running_frames(frames)
    roots += remaining_roots(heap, roots, found.excess, immortal, strings)
    roots.sort(key=attrgetter("kind"))
    reached = find_reached(heap, found.edges, roots, known)
    sections = type_sections(heap, strings)
    node_type = sections["node_type"]
    dict_label = label(EdgeKind.INTERNAL, strings["__dict__"])
    sections |= {
        "node_address": array("Q", [0, *map(id, heap.objects[1:])]),
        "node_size": node_sizes(heap, node_type, dict_label),
        "node_flags": node_flags(heap, node_type, immortal, reached),
    }
    sections |= edge_sections(heap, found.edges, roots)
    sections |= root_sections(roots) | frame_sections(frames, strings)
    sections |= container_sections(heap, node_type, strings) | name_sections(
        heap, node_type, strings
    )
    sections |= value_sections(heap, node_type if values else array("I"), strings)
    sections |= strings.sections()
    sections["failed_node"] = array("I", heap.failed)
    kept = {name: sections[name] for name in (*SECTIONS, "failed_node")}
    return kept | equal_sections(heap, node_type)


def _walk(
    tracked: list[Any], walk: Walk, frames: list[RunningFrame], strings: StringTable
) -> tuple[WalkedHeap, list[Root], int]:
    """Return the heap, its named roots, and how many nodes were reached from those."""
    named = named_roots(frames)
    walk.from_objects([one.obj for one in named])
    walk.from_objects(held_by_frames(frames))
    known = len(walk.objects)
    walk.from_objects(tracked)  # what only native code holds, and garbage
    tracked.clear()
    walk.from_weak_references()
    heap = walk.finish()
    number = heap.number
    roots = [Root(one.kind, strings[one.name], number[id(one.obj)], 0, one.frame) for one in named]
    return heap, roots, known


def _weigh(
    heap: WalkedHeap, inbound: list[int], strings: StringTable, frames: list[RunningFrame], own: str
) -> tuple[dict[int, int], set[int]]:
    """Return the references to each node that the heap does not explain, and the immortal nodes.

    The capture itself still holds names and frames, once each, beside the list of all objects.
    """
    fields, count = own_fields(own), sys.getrefcount
    held_once = chain(strings, map(attrgetter("frame"), frames))
    # The fields by the frames and by our list; the function here and by ``map``.
    for held in chain(held_once, fields, fields, [count, count]):
        inbound[heap.number.get(id(held), 0)] += 1
    del held, held_once
    counts = [*map(count, heap.objects)]
    added = counts[0]  # by the list of all objects and by the count itself
    excess = {
        node: count - known - added
        for node, (count, known) in enumerate(zip(counts, inbound))
        if count > known + added
    }
    excess.pop(0, None)
    for node in [node for node in excess if type(heap.objects[node]) is FunctionType]:
        if any(heap.objects[node].__code__ is field for field in fields):
            excess[node] -= 1  # it runs, below us
    immortal = {node for node in excess if counts[node] >= _IMMORTAL_FROM}
    return {node: left for node, left in excess.items() if left and node not in immortal}, immortal
