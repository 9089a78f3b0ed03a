"""Referrers: the tree of referrers from an object up to the roots."""

from __future__ import annotations

from collections.abc import Sequence

from memlens._core.layout import NodeFlag
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import reference_text
from memlens.heap.graph.root_names import root_text
from memlens.heap.views.branch import Branch, edge_to, largest_first, object_text

__all__ = ("Referrers", "referrers_of")


class Referrers(Branch):
    """An object, with its referrers below it; the label of a referrer shows the reference.

    A root is a branch without a node. References may form cycles. ``repeated`` is true for an
    object that is also above in the tree; ``tree`` and ``to_dict`` stop there.
    """

    __slots__ = ("_above",)

    def __init__(
        self,
        graph: HeapGraph,
        label: str,
        index: int | None,
        above: frozenset[int] = frozenset(),
    ) -> None:
        if index is None:
            super().__init__(graph, label, None, shallow_bytes=0, retained_bytes=0)
        else:
            super().__init__(graph, label, index)
        self._above = above

    @property
    def repeated(self) -> bool:
        """Whether the same object is above in the tree."""
        return self.node is not None and self.node.index in self._above

    def _below(self, limit: int | None) -> tuple[Sequence[Branch], int]:
        if self.node is None or self.repeated:
            return [], 0
        graph, index = self.graph, self.node.index
        above = self._above | {index}
        branches: list[Branch] = [
            Referrers(graph, root_text(graph, root), None, above)
            for root, target in enumerate(graph.edge_target[: graph.root_count_total])
            if target == index
        ]
        referrers = [
            node for node in graph.referrers(index) if node and not graph.flags[node] & NodeFlag.OWN
        ]
        total = len(branches) + len(referrers)
        room = None if limit is None else max(0, limit - len(branches))
        for node in largest_first(graph, referrers, room):
            branches.append(Referrers(graph, _reference(graph, node, index), node, above))
        return branches[:limit], total


def _reference(graph: HeapGraph, source: int, target: int) -> str:
    edge = edge_to(graph, source, target)
    what = object_text(graph, source)
    text = reference_text(edge, None, graph.type_of(target)).strip() if edge else ""
    return f"{text or '->'} of {what}"


def referrers_of(graph: HeapGraph, index: int) -> Referrers:
    """Return the tree of referrers of a node."""
    return Referrers(graph, object_text(graph, index), index)
