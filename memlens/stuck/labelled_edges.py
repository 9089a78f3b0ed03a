"""The edges of a graph that have certain names, found in one pass."""

from __future__ import annotations

from collections.abc import Collection

from memlens._core.layout import KIND_MASK, LABEL_BITS, EdgeKind, NodeFlag
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("LabelledEdges",)

_FIELDS = (EdgeKind.INTERNAL, EdgeKind.ATTRIBUTE, EdgeKind.KEY)
_WEAK = int(EdgeKind.WEAK)


class LabelledEdges:
    """Targets by name and source, and all weak references.

    ``by_name[name][source]`` are the targets of the edges of that name. An attribute that lies in a
    ``__dict__`` counts as the instance's. ``weak``: pairs of source and target.
    """

    def __init__(self, graph: HeapGraph, names: Collection[str]) -> None:
        self.by_name: dict[str, dict[int, list[int]]] = {name: {} for name in names}
        self.weak: list[tuple[int, int]] = []
        wanted = self._wanted_labels(graph, names)
        targets = graph.edge_target
        for index, label in enumerate(graph.edge_label):
            if label & KIND_MASK == _WEAK:
                self.weak.append((graph.edge_source(index), targets[index]))
            elif label in wanted:
                source = _instance(graph, graph.edge_source(index))
                self.by_name[wanted[label]].setdefault(source, []).append(targets[index])

    @staticmethod
    def _wanted_labels(graph: HeapGraph, names: Collection[str]) -> dict[int, str]:
        wanted = {}
        for number in range(graph.string_count):
            text = graph.string(number)
            if text in names:
                for kind in _FIELDS:
                    wanted[number << LABEL_BITS | kind] = text
        return wanted

    def target(self, name: str, source: int) -> int | None:
        """Return the target of the edge of a name, None if there is none."""
        found = self.by_name[name].get(source)
        return found[0] if found else None


def _instance(graph: HeapGraph, node: int) -> int:
    """Return the object whose ``__dict__`` a node is, or the node itself."""
    if not graph.node_flags[node] & NodeFlag.NAMESPACE:
        return node
    owners = [owner for owner in graph.referrers(node) if owner]
    return owners[0] if len(owners) == 1 else node
