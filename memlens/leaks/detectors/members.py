"""The containers of a place in each snapshot of its life, and what they contain."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from memlens._core.layout import KIND_MASK, NONE, EdgeKind, NodeFlag
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.growth import Growth
from memlens.progress import reached

__all__ = ("elements_of", "first_key", "members_through_time")

_NOTHING = array("I")
_NATIVE = int(NodeFlag.NATIVE)
_NUMBERS = frozenset(("bool", "complex", "float", "int"))


def members_through_time(growth: Growth, members: array[int]) -> list[array[int]]:
    """Return the containers of a place in each snapshot of its life, the last ones first found.

    Those that have the key of the place then, and those that are the same objects as members.
    """
    key = growth.places(growth.end).key_of(members[0])
    through = [members]
    moved: set[int] = set()  # those of the latest found that are at another place
    for step in range(growth.end - 1, -1, -1):
        in_place = growth.places(step).containers.get(key, _NOTHING)
        listed = in_place if len(members) != 1 else _NOTHING
        others, moved = _the_same_elsewhere(growth, step, through[-1], listed, key, moved)
        # A single one that lives is followed itself.
        earlier = array("I", sorted([*listed, *others])) if others else in_place
        if not earlier:
            break
        through.append(earlier)
        reached(1 - step / growth.end)
    return through[::-1]


def _the_same_elsewhere(
    growth: Growth, step: int, nodes: array[int], listed: array[int], key: int, moved: set[int]
) -> tuple[set[int], set[int]]:
    """Return the nodes of a snapshot that are the same containers as those of the next one.

    Those that are ``listed`` are left out. Returns also which of them are not in the place with this
    key; ``moved`` are those in the next snapshot.
    """
    same, places = growth.same[step], growth.places(step)
    found: set[int] = set()
    elsewhere: set[int] = set()
    for node in checked_core.unlisted_nodes(nodes, same, listed):
        was = same[node]
        its_key = growth.places(step + 1).key_of(node) if node in moved else key
        if places.is_at(was, its_key):
            is_elsewhere = node in moved
        elif _keeps_contents(growth, step, was, node):
            is_elsewhere = True
        else:
            continue
        found.add(was)
        if is_elsewhere:
            elsewhere.add(was)
    return found, elsewhere


def _keeps_contents(growth: Growth, step: int, was: int, now: int) -> bool:
    """Tell whether a container at another place is the same as one at its address before.

    The address of a container that was freed is soon used again by another of its type, and those
    of numbers sooner still, so numbers are no evidence.
    """
    held = _without_numbers(growth, step, elements_of(growth, step, [was]))
    same = growth.same[step]
    kept = sum(1 for node in elements_of(growth, step + 1, [now]) if same[node] in held)
    return bool(held) and kept * 2 >= len(held)


def _without_numbers(growth: Growth, step: int, nodes: set[int]) -> set[int]:
    graph = growth.graphs[step]
    return {node for node in nodes if graph.type_of(node) not in _NUMBERS}


def elements_of(growth: Growth, step: int, nodes: Iterable[int]) -> set[int]:
    """Return what containers of a snapshot refer to: keys of a mapping, else the elements."""
    graph = growth.graphs[step]
    keys: set[int] = set()
    values: set[int] = set()
    for node in nodes:
        row = slice(graph.edge_offset[node], graph.edge_offset[node + 1])
        for target, label in zip(graph.edge_target[row], graph.edge_label[row], strict=True):
            kind = label & KIND_MASK
            if graph.node_flags[target] & _NATIVE:
                continue
            if kind == EdgeKind.ITEM:
                keys.add(target)
            elif kind != EdgeKind.WEAK:
                values.add(target)
    keys, values = growth.visible(keys, step), growth.visible(values, step)
    return keys if len(keys) * 2 >= len(values) else values


def first_key(graph: HeapGraph, node: int) -> int:
    """Return the first key of a dict, ``NONE`` where it has none or they are not seen."""
    start = graph.edge_offset[node]
    has_any = start < graph.edge_offset[node + 1]
    is_key = has_any and graph.edge_label[start] & KIND_MASK == EdgeKind.ITEM
    return graph.edge_target[start] if is_key else NONE
