"""Contexts that gain variables: context variables that are made while the program runs.

A context keeps its variables in a trie whose nodes are made anew each time one is set, so neither
the nodes nor their number says how many variables there are. The variables themselves stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memlens._core.layout import NONE
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.detectors.accumulating_places import follow_elements
from memlens.leaks.gates import is_leak
from memlens.leaks.growth import Growth, Holder
from memlens.leaks.places import CONTEXT_VARIABLES, TRIE_NODES

__all__ = ("growing_contexts",)

_MIN_VARIABLES = 9  # gained in all; imports make a few


def growing_contexts(growth: Growth, known: set[int]) -> Iterator[Holder]:
    """Yield a context of each place whose contexts have gained variables in every interval."""
    tries = [growth.places(step).tries for step in range(len(growth.graphs))]
    for key in tries[-1]:
        holder = _holder(growth, [found.get(key, []) for found in tries])
        if holder is not None and holder.node not in known:
            known.add(holder.node)
            yield holder


def _holder(growth: Growth, through: list[list[int]]) -> Holder | None:
    start = max((step + 1 for step, tries in enumerate(through) if not tries), default=0)
    through = through[start:]
    if len(through) < min(3, len(growth.graphs)):
        return None
    entries = [_entries(growth, step, tries) for step, tries in enumerate(through, start)]
    variables = [
        {node for node in nodes if graph.type_of(node) in CONTEXT_VARIABLES}
        for graph, nodes in zip(growth.graphs[start:], entries, strict=True)
    ]
    lengths = [len(nodes) for nodes in variables]
    if lengths[-1] - lengths[0] < _MIN_VARIABLES:
        return None
    contents, arrival = follow_elements(growth, variables, lengths)
    if not is_leak(contents):
        return None
    gained = [n for n in sorted(entries[-1]) if arrival.get(n) or growth.is_new(n, start)]
    shape = "container"
    return Holder(_context(growth.last, through[-1][0]), shape, start, tuple(lengths), gained)


def _context(graph: HeapGraph, trie: int) -> int:
    edge = graph.path_edges[trie]
    return trie if edge == NONE else graph.edge_source(edge) or trie


def _entries(growth: Growth, step: int, tries: Iterable[int]) -> set[int]:
    """Return the variables and the values in tries of a snapshot, which may share their nodes."""
    graph = growth.graphs[step]
    waiting, seen, found = list(tries), set(tries), set()
    while waiting:
        for target in graph.strong_targets(waiting.pop()):
            if not graph.type_of(target).startswith(TRIE_NODES):
                found.add(target)
            elif target not in seen:
                seen.add(target)
                waiting.append(target)
    return growth.visible(found, step)
