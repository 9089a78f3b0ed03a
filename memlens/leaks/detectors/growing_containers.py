"""Containers that grow: in place, or replaced by a longer one under the same name; and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress, pairwise

from memlens import _core
from memlens._core.layout import EdgeKind
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.leaks.growth import Growth, Holder, length_in, rises

__all__ = (
    "MIN_BUFFER_BYTES",
    "changed_containers",
    "growing_slots",
    "keeps_elements",
    "swelling_objects",
)

_NAMED = (EdgeKind.ATTRIBUTE, EdgeKind.CELL)
_TEXTS = frozenset({"str", "bytes"})
MIN_BUFFER_BYTES = 1024  # of growth in all; less is how allocators round
_NEVER_BUFFERS = frozenset({"frame", "generator", "coroutine", "code", "type", "int"})


def changed_containers(growth: Growth) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the survivors that have more or fewer references than at first, with their lengths.

    Their lengths are one number for each snapshot.
    """
    for node in growth.changed_rows():
        history = growth.through_time(node)
        if history:
            yield node, tuple(length_in(graph, number) for graph, number in history)


# -- a container, or a text, replaced by a longer one --------------------------------------------


def growing_slots(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield what was replaced by something longer, under one name of one owner, each time.

    A container must have kept most of its elements: one that is filled anew each time may be
    longer by chance. A text must have grown steadily, which takes four snapshots to tell.
    """
    last = growth.last
    edges = _core.edges_between(
        last.edge_offset, last.edge_target, last.edge_label, growth.survived, _new_extents(growth)
    )
    for index in edges:
        target = last.edge_target[index]
        if target in known:
            continue
        edge = last.edge(index, last.edge_source(index))
        through = _slot_through_time(growth, edge)
        lengths = tuple(_extent(graph, node) or 0 for graph, node in through)
        if not through or not rises(lengths):
            continue
        if last.length_of(target) is not None:
            if keeps_elements(growth, through[-2][1], target):
                known.add(target)
                yield Holder(target, "slot", lengths, growth.new_targets(target))
        elif lengths[-1] - lengths[0] >= MIN_BUFFER_BYTES and _is_steady(lengths):
            known.add(target)
            is_inside = edge.kind is EdgeKind.INTERNAL
            yield Holder(edge.source if is_inside else target, "buffer", lengths, [])


def _new_extents(growth: Growth) -> bytes:
    """Mark the new containers and texts."""
    last = growth.last
    texts = {row for row, name in enumerate(last.type_names) if name in _TEXTS}
    marks = bytearray(
        new and row in texts for new, row in zip(growth.new, last.node_type, strict=True)
    )
    for node in last.sections["container_node"]:
        marks[node] = growth.new[node]
    return bytes(marks)


def keeps_elements(growth: Growth, before: int, now: int) -> bool:
    """Tell whether a container still holds half of what it held in the snapshot before."""
    same = growth.same[-1]
    held = set(growth.graphs[-2].strong_targets(before))
    kept = {same[target] for target in growth.last.strong_targets(now)}
    return bool(held) and 2 * len(held & kept) >= len(held)


def _is_steady(lengths: Sequence[int]) -> bool:
    steps = [after - before for before, after in pairwise(lengths)]
    return len(steps) >= 3 and min(steps) * 2 * len(steps) >= sum(steps)


def _extent(graph: HeapGraph, node: int) -> int | None:
    """Return the elements of a container, the bytes of a text; None for what has no extent."""
    if graph.type_of(node) in _TEXTS:
        return graph.node_size[node]
    return graph.length_of(node)


def _slot_through_time(growth: Growth, wanted: Edge) -> list[tuple[HeapGraph, int]]:
    """Return what was under the same name of the same owner, in each graph; empty if not in all.

    Only a name tells that it is the same slot; or that it is a buffer's own text, its only one.
    """
    is_text = growth.last.type_of(wanted.target) in _TEXTS
    if wanted.kind not in _NAMED and not (wanted.kind is EdgeKind.INTERNAL and is_text):
        return []
    found = []
    for graph, number in growth.through_time(wanted.source):
        of_kind = growth.last.type_of(wanted.target)
        targets = [
            edge.target
            for edge in graph.edges(number)
            if edge.kind is wanted.kind
            and edge.name == wanted.name
            and graph.type_of(edge.target) == of_kind
        ]
        if len(targets) != 1:
            return []
        found.append((graph, targets[0]))
    return found


# -- what grows in its own memory ----------------------------------------------------------------


def swelling_objects(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield the survivors that grow in place, which no reference tells: a bytearray, a BytesIO.

    A list that gains the same object again and again is one of them.
    """
    last, first = growth.last, growth.graphs[0]
    first_same, sizes, first_sizes = growth.same[0], last.node_size, first.node_size
    for node in compress(range(last.node_count), growth.survived):
        grown = sizes[node] - first_sizes[first_same[node]]
        if grown < MIN_BUFFER_BYTES or node in known or last.type_of(node) in _NEVER_BUFFERS:
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
