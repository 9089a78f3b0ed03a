"""Chains and other structures that grow without any container growing: linked lists, tracebacks.

Found by the nearest old dominator of the new objects, which is the head of the chain.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import compress

from memlens import _core
from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.growth import HIDDEN, Growth, Holder, rises

__all__ = ("find_chains",)

_TRIE_NODES = "hamt"  # of contextvars
_LINK_OBJECTS = 12  # a link of a chain is no more objects than this, with its payload


def find_chains(growth: Growth, holders: Iterable[Holder]) -> list[Holder]:
    """Find old objects below which ever more new ones hang that no growing container explains."""
    explained: set[int] = set()
    for holder in holders:
        explained.add(holder.node)
        explained.update(holder.gained)
    counts = [
        _hanging_below(growth, step, explained if step == len(growth.graphs) - 1 else set())
        for step in range(1, len(growth.graphs))
    ]
    found = []
    for node, below in counts[-1].items():
        numbers = growth.nodes_through_time(node)
        if numbers is None:
            continue
        hanging = (0, *(len(c.get(n, ())) for c, n in zip(counts, numbers[1:], strict=True)))
        if not rises(hanging) or not _stays(growth, counts, numbers, below):
            continue
        # What is replaced again and again hangs new below it too: only more in all is growth.
        lengths = tuple(
            sum(1 for _ in graph.dominators.subtree(number))
            for graph, number in zip(growth.graphs, numbers, strict=True)
        )
        if rises(lengths):
            is_chain = _depth(growth.last, node, below) * _LINK_OBJECTS >= len(below)
            found.append(Holder(node, "chain" if is_chain else "structure", lengths, below))
    return found


def _stays(
    growth: Growth,
    counts: Sequence[dict[int, list[int]]],
    numbers: Sequence[int],
    below: Sequence[int],
) -> bool:
    """Tell whether half of what hung there in the snapshot before still does."""
    if len(counts) < 2:
        return True
    held = set(counts[-2].get(numbers[-2], ()))
    before = growth.same[-1]
    return 2 * len(held.intersection(before[node] for node in below)) >= len(held)


def _depth(graph: HeapGraph, head: int, below: Sequence[int]) -> int:
    """Return how many objects hang one on another at the most, by the dominator tree."""
    dominator = graph.dominators.dominator
    depths: dict[int, int] = {head: 0}
    for node in below:
        trail = []
        while node not in depths:
            trail.append(node)
            node = dominator[node]
        depth = depths[node]
        for passed in reversed(trail):
            depth += 1
            depths[passed] = depth
    return max(depths.values())


def _old_nodes(graph: HeapGraph, same: array[int]) -> bytes:
    """Mark what was there at first, but for the nodes of hash tries, which are made anew each time.

    One at the address of another is no older than its contents: the trie's owner is what lasts.
    """
    tries = {row for row, name in enumerate(graph.type_names) if name.startswith(_TRIE_NODES)}
    if not tries:
        return bytes(map(NONE.__ne__, same))
    return bytes(
        was != NONE and row not in tries for was, row in zip(same, graph.node_type, strict=True)
    )


def _hanging_below(growth: Growth, step: int, explained: set[int]) -> dict[int, list[int]]:
    """Group what was not in the first graph by its nearest old dominator, in graph ``step``."""
    graph = growth.graphs[step]
    same = growth.in_first(step)
    dominator, flags = graph.dominators.dominator, graph.flags
    nearest = _core.nearest_marked(dominator, _old_nodes(graph, same))
    groups: dict[int, list[int]] = {}
    for node in compress(range(graph.node_count), map(NONE.__eq__, same)):
        found = nearest[node]
        if found not in (0, NONE) and not flags[node] & HIDDEN and node not in explained:
            groups.setdefault(found, []).append(node)
    return groups
