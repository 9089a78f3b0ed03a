"""Containers that grow: in place, or replaced by a longer one under the same name; and buffers."""

from __future__ import annotations

from collections.abc import Iterator

from memlens._core.layout import LABEL_BITS, EdgeKind
from memlens.heap.graph import HeapGraph
from memlens.leaks.growth import Growth, Holder, length_in, rises

__all__ = ("LEAST_BUFFER_BYTES", "changed_containers", "growing_slots", "swelling_objects")

_KIND_MASK = (1 << LABEL_BITS) - 1
_TEXTS = frozenset({"str", "bytes"})
LEAST_BUFFER_BYTES = 1024  # of growth in all; less is how allocators round
_NEVER_BUFFERS = frozenset({"frame", "generator", "coroutine", "code", "type", "int"})


def changed_containers(growth: Growth) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the survivors that have more or fewer references than at first, with their lengths.

    Their lengths are one number for each snapshot.
    """
    first_same, offsets = growth.same[0], growth.last.edge_offset
    first_offsets = growth.graphs[0].edge_offset
    for node in growth.survivors():
        old = first_same[node]
        degree = offsets[node + 1] - offsets[node]
        if degree == first_offsets[old + 1] - first_offsets[old]:
            continue  # the quick look, for nearly all
        history = growth.through_time(node)
        if history:
            yield node, tuple(length_in(graph, number) for graph, number in history)


# -- a container, or a text, replaced by a longer one --------------------------------------------


def growing_slots(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield what was replaced by something longer, under one name of one owner, each time."""
    last = growth.last
    for owner in growth.survivors():
        start, end = last.edge_offset[owner], last.edge_offset[owner + 1]
        for index in range(start, end):
            target = last.edge_target[index]
            if not growth.new[target] or target in known:
                continue
            if (
                _extent(last, target) is None
                or last.edge_label[index] & _KIND_MASK == EdgeKind.WEAK
            ):
                continue
            lengths = _slot_lengths(growth, owner, index)
            if lengths is None or not rises(lengths):
                continue
            known.add(target)
            if last.length_of(target) is not None:
                yield Holder(target, "slot", lengths, growth.new_targets(target))
            elif lengths[-1] - lengths[0] >= LEAST_BUFFER_BYTES:
                yield Holder(target, "buffer", lengths, [])


def _extent(graph: HeapGraph, node: int) -> int | None:
    """Return the elements of a container, the bytes of a text; None for what has no extent."""
    if graph.type_of(node) in _TEXTS:
        return graph.node_size[node]
    return graph.length_of(node)


def _slot_lengths(growth: Growth, owner: int, index: int) -> tuple[int, ...] | None:
    """Return the length of what was under the same name of the same owner, a snapshot each."""
    numbers = growth.nodes_through_time(owner)
    last = growth.last
    wanted = last.edge(index, owner)
    if numbers is None or wanted.kind not in (EdgeKind.ATTRIBUTE, EdgeKind.CELL):
        return None  # only a name tells that it is the same slot
    lengths = []
    for graph, number in zip(growth.graphs, numbers, strict=True):
        for edge in graph.edges(number):
            if edge.kind is wanted.kind and edge.name == wanted.name:
                length = _extent(graph, edge.target)
                if length is None or graph.type_of(edge.target) != last.type_of(wanted.target):
                    return None
                lengths.append(length)
                break
        else:
            return None
    return tuple(lengths)


# -- what grows in its own memory ----------------------------------------------------------------


def swelling_objects(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield the survivors that grow in place, which no reference tells: a bytearray, a BytesIO.

    A list that gains the same object again and again is one of them.
    """
    last, first = growth.last, growth.graphs[0]
    first_same, sizes, first_sizes = growth.same[0], last.node_size, first.node_size
    for node in growth.survivors():
        grown = sizes[node] - first_sizes[first_same[node]]
        if grown < LEAST_BUFFER_BYTES or node in known or last.type_of(node) in _NEVER_BUFFERS:
            continue
        history = growth.through_time(node)
        if last.length_of(node) is not None:
            lengths = tuple(length_in(graph, number) for graph, number in history)
            if lengths and rises(lengths):
                yield Holder(node, "container", lengths, growth.new_targets(node))
            continue
        extents = tuple(graph.node_size[number] for graph, number in history)
        if extents and rises(extents):
            yield Holder(node, "buffer", extents, [])
