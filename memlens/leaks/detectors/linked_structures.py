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
from memlens.leaks.places import TRIE_NODES

__all__ = ("linked_structures",)

_MIN_LINKS = 9
_MAX_PLACES = 200


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
    head, first = _head(growth.last, growth.places(growth.end).keys, through[-1])
    if head == NONE:
        return None
    entries = [node for node, when in arrival.items() if when]
    entries = [node for node in entries if not growth.last.flags[node] & HIDDEN]
    return Holder(head, "chain", start, tuple(lengths), entries, members=(first,))


def _head(graph: HeapGraph, keys: Sequence[int], links: Sequence[int]) -> tuple[int, int]:
    """Return what a chain hangs on, and its first link: above all that are of the links' types."""
    kinds = {graph.node_type[link] for link in links}
    key, first, node = keys[links[0]], links[0], links[0]
    while node and (keys[node] == key or graph.node_type[node] in kinds or _is_trie(graph, node)):
        edge = graph.path_edges[node]
        if edge == NONE:
            return NONE, first
        first, node = node, graph.edge_source(edge)
    return node or NONE, first


def _is_trie(graph: HeapGraph, node: int) -> bool:
    """Tell whether an object is a node of a context's trie, which has its own detector."""
    return graph.type_of(node).startswith(TRIE_NODES)
