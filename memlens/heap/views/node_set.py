"""NodeSet: a set of objects of one snapshot, with set operations and total sizes."""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import compress
from typing import Any

from memlens._core.layout import NONE
from memlens._display import displayed
from memlens._options import check_text
from memlens._table import columns
from memlens._text import fitted, format_bytes, format_count
from memlens.errors import NotInSnapshotError
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.views.branch import largest_first
from memlens.heap.views.summary import Summary, SummaryRow, retained_by_group, type_groups
from memlens.heap.views.visibility import check_min, hidden_flags, with_rest

__all__ = ("NodeSet", "select_nodes")


@displayed
class NodeSet:
    """A set of objects of one snapshot: ``a & b``, ``a | b``, ``a - b``, ``a ^ b``, ``node in a``.

    Iterating yields a `Node` for each object in the order of the graph. ``str()`` is a table of the
    20 objects with the largest retained sizes. Sizes are in bytes.
    """

    def __init__(self, graph: HeapGraph, mask: bytes) -> None:
        self.graph = graph
        self._mask = (
            mask  # one byte for each node, 0 or 1: set operations work on one large integer
        )

    @property
    def count(self) -> int:
        """The number of objects."""
        return self._mask.count(1)

    @property
    def shallow_bytes(self) -> int:
        """The total shallow size, in bytes."""
        return sum(compress(self.graph.node_size, self._mask))

    @property
    def retained_bytes(self) -> int:
        """The exact retained size of the set in bytes: what would be freed with all its objects."""
        return self.retained.shallow_bytes

    @cached_property
    def retained(self) -> NodeSet:
        """All objects that would be freed with the objects of this set, including them.

        Found by a search from the roots that skips this set, so objects that only several members
        together keep alive are included.
        """
        graph = self.graph
        if not any(self._mask):
            return self
        reached = checked_core.reached_nodes(
            graph.edge_offset, graph.edge_target, graph.edge_label, self._mask
        )
        dominator = graph.dominators.dominator
        freed = bytearray(
            parent != NONE and not is_reached
            for parent, is_reached in zip(dominator, reached, strict=True)
        )
        return NodeSet(graph, bytes(freed)) | self

    def largest(self, limit: int = 10) -> list[Node]:
        """Return the ``limit`` objects with the largest retained sizes, largest first."""
        check_min("limit", limit, 1)
        nodes = largest_first(self.graph, self._indices(), limit)
        return [Node(self.graph, node) for node in nodes]

    def by_type(self) -> Summary:
        """Return the objects grouped by type."""
        graph = self.graph
        flags = array("H", map(operator.not_, self._mask))
        group, names = type_groups(graph)
        counts, sizes = checked_core.count_types(group, graph.node_size, flags, len(names), 1)
        retained = retained_by_group(graph, group, len(names), flags, 1)
        rows = [
            SummaryRow(name, *numbers)
            for name, *numbers in zip(names, counts, sizes, *retained, strict=True)
            if numbers[0]
        ]
        return Summary(self._title(), rows)

    def table(self, limit: int = 20) -> str:
        """Return the ``limit`` objects with the largest retained sizes as a plain table."""
        rows = [
            (
                format_bytes(node.retained_bytes),
                format_bytes(node.shallow_bytes),
                "" if node.is_native else f"{node.address:#x}",
                str(node) if node.is_native else f"{node.type_name} {node.name}".rstrip(),
            )
            for node in (self.largest(limit) if self.count else [])
        ]
        table = columns(("retained", "shallow", "address", "object"), rows)
        return with_rest(table, self.count, limit)

    def to_dict(self, limit: int = 20) -> dict[str, Any]:
        """Return the totals and the ``limit`` largest objects as JSON-ready values."""
        return {
            "count": self.count,
            "shallow_bytes": self.shallow_bytes,
            "retained_bytes": self.retained_bytes,
            "largest": [
                {
                    "type": node.type_name,
                    "name": node.name,
                    "address": node.address,
                    "shallow_bytes": node.shallow_bytes,
                    "retained_bytes": node.retained_bytes,
                    "retained_native_bytes": node.retained_native_bytes,
                    "retained_device_bytes": node.retained_device_bytes,
                }
                for node in (self.largest(limit) if self.count else [])
            ],
        }

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Node]:
        return (Node(self.graph, index) for index in self._indices())

    def __contains__(self, node: object) -> bool:
        return isinstance(node, Node) and node.graph is self.graph and bool(self._mask[node.index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NodeSet):
            return NotImplemented
        return self.graph is other.graph and self._mask == other._mask

    def __hash__(self) -> int:
        return hash((id(self.graph), self._mask))

    def __and__(self, other: NodeSet) -> NodeSet:
        return self._with(other, operator.and_)

    def __or__(self, other: NodeSet) -> NodeSet:
        return self._with(other, operator.or_)

    def __xor__(self, other: NodeSet) -> NodeSet:
        return self._with(other, operator.xor)

    def __sub__(self, other: NodeSet) -> NodeSet:
        return self._with(other, lambda mine, theirs: mine & ~theirs)

    def __str__(self) -> str:
        return f"{fitted(self._title())}\n\n{self.table()}"

    def __repr__(self) -> str:
        return f"<NodeSet of {format_count(self.count)} objects>"

    def _title(self) -> str:
        return (
            f"{format_count(self.count)} objects, {format_bytes(self.shallow_bytes)};"
            f" together they retain {format_bytes(self.retained_bytes)}"
        )

    def _indices(self) -> Iterator[int]:
        return compress(range(len(self._mask)), self._mask)

    def _with(self, other: NodeSet, combine: Callable[[int, int], int]) -> NodeSet:
        if not isinstance(other, NodeSet):
            return NotImplemented
        if other.graph is not self.graph:
            raise NotInSnapshotError("these sets are of different snapshots and cannot be combined")
        combined = combine(
            int.from_bytes(self._mask, "little"), int.from_bytes(other._mask, "little")
        )
        return NodeSet(self.graph, combined.to_bytes(len(self._mask), "little"))


def select_nodes(
    graph: HeapGraph,
    *,
    type_name: str | None = None,
    min_shallow_bytes: int = 0,
    min_retained_bytes: int = 0,
    include_garbage: bool = False,
) -> NodeSet:
    """Return the objects that meet all conditions: see `HeapSnapshot.select`."""
    check_min("min_shallow_bytes", min_shallow_bytes, 0)
    check_min("min_retained_bytes", min_retained_bytes, 0)
    hidden = hidden_flags(include_garbage)
    selected = NodeSet(graph, bytes(not flag & hidden for flag in graph.flags)) - _process(graph)
    if type_name is not None:
        pattern = check_text("type", type_name)
        wanted = bytes(fnmatchcase(name, pattern) for name in graph.type_names)
        selected &= NodeSet(graph, bytes(map(wanted.__getitem__, graph.node_type)))
    if min_shallow_bytes:
        selected &= NodeSet(graph, bytes(s >= min_shallow_bytes for s in graph.node_size))
    if min_retained_bytes:
        retained = graph.dominators.retained
        selected &= NodeSet(graph, bytes(s >= min_retained_bytes for s in retained))
    return selected


def _process(graph: HeapGraph) -> NodeSet:
    return NodeSet(graph, b"\1" + bytes(graph.node_count - 1))
