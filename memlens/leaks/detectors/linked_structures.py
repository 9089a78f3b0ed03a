"""Chains and trees: objects that refer to others of their kind, more of them each time.

No container need grow: a linked list, a traceback, a request that keeps the one before it. All links
of a chain are one place, because a place does not count repetitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.detectors.accumulating_places import follow_elements
from memlens.leaks.gates import is_leak
from memlens.leaks.growth import HIDDEN, Growth, Holder
from memlens.leaks.places import TRIE_NODES, PlaceIndex

__all__ = ("linked_structures",)

_MIN_LINKS = 9
_MAX_PLACES = 200
_LOOKED_AT = 20  # links at either end, for what lies between two
_MAX_BETWEEN = 3  # containers between two instances of a class: a table of attributes, a list


def linked_structures(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield the heads of chains and trees that have grown in every interval and kept their links."""
    last = growth.places(growth.end)
    before = growth.places(growth.end - 1)
    counts = before.repeated.counts()
    gains = {
        key: count - counts.get(key, 0)
        for key, count in last.repeated.counts().items()
        if count > counts.get(key, 0)
    }
    for key in sorted(gains, key=lambda key: -gains[key])[:_MAX_PLACES]:
        holder = _holder(growth, key)
        if holder is not None and holder.node not in known:
            known.add(holder.node)
            yield holder


def _holder(growth: Growth, key: int) -> Holder | None:
    through: list[Sequence[int]] = []
    for step in range(growth.end, -1, -1):
        nodes = growth.places(step).repeated.get(key)
        if not nodes:
            break
        through.append(nodes)
    through.reverse()
    start = growth.end + 1 - len(through)
    if len(through) < min(3, len(growth.graphs)) or _is_trie(growth.last, through[-1][0]):
        return None
    lengths = [len(nodes) for nodes in through]
    contents, arrival = follow_elements(growth, [set(nodes) for nodes in through], lengths)
    if not is_leak(contents) or sum(contents.steps) < _MIN_LINKS:
        return None
    head, first = _head(growth.last, growth.places(growth.end), through[-1])
    if head == NONE:
        return None
    entries = [node for node, when in arrival.items() if when]
    entries = [node for node in entries if not growth.last.flags[node] & HIDDEN]
    return Holder(head, "chain", start, tuple(lengths), entries, members=(first,))


def _head(graph: HeapGraph, places: PlaceIndex, links: Sequence[int]) -> tuple[int, int]:
    """Return what a structure hangs on, and its first link: above all that are of the links' types.

    Instances of a class may refer to each other by containers in between: a tree is named by what
    refers to its root, not by a list of children in it.
    """
    kinds = {graph.node_type[link] for link in links}
    classes = _classes(graph, [*links[:_LOOKED_AT], *links[-_LOOKED_AT:]], kinds)
    key, first, node, between = places.key_of(links[0]), links[0], links[0], 0
    head = below = NONE
    while node and between <= _MAX_BETWEEN:
        kind = graph.node_type[node]
        if kind in classes or (
            not between and (places.key_of(node) == key or kind in kinds or _is_trie(graph, node))
        ):
            first, head, between = node, NONE, 0
        else:
            between += 1
            if head == NONE:
                head, below = node, first
        edge = graph.path_edges[node]
        if edge == NONE:
            return NONE, first
        node = graph.edge_source(edge)
    return (NONE, first) if head == NONE else (head, below)


def _classes(graph: HeapGraph, links: Sequence[int], kinds: set[int]) -> set[int]:
    """Return the classes, in rows of the type table, of the links and of what lies between two."""
    found = set(kinds)
    for link in links:
        node = link
        passed: set[int] = set()
        for _ in range(_MAX_BETWEEN + 1):
            edge = graph.path_edges[node]
            node = 0 if edge == NONE else graph.edge_source(edge)
            if not node:
                break
            if graph.node_type[node] in kinds:
                found |= passed
                break
            passed.add(graph.node_type[node])
    return {kind for kind in found if "." in graph.type_names[kind]}


def _is_trie(graph: HeapGraph, node: int) -> bool:
    """Tell whether an object is a node of a context's trie, which has its own detector."""
    return graph.type_of(node).startswith(TRIE_NODES)
