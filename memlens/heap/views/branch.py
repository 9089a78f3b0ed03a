"""Branch: one place in a tree of objects that one can go down, computed as one goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Any

from memlens._core.layout import LABEL_BITS, NONE, EdgeKind, NodeFlag
from memlens._text import columns, format_bytes, format_count
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import reference_text
from memlens.heap.views.visibility import check_limit, is_shown

__all__ = (
    "Branch",
    "best_edges",
    "edge_to",
    "labelled_object",
    "largest_first",
    "object_text",
    "parent_of",
    "process_bytes",
)

_KIND_MASK = (1 << LABEL_BITS) - 1


class Branch(ABC):
    """One place in a tree of objects: an object or a group, and what is below it.

    ``label`` says what it is, ``node`` which object (None for a group), ``count`` how many objects
    it stands for. Sizes are in bytes. Iterating yields the branches below, the largest retained
    size first. ``str()`` draws two levels of ten.
    """

    __slots__ = ("count", "graph", "label", "node", "retained_bytes", "shallow_bytes")

    def __init__(
        self,
        graph: HeapGraph,
        label: str,
        index: int | None,
        *,
        count: int = 1,
        shallow_bytes: int | None = None,
        retained_bytes: int | None = None,
    ) -> None:
        self.graph = graph
        self.label = label
        self.node = None if index is None else Node(graph, index)
        self.count = count
        of_node = index or 0
        self.shallow_bytes = graph.node_size[of_node] if shallow_bytes is None else shallow_bytes
        self.retained_bytes = (
            graph.retained_bytes(of_node) if retained_bytes is None else retained_bytes
        )

    @abstractmethod
    def _below(self, limit: int | None) -> tuple[Sequence[Branch], int]:
        """Return the first ``limit`` branches below, all for None, and how many there are."""

    def children(self, limit: int | None = None) -> list[Branch]:
        """Return the ``limit`` largest branches below, all by default, largest first."""
        if limit is not None:
            check_limit("limit", limit, 1)
        return list(self._below(limit)[0])

    def __iter__(self) -> Iterator[Branch]:
        return iter(self.children())

    def tree(self, depth: int = 2, limit: int = 10) -> str:
        """Return a table, ``depth`` levels below this one, ``limit`` branches each."""
        check_limit("depth", depth, 0)
        check_limit("limit", limit, 1)
        return columns(("retained", "shallow", "object"), self._rows(depth, limit, 0))

    def __str__(self) -> str:
        return self.tree()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}: {format_bytes(self.retained_bytes)}>"

    def to_dict(self, depth: int = 2, limit: int = 10) -> dict[str, Any]:
        """Return ``depth`` levels below this one, ``limit`` branches each, as JSON-ready values."""
        value: dict[str, Any] = {
            "label": self.label,
            "type": self.node.type_name if self.node else None,
            "address": self.node.address if self.node else None,
            "count": self.count,
            "shallow_bytes": self.shallow_bytes,
            "retained_bytes": self.retained_bytes,
        }
        if depth > 0:
            below, total = self._below(limit)
            value["children"] = [branch.to_dict(depth - 1, limit) for branch in below]
            value["child_count"] = total
        return value

    def _rows(self, depth: int, limit: int, level: int) -> Iterator[tuple[str, str, str]]:
        indent = "  " * level
        text = f"{indent}{self.label}"
        yield format_bytes(self.retained_bytes), format_bytes(self.shallow_bytes), text
        if depth > 0:
            below, total = self._below(limit)
            for branch in below:
                yield from branch._rows(depth - 1, limit, level + 1)
            if total > len(below):
                yield "", "", f"{indent}  ... and {format_count(total - len(below))} more"


def object_text(graph: HeapGraph, index: int) -> str:
    """Return what an object is in a few words: ``module app``, ``dict (2 items)``."""
    node = Node(graph, index)
    text = f"{node.type_name} {node.name}" if node.name else node.type_name
    return text if node.length is None else f"{text} ({format_count(node.length)} items)"


def largest_first(graph: HeapGraph, nodes: Iterable[int], limit: int | None) -> list[int]:
    """Return the ``limit`` nodes that retain the most, largest first; all for None."""
    retained = graph.dominators.retained

    def rank(node: int) -> tuple[int, int]:
        return -retained[node], node

    return sorted(nodes, key=rank) if limit is None else nsmallest(limit, nodes, key=rank)


def best_edges(graph: HeapGraph, source: int) -> dict[int, int]:
    """Return the best-named strong reference of an object to each of its targets, by edge number.

    A namespace is passed over: its values are found as attributes of its owner.
    """
    found: dict[int, int] = {}
    _add_edges(graph, source, found)
    for target in [node for node in found if graph.node_flags[node] & NodeFlag.NAMESPACE]:
        edge = graph.edge(found[target], source)
        if edge.kind is EdgeKind.INTERNAL and edge.name == "__dict__":
            del found[target]
            _add_edges(graph, target, found, only=EdgeKind.ATTRIBUTE)
    return found


def _add_edges(
    graph: HeapGraph, source: int, found: dict[int, int], only: EdgeKind | None = None
) -> None:
    # Numbers only: an object may have millions of references, of which ten are shown.
    start, end = graph.edge_offset[source], graph.edge_offset[source + 1]
    targets, labels = graph.edge_target[start:end], graph.edge_label[start:end]
    weak, by_position = int(EdgeKind.WEAK), int(EdgeKind.INDEX)
    poor: set[int] = set()
    for index, (target, label) in enumerate(zip(targets, labels, strict=True), start):
        kind = label & _KIND_MASK
        if kind == weak or (only is not None and kind != only):
            continue
        is_named = kind == by_position or label >> LABEL_BITS
        if target not in found or (is_named and target in poor):
            found[target] = index
            if is_named:
                poor.discard(target)
            else:
                poor.add(target)


def edge_to(graph: HeapGraph, source: int, target: int) -> Edge | None:
    """Return the best-named strong reference from one object to another."""
    start, end = graph.edge_offset[source], graph.edge_offset[source + 1]
    edges = [
        graph.edge(start + place, source)
        for place, one in enumerate(graph.edge_target[start:end])
        if one == target
    ]
    strong = [edge for edge in edges if edge.kind is not EdgeKind.WEAK]
    return min(strong, key=lambda e: not e.name and e.kind is not EdgeKind.INDEX, default=None)


def labelled_object(graph: HeapGraph, edge: Edge) -> str:
    """Return a reference and what it leads to: ``.registry   app.Registry``."""
    what = object_text(graph, edge.target)
    if edge.kind is EdgeKind.ITEM:
        return what
    text = reference_text(edge, None, graph.type_of(edge.target)) or edge.name
    return f"{text.strip()}   {what}"


def process_bytes(graph: HeapGraph) -> int:
    """Return what the process keeps alive, memlens's own objects left out."""
    below = graph.dominators.children(0)
    return sum(graph.retained_bytes(node) for node in below if is_shown(graph, node))


def parent_of(graph: HeapGraph, node: int) -> int:
    """Return the immediate dominator of a node, 0 for garbage."""
    parent = graph.dominators.dominator[node]
    return 0 if parent == NONE else parent
