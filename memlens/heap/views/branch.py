"""Branch: a node of a tree of objects whose children are computed on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Any

from memlens._core.layout import KIND_MASK, LABEL_BITS, NONE, EdgeKind, NodeFlag
from memlens._display import displayed
from memlens._table import columns
from memlens._text import format_bytes, format_count, printable
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import reference_text
from memlens.heap.views.visibility import check_min, is_shown

__all__ = (
    "Branch",
    "best_edges",
    "edge_to",
    "labelled_object",
    "largest_first",
    "object_text",
    "parent_of",
    "process_bytes",
    "process_nodes",
)


@displayed
class Branch(ABC):
    """An object or a group of objects in a tree, with the branches below it.

    ``label`` is its text, ``node`` the object (None for a group) and ``count`` the number of objects
    that it represents. Sizes are in bytes. Iterating yields the branches below, the largest
    retained size first. ``str()`` draws two levels with ten branches each.
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

    def _topmost(self) -> Iterable[int]:
        """Return nodes whose retained sizes add up to that of this branch."""
        return () if self.node is None else (self.node.index,)

    @property
    def retained_native_bytes(self) -> int:
        """The part of `retained_bytes` that is native memory of this machine: not of devices."""
        return sum(map(self.graph.retained_native_bytes, self._topmost()))

    @property
    def retained_device_bytes(self) -> int:
        """The part of `retained_bytes` that is memory of devices, such as ``cuda:0``."""
        return sum(map(self.graph.retained_device_bytes, self._topmost()))

    @abstractmethod
    def _below(self, limit: int | None) -> tuple[Sequence[Branch], int]:
        """Return the first ``limit`` branches below (all for None) and their total number."""

    def children(self, limit: int | None = None) -> list[Branch]:
        """Return the ``limit`` largest branches below, all by default, largest first."""
        if limit is not None:
            check_min("limit", limit, 1)
        return list(self._below(limit)[0])

    def __iter__(self) -> Iterator[Branch]:
        return iter(self.children())

    def tree(self, depth: int = 2, limit: int = 10) -> str:
        """Return a table of ``depth`` levels below this branch, ``limit`` branches each."""
        check_min("depth", depth, 0)
        check_min("limit", limit, 1)
        return columns(("retained", "shallow", "object"), self._rows(depth, limit, 0))

    def __str__(self) -> str:
        return self.tree()

    def __repr__(self) -> str:
        label = printable(self.label)
        return f"<{type(self).__name__} {label}: {format_bytes(self.retained_bytes)}>"

    def to_dict(self, depth: int = 2, limit: int = 10) -> dict[str, Any]:
        """Return ``depth`` levels below, ``limit`` branches each, as JSON-ready values."""
        value: dict[str, Any] = {
            "label": self.label,
            "type": self.node.type_name if self.node else None,
            "address": self.node.address if self.node else None,
            "count": self.count,
            "shallow_bytes": self.shallow_bytes,
            "retained_bytes": self.retained_bytes,
            "retained_native_bytes": self.retained_native_bytes,
            "retained_device_bytes": self.retained_device_bytes,
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
    """Return a short description of an object: ``module app``, ``dict (2 items)``."""
    kind = graph.kind_of(index)
    if kind is not None:
        return kind.text.removeprefix("of ")
    node = Node(graph, index)
    text = f"{node.type_name} {node.name}" if node.name else node.type_name
    return text if node.length is None else f"{text} ({format_count(node.length)} items)"


def largest_first(graph: HeapGraph, nodes: Iterable[int], limit: int | None) -> list[int]:
    """Return the ``limit`` nodes with the largest retained sizes (all for None), largest first."""
    retained = graph.dominators.retained

    def rank(node: int) -> tuple[int, int]:
        return -retained[node], node

    return sorted(nodes, key=rank) if limit is None else nsmallest(limit, nodes, key=rank)


def best_edges(graph: HeapGraph, source: int) -> dict[int, int]:
    """Return the edge number of the best-named strong reference to each target of an object.

    The namespace of an object is replaced by the attributes in it.
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
    # Edge numbers, not Edge values: an object may have millions of references.
    start, end = graph.edge_offset[source], graph.edge_offset[source + 1]
    targets, labels = graph.edge_target[start:end], graph.edge_label[start:end]
    weak, by_position = int(EdgeKind.WEAK), int(EdgeKind.INDEX)
    unnamed: set[int] = set()
    for index, (target, label) in enumerate(zip(targets, labels, strict=True), start):
        kind = label & KIND_MASK
        if kind == weak or (only is not None and kind != only):
            continue
        is_named = kind == by_position or label >> LABEL_BITS
        if target not in found or (is_named and target in unnamed):
            found[target] = index
            if is_named:
                unnamed.discard(target)
            else:
                unnamed.add(target)


def edge_to(graph: HeapGraph, source: int, target: int) -> Edge | None:
    """Return the best-named strong reference from one object to another."""
    start, end = graph.edge_offset[source], graph.edge_offset[source + 1]
    edges = [
        graph.edge(start + place, source)
        for place, other in enumerate(graph.edge_target[start:end])
        if other == target
    ]
    strong = [edge for edge in edges if edge.kind is not EdgeKind.WEAK]
    return min(strong, key=lambda e: not e.name and e.kind is not EdgeKind.INDEX, default=None)


def labelled_object(graph: HeapGraph, edge: Edge) -> str:
    """Return the text of a reference and its target: ``.registry   app.Registry``."""
    what = object_text(graph, edge.target)
    if edge.kind is EdgeKind.ITEM:
        return what
    text = reference_text(edge, None, graph.type_of(edge.target)) or edge.name
    return f"{text.strip()}   {what}"


def process_nodes(graph: HeapGraph) -> list[int]:
    """Return the nodes below the process in the dominator tree, without memlens's own objects."""
    return [node for node in graph.dominators.children(0) if is_shown(graph, node)]


def process_bytes(graph: HeapGraph) -> int:
    """Return the retained size of the process without memlens's own objects."""
    return sum(map(graph.retained_bytes, process_nodes(graph)))


def parent_of(graph: HeapGraph, node: int) -> int:
    """Return the immediate dominator of a node, 0 for garbage."""
    parent = graph.dominators.dominator[node]
    return 0 if parent == NONE else parent
