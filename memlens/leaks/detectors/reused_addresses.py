"""Elements that only look like those of the snapshot before, because they lie at the same addresses.

Addresses are used again, most of all those of small objects: a list that is emptied and filled with
rows of the same types gets them at the same addresses, in the same order. What the rows hold tells
them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice

from memlens._core.layout import KIND_MASK, NONE, EdgeKind
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.leaks.detectors.members import first_key
from memlens.leaks.growth import Growth

__all__ = ("the_same_before",)

_MAX_COMPARED = 20_000  # elements, with what was at their addresses before
_MAX_PARTS = 16  # of an element that are compared
_TEXTS = frozenset(("str", "bytes"))
_MIN_CHANGED = {"dict": 1, "list": 1, "tuple": 1}  # parts of its own; of other types two


def the_same_before(growth: Growth, step: int, nodes: Collection[int]) -> dict[int, int]:
    """Return for each node the same object's node one snapshot before ``step``, or ``NONE``.

    A tuple never changes, so one that refers to other objects than before is a new one, and so is a
    text with another beginning. A dict keeps its first key while it is filled, so one with another
    was emptied, or is a new one. Of an object that can change, all numbers and texts that it alone
    holds have another content: then it is a new row at the address of an old one.
    """
    same = growth.same[step - 1]
    found = {node: same[node] for node in nodes}
    kept = list(islice((node for node in nodes if same[node] != NONE), _MAX_COMPARED))
    comparison = _Comparison(growth.graphs[step - 1], growth.graphs[step], same, kept)
    for node in kept:
        if comparison.is_another(node):
            found[node] = NONE
    return found


class _Comparison:
    """Compares elements with what was at their addresses one snapshot before."""

    def __init__(
        self, earlier: HeapGraph, graph: HeapGraph, same: Sequence[int], nodes: Sequence[int]
    ) -> None:
        self._earlier, self._graph, self._same = earlier, graph, same
        self._names = graph.type_names
        self._holders = Counter(part for node in nodes for part in _parts(graph, node))

    def is_another(self, node: int) -> bool:
        kind = self._names[self._graph.node_type[node]]
        if kind in _TEXTS:
            return self._has_another_content(node)
        if kind == "tuple" and self._refers_to_others(node):
            return True
        return (kind == "dict" and self._has_another_first_key(node)) or self._is_new_row(
            node, kind
        )

    def _has_another_content(self, node: int) -> bool:
        return self._graph.prefix_of(node) != self._earlier.prefix_of(self._same[node])

    def _refers_to_others(self, node: int) -> bool:
        targets = [self._same[target] for target in self._graph.targets(node)]
        return targets != self._earlier.targets(self._same[node])

    def _has_another_first_key(self, node: int) -> bool:
        first = first_key(self._graph, node)
        was = first_key(self._earlier, self._same[node])
        return NONE not in (first, was) and self._same[first] != was

    def _is_new_row(self, node: int, kind: str) -> bool:
        """Tell whether all numbers and texts of an element's own have another content than before."""
        now, before = _parts(self._graph, node), _parts(self._earlier, self._same[node])
        if len(now) != len(before):
            return False
        changed = 0
        for part, was in zip(now, before, strict=True):
            content = self._graph.prefix_of(part) if self._holders[part] == 1 else None
            content_before = self._earlier.prefix_of(was)
            if content is None or content_before is None:
                continue
            if content == content_before:
                return False
            changed += 1
        return changed >= _MIN_CHANGED.get(kind, 2)


def _parts(graph: HeapGraph, node: int) -> list[int]:
    """Return what an element refers to, without the keys of a dict."""
    start = graph.edge_offset[node]
    end = min(graph.edge_offset[node + 1], start + 2 * _MAX_PARTS)
    return [
        graph.edge_target[edge]
        for edge in range(start, end)
        if graph.edge_label[edge] & KIND_MASK not in (EdgeKind.ITEM, EdgeKind.WEAK)
    ][:_MAX_PARTS]
