"""Grouping by referrer: the types of an object's referrers, and the kinds of its roots.

An attribute belongs to its instance, class or module: the owner of a namespace dict counts as the
referrer of the objects in that dict.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from memlens._core.layout import EdgeKind, NodeFlag
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.root_names import root_kind

__all__ = ("referrer_groups",)

_MAX_NAMED = 3  # types in the name of a group; objects with more are in the group "(many types)"
_NAMESPACE, _OWN = int(NodeFlag.NAMESPACE), int(NodeFlag.OWN)
_MANY = "(many types)"
_NOTHING = "(nothing: garbage)"


def referrer_groups(graph: HeapGraph) -> tuple[array[int], list[str]]:
    """Return the group of each node, by the types of its referrers, and the names of the groups."""
    kinds = _Kinds(graph)
    names: dict[str, int] = {}
    group_of: dict[frozenset[int] | int, int] = {}
    groups = array("I", bytes(4 * graph.node_count))
    offsets, sources = graph.referrer_rows
    kind_by_edge = array("I", map(kinds.of_node.__getitem__, sources))
    start = offsets[0]
    for node, end in enumerate(offsets[1:]):
        referrers: frozenset[int] | int
        if end - start == 1 and sources[start]:
            referrers = kind_by_edge[start]  # most nodes; a set for each would be slow
        else:
            referrers = kinds.together(node, kind_by_edge[start:end])
        group = group_of.get(referrers)
        if group is None:
            group = group_of[referrers] = names.setdefault(kinds.text(referrers), len(names))
        groups[node] = group
        start = end
    return groups, list(names)


class _Kinds:
    """The kinds of referrers (types and kinds of roots), with a number and a name for each."""

    def __init__(self, graph: HeapGraph) -> None:
        self._names = [*graph.type_names, "memlens"]
        self._own = len(self._names) - 1
        self.of_node = self._by_node(graph)
        self._roots = self._by_root(graph)

    def together(self, node: int, kinds: Iterable[int]) -> frozenset[int]:
        """Return the kinds of the referrers and the roots of a node."""
        found = {*kinds, *self._roots.get(node, ())} - {0}
        return frozenset(found - {self._own} or found)

    def text(self, kinds: frozenset[int] | int) -> str:
        """Return the name of one kind or of a set of kinds."""
        if isinstance(kinds, int):
            return self._names[kinds]
        texts = sorted({self._names[kind] for kind in kinds})
        if not texts:
            return _NOTHING
        return ", ".join(texts) if len(texts) <= _MAX_NAMED else _MANY

    def _by_node(self, graph: HeapGraph) -> array[int]:
        kind_of = array("I", graph.node_type)
        namespaces = bytearray(1 if flag & _NAMESPACE else 0 for flag in graph.node_flags)
        everything = b"\1" * graph.node_count
        to_namespaces = checked_core.edges_between(
            graph.edge_offset, graph.edge_target, graph.edge_label, everything, namespaces
        )
        is_dict: dict[int, bool] = {}  # by label
        for index in to_namespaces:
            label = graph.edge_label[index]
            if label not in is_dict:
                edge = graph.edge(index, 0)
                is_dict[label] = edge.kind is EdgeKind.INTERNAL and edge.name == "__dict__"
            if is_dict[label]:
                kind_of[graph.edge_target[index]] = graph.node_type[graph.edge_source(index)]
        for node, flag in enumerate(graph.flags):
            if flag & _OWN:
                kind_of[node] = self._own
        return kind_of

    def _by_root(self, graph: HeapGraph) -> dict[int, set[int]]:
        numbers: dict[str, int] = {}
        found: dict[int, set[int]] = {}
        for root, node in enumerate(graph.edge_target[: graph.root_count_total]):
            text = f"({root_kind(graph, root)})"
            if text not in numbers:
                numbers[text] = len(self._names)
                self._names.append(text)
            found.setdefault(node, set()).add(numbers[text])
        return found
