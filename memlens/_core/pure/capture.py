"""Captures the live heap: walks it, weighs its references, finds its roots."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, compress, repeat
from operator import attrgetter, eq, gt, is_, is_not
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
    try:
        # First of all: what is made after this is not in the list, so the capture is not in itself.
        return _capture(_tracked_objects(), values, own_prefix, skip_frames)
    finally:
        if was_enabled:
            gc.enable()


def _tracked_objects() -> list[Any]:
    """Return the objects that the collector tracks, without tuples that may be under construction.

    A tuple that another thread is filling, in ``tuple(generator)``, is tracked, and is resized in
    place at the end, which fails while anything else refers to it. So no other thread may run from
    the listing of the objects until the last reference to such a tuple is dropped. Iterators written
    in C ensure that: the interpreter switches threads between instructions of Python code only, and
    reading an iterator to its end is one instruction.
    """
    return _read(_objects_that_are_no_tuples) + _read(_complete_tuples)


def _read(make_iterator: Callable[[], Iterator[Any]]) -> list[Any]:
    """Return what an iterator over tracked objects yields, without its own parts."""
    own: set[int] = set()
    found: list[Any] = []
    found += _note_parts(make_iterator(), own)
    own |= {id(own), id(found)}
    others = [obj for obj in found if id(obj) not in own]
    found.clear()  # it is in itself
    return others


# Each of these "columns" is an iterator over lists, or over iterators over their elements. Nothing is
# listed before the first element is read.


def _objects_that_are_no_tuples() -> Iterator[Any]:
    objects = _repeated(map(gc.get_objects, repeat(None, 1)), 2)
    wanted = _each(is_not, _each(type, objects), repeat(repeat(tuple)))
    return chain.from_iterable(map(compress, objects, wanted))


def _complete_tuples() -> Iterator[Any]:
    """Select the tuples without empty slots, except those of a length at which one may be full.

    A complete tuple of such a length is found through the objects that refer to it.
    """
    objects = _repeated(map(gc.get_objects, repeat(None, 1)), 2)
    are_tuples = _each(is_, _each(type, objects), repeat(repeat(tuple)))
    tuples = _repeated(map(list, map(compress, objects, are_tuples)), 4)
    are_filled = _each(eq, _each(len, tuples), _each(len, _each(_referents, tuples)))
    may_grow = _each(_GROWING.__contains__, _each(len, tuples))
    return chain.from_iterable(map(compress, tuples, _each(gt, are_filled, may_grow)))


def _repeated(column: Iterator[Any], times: int) -> Iterator[Any]:
    """Yield each list of a column so many times: as often as it is read."""
    return chain.from_iterable(map(repeat, column, repeat(times)))


def _each(function: Callable[..., Any], *columns: Iterator[Any]) -> Iterator[Any]:
    """Call a function written in C with the elements of the lists."""
    return map(partial(map, function), *columns)


def _note_parts(iterator: Iterator[Any], ids: set[int]) -> Iterator[Any]:
    """Add the ids of an iterator and of all that it is made of: they are tracked themselves."""
    pending: list[Any] = [iterator]
    while pending:
        part = pending.pop()
        if type(part) in _PARTS and id(part) not in ids:
            ids.add(id(part))
            pending += _referents(part)
    return iterator


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
_PARTS = {chain, map, partial, repeat, tuple}


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
    sections |= container_sections(heap, node_type, strings)
    sections |= name_sections(heap, node_type, strings)
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
