"""Containment: the tree of references from the roots down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from memlens._core.layout import NodeFlag, RootKind
from memlens._text import format_count
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.root_names import root_kind, root_text
from memlens.heap.views.branch import (
    Branch,
    best_edges,
    labelled_object,
    largest_first,
    object_text,
    parent_of,
    process_bytes,
    process_nodes,
)
from memlens.heap.views.visibility import hidden_flags, is_shown, shown_nodes

__all__ = ("Containment", "ContainmentGroup", "containment_of")


class ContainmentGroup(Branch):
    """The process, with the kinds of roots below it; or one kind, with its roots below it.

    The retained size of a kind is the sum over its roots, without the objects that several roots
    keep alive together.
    """

    __slots__ = ("_members", "_texts")

    def __init__(self, graph: HeapGraph, label: str, members: Sequence[Any], **sizes: int) -> None:
        super().__init__(graph, label, None, **sizes)
        self._members = members
        self._texts: dict[int, str] = {}

    def named(self, texts: dict[int, str]) -> ContainmentGroup:
        """Set the labels of the members and return the group."""
        self._texts = texts
        return self

    def _topmost(self) -> Iterable[int]:
        if any(isinstance(member, Branch) for member in self._members):
            return process_nodes(self.graph)
        return [node for node in self._members if parent_of(self.graph, node) == 0]

    def _below(self, limit: int | None) -> tuple[Sequence[Branch], int]:
        groups = [member for member in self._members if isinstance(member, Branch)]
        if groups:
            return groups[:limit], len(groups)
        nodes = largest_first(self.graph, self._members, limit)
        return [
            Containment(self.graph, self._texts.get(node) or object_text(self.graph, node), node)
            for node in nodes
        ], len(self._members)


class Containment(Branch):
    """An object of the containment tree, with the objects that it refers to below it.

    References may form cycles. ``repeated`` is true for an object that is also above in the tree;
    ``tree`` and ``to_dict`` stop there.
    """

    __slots__ = ("_above",)

    def __init__(
        self, graph: HeapGraph, label: str, index: int, above: frozenset[int] = frozenset()
    ) -> None:
        super().__init__(graph, label, index)
        self._above = above

    @property
    def repeated(self) -> bool:
        """Whether the same object is above in the tree."""
        return self.node is not None and self.node.index in self._above

    def _below(self, limit: int | None) -> tuple[Sequence[Branch], int]:
        assert self.node is not None
        if self.repeated:
            return [], 0
        graph, index = self.graph, self.node.index
        edges = best_edges(graph, index)
        shown = [target for target in edges if not graph.flags[target] & NodeFlag.OWN]
        above = self._above | {index}
        branches = []
        for target in largest_first(graph, shown, limit):
            text = labelled_object(graph, graph.edge(edges[target], index))
            branches.append(Containment(graph, text, target, above))
        return branches, len(shown)


def containment_of(graph: HeapGraph, *, include_garbage: bool = False) -> ContainmentGroup:
    """Return the process with its kinds of roots, and garbage if included."""
    roots: dict[RootKind, dict[int, str]] = {}
    for root, node in enumerate(graph.edge_target[: graph.root_count_total]):
        if is_shown(graph, node):
            kind = RootKind(graph.root_kind[root])
            roots.setdefault(kind, {}).setdefault(node, _text(graph, root, node))
    groups = []
    for kind in sorted(roots):
        name = f"{_kind_text(graph, kind)}, {format_count(len(roots[kind]))}"
        groups.append(_group(graph, name, [*roots[kind]]).named(roots[kind]))
    if include_garbage:
        garbage = [
            node
            for node in shown_nodes(graph, hidden_flags(True))
            if graph.flags[node] & NodeFlag.GARBAGE
        ]
        if garbage:
            groups.append(_group(graph, f"garbage, {format_count(len(garbage))}", garbage))
    return ContainmentGroup(
        graph,
        f"process {graph.facts['pid']}",
        groups,
        count=sum(group.count for group in groups),
        shallow_bytes=0,
        retained_bytes=process_bytes(graph),
    )


def _kind_text(graph: HeapGraph, kind: RootKind) -> str:
    return root_kind(graph, bytes(graph.root_kind).index(kind))


def _text(graph: HeapGraph, root: int, node: int) -> str:
    text, what = root_text(graph, root), object_text(graph, node)
    return text if text.startswith("<") else f"{text}   {what}"


def _group(graph: HeapGraph, label: str, nodes: list[int]) -> ContainmentGroup:
    return ContainmentGroup(
        graph,
        label,
        nodes,
        count=len(nodes),
        shallow_bytes=sum(graph.node_size[node] for node in nodes),
        retained_bytes=sum(graph.retained_bytes(n) for n in nodes if parent_of(graph, n) == 0),
    )
