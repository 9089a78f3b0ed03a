"""Capture the live heap: walk the objects, count references, find the roots."""

from __future__ import annotations

import gc
import sys
from array import array
from itertools import chain
from operator import attrgetter
from types import FunctionType
from typing import Any

from memlens._core.layout import SECTIONS, EdgeKind
from memlens._core.pure.access import function_code
from memlens._core.pure.edge_sections import count_inbound, drop_hidden, edge_sections, find_reached
from memlens._core.pure.edges import Plans
from memlens._core.pure.equal_sections import equal_sections
from memlens._core.pure.labels import StringTable, label
from memlens._core.pure.native_blocks import Measure, find_native, with_native
from memlens._core.pure.node_sections import node_flags, node_sizes
from memlens._core.pure.prefix_sections import prefix_sections
from memlens._core.pure.roots import Root, named_roots, remaining_roots
from memlens._core.pure.running_frames import (
    RunningFrame,
    held_by_frames,
    own_fields,
    running_frames,
)
from memlens._core.pure.table_sections import (
    container_sections,
    frame_sections,
    name_sections,
    root_sections,
    type_sections,
    value_sections,
)
from memlens._core.pure.tracked_objects import tracked_objects
from memlens._core.pure.unexplained_references import Explanations
from memlens._core.pure.walk import Walk, WalkedHeap

__all__ = ("capture",)

# The reference count of objects that are never freed is higher than any real one: about 1e9 for the
# frozen objects of 3.11, and 2**32 - 1 for immortal objects of 3.12 and 3.13.
_IMMORTAL_FROM = 1 << 29
# A free-threaded build adds this to the count of functions, classes, modules and code, and then leaves
# out the references of frames and some that it counts by thread (_Py_REF_DEFERRED).
_DEFERRED = sys.maxsize // 8


def capture(
    *,
    values: bool = False,
    own_prefix: str = "",
    skip_frames: int = 0,
    blocks: bytes = b"",
    native_types: tuple[type, ...] = (),
    measure: Measure | None = None,
) -> dict[str, array[int]]:
    """Capture the heap of this process as the sections of `memlens._core.layout`.

    ``values``: include the text of strings, bytes and numbers, also as dict keys. Frames of code
    in files whose path starts with ``own_prefix`` are left out, and so are the ``skip_frames``
    innermost other frames of the calling thread. The collector is disabled during the capture.

    ``blocks``: addresses of memory blocks whose owners are wanted; only the C core finds them.

    ``measure(objects, send)`` is called with all objects whose type is one of ``native_types``. It
    calls ``send`` with chunks (see `memlens._core.native_chunks`) about their native memory.

    In addition to the sections, ``failed_node`` has the objects whose type raised an error; their
    references have no names.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        # Get the list first, so that it contains no objects of the capture itself.
        adapters = native_types, measure
        return _capture(tracked_objects(), values, own_prefix, skip_frames, adapters)
    finally:
        if was_enabled:
            gc.enable()


def _capture(
    tracked: list[Any],
    values: bool,
    own_prefix: str,
    skip_frames: int,
    adapters: tuple[tuple[type, ...], Measure | None],
) -> dict[str, array[int]]:
    strings = StringTable()
    frames, hidden = running_frames(own_prefix, skip_frames)
    heap, roots, known = _walk(
        tracked, Walk(Plans(strings, values=values), hidden), frames, strings
    )
    inbound = count_inbound(heap)
    if inbound[0]:
        heap = drop_hidden(heap)
    native = find_native(heap, *adapters)
    excess, immortal = _weigh(heap, inbound, strings, frames, own_prefix)
    del inbound
    found = Explanations(heap, excess, strings)
    found.subclass_lists()
    found.module_names()
    found.embedded_dicts()
    found.running_frames(frames)
    found.library_references(native.edges_to_objects)
    roots += remaining_roots(heap, roots, found.excess, immortal, strings)
    roots.sort(key=attrgetter("kind"))
    reached = find_reached(heap, found.edges, roots, known)
    sections = type_sections(heap, strings)
    node_type = sections["node_type"]
    dict_label = label(EdgeKind.INTERNAL, strings["__dict__"])
    sections |= {
        "node_address": array("Q", [0, *map(id, heap.objects[1:])]),
        "node_size": node_sizes(heap, node_type, dict_label),
        "node_flags": node_flags(heap, node_type, immortal, reached, own_prefix),
    }
    add_native = with_native(sections, native, strings, found.edges)
    sections |= edge_sections(heap, found.edges, roots)
    sections |= root_sections(roots) | frame_sections(frames, strings)
    sections |= container_sections(heap, node_type, strings)
    sections |= name_sections(heap, node_type, strings)
    sections |= value_sections(heap, node_type if values else array("I"), strings)
    sections |= strings.sections()
    sections["failed_node"] = array("I", heap.failed)
    kept = {name: sections[name] for name in (*SECTIONS, "failed_node")}
    kept |= prefix_sections(heap, node_type, sections["node_size"])
    return add_native(kept | equal_sections(heap, node_type))


def _walk(
    tracked: list[Any], walk: Walk, frames: list[RunningFrame], strings: StringTable
) -> tuple[WalkedHeap, list[Root], int]:
    """Return the heap, its named roots, and how many nodes were reached from those."""
    named = named_roots(frames)
    walk.from_objects([root.obj for root in named])
    walk.from_objects(held_by_frames(frames))
    known = len(walk.objects)
    walk.from_objects(tracked)  # adds garbage and objects that only native code refers to
    tracked.clear()
    walk.from_weak_references()
    heap = walk.finish()
    number = heap.number
    roots = [
        Root(root.kind, strings[root.name], number[id(root.obj)], 0, root.frame) for root in named
    ]
    return heap, roots, known


def without_deferral(counts: list[int]) -> list[int]:
    """Return reference counts without what a free-threaded build adds to some of them.

    What is left may be less than the references that there are, never more: such an object is no root
    by its count, and native code that holds it is not seen.
    """
    if max(counts) < _DEFERRED // 2:
        return counts
    return [count - _DEFERRED if count >= _DEFERRED // 2 else count for count in counts]


def _weigh(
    heap: WalkedHeap, inbound: list[int], strings: StringTable, frames: list[RunningFrame], own: str
) -> tuple[dict[int, int], set[int]]:
    """Return the number of unexplained references of each node, and the immortal nodes.

    The references of the capture itself are subtracted: to names and frames, one each, and from
    the list of all objects.
    """
    fields, count = own_fields(own), sys.getrefcount
    held_once = chain(strings, map(attrgetter("frame"), frames))
    # Fields are referred to by frames and by the list; ``getrefcount`` by this frame and ``map``.
    for held in chain(held_once, fields, fields, [count, count]):
        inbound[heap.number.get(id(held), 0)] += 1
    del held, held_once
    counts = without_deferral([*map(count, heap.objects)])
    added = counts[0]  # references from the list of all objects and from the call
    excess = {
        node: count - known - added
        for node, (count, known) in enumerate(zip(counts, inbound))
        if count > known + added
    }
    excess.pop(0, None)
    for node in [node for node in excess if type(heap.objects[node]) is FunctionType]:
        code = function_code(heap.objects[node])
        if code is not None and any(code is field for field in fields):
            excess[node] -= 1  # its frame is running below this one
    immortal = {node for node in excess if counts[node] >= _IMMORTAL_FROM}
    return {node: left for node, left in excess.items() if left and node not in immortal}, immortal
