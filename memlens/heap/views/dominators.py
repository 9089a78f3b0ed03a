"""Dominators: the dominator tree, and the objects in it where memory accumulates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memlens._display import displayed
from memlens._rows import Rows
from memlens._text import format_bytes, format_count
from memlens.errors import OptionError
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import RetentionPathFinder
from memlens.heap.views.branch import (
    Branch,
    best_edges,
    labelled_object,
    largest_first,
    object_text,
    process_bytes,
    process_nodes,
)
from memlens.heap.views.summary import Summary, SummaryRow
from memlens.heap.views.visibility import is_shown

__all__ = ("BigDrop", "BigDrops", "Dominators", "dominators_of")


class Dominators(Branch):
    """An object of the dominator tree, with the objects that it immediately dominates below it.

    The shallow size of the object and the retained sizes below it add up to its retained size,
    except for objects that views leave out. The root of the tree is the process.
    """

    __slots__ = ()

    def _shown(self) -> list[int]:
        index = self.node.index if self.node else 0
        return [n for n in self.graph.dominators.children(index) if is_shown(self.graph, n)]

    def _topmost(self) -> Iterable[int]:
        return process_nodes(self.graph) if self.node is None else (self.node.index,)

    def _below(self, limit: int | None) -> tuple[Sequence[Branch], int]:
        graph, shown = self.graph, self._shown()
        edges = best_edges(graph, self.node.index) if self.node else {}
        branches = []
        for node in largest_first(graph, shown, limit):
            text = (
                labelled_object(graph, graph.edge(edges[node], 0))
                if node in edges
                else self._by_path(node)
            )
            branches.append(Dominators(graph, text, node))
        return branches, len(shown)

    def _by_path(self, node: int) -> str:
        """Return the label of a root, or of an object with several referrers: its best path."""
        path = RetentionPathFinder(self.graph).path_to(node)
        text = object_text(self.graph, node)
        return text if path is None or not len(path) else f"{path}   {text}"

    def by_type(self) -> Summary:
        """Return the branches below grouped by type, the largest retained size first."""
        graph = self.graph
        totals: dict[str, list[int]] = {}
        for node in self._shown():
            row = totals.setdefault(graph.type_of(node), [0, 0, 0, 0, 0])
            row[0] += 1
            row[1] += graph.node_size[node]
            row[2] += graph.retained_bytes(node)
            row[3] += graph.retained_native_bytes(node)
            row[4] += graph.retained_device_bytes(node)
        rows = [SummaryRow(name, *row) for name, row in totals.items()]
        return Summary(f"Immediately dominated by {self.label}", rows, order="retained")

    def big_drops(self, min_share: float = 0.01, ratio: float = 0.7) -> BigDrops:
        """Return the objects in which memory accumulates.

        These are the objects below this one that retain at least ``min_share`` of its retained
        size and whose largest branch retains less than ``ratio`` of theirs (the accumulation points
        of Eclipse MAT). Raises ``OptionError`` unless both are above 0 and at most 1.
        """
        for name, value in (("min_share", min_share), ("ratio", ratio)):
            if not 0 < value <= 1:
                raise OptionError(f"{name} is {value}: it must be above 0 and at most 1")
        graph = self.graph
        min_bytes = max(1, min_share * self.retained_bytes)
        start = self.node.index if self.node else 0
        drops, stack = [], [start]
        while stack:
            node = stack.pop()
            children = [
                n
                for n in graph.dominators.children(node)
                if is_shown(graph, n) and not graph.has_owner(n)
            ]
            sizes = [graph.retained_bytes(child) for child in children]
            if node and max(sizes, default=0) < ratio * graph.retained_bytes(node):
                drops.append(
                    BigDrop(
                        Node(graph, node),
                        graph.retained_bytes(node),
                        max(sizes, default=0),
                        len(children),
                    )
                )
            stack += [n for n, size in zip(children, sizes, strict=True) if size >= min_bytes]
        return BigDrops(graph, drops)


@displayed
@dataclass(frozen=True, slots=True)
class BigDrop:
    """An object in which memory accumulates, and the retained size of its largest child."""

    node: Node
    retained_bytes: int
    largest_child_bytes: int
    child_count: int

    def __str__(self) -> str:
        below = format_bytes(self.largest_child_bytes)
        return f"{self.node}; the largest of {format_count(self.child_count)} below it: {below}"

    def __repr__(self) -> str:
        return f"<BigDrop {self}>"


class BigDrops(Rows[BigDrop]):
    """The objects in which memory accumulates, the largest first."""

    headers = ("retained", "largest below", "below", "object")

    def __init__(self, graph: HeapGraph, rows: list[BigDrop]) -> None:
        super().__init__(sorted(rows, key=lambda row: (-row.retained_bytes, row.node.index)))
        self._finder = RetentionPathFinder(graph)

    def _cells(self, row: BigDrop) -> tuple[str, ...]:
        return (
            format_bytes(row.retained_bytes),
            format_bytes(row.largest_child_bytes),
            format_count(row.child_count),
            f"{row.node.type_name}   {self._finder.path_to(row.node.index)}",
        )

    def _row_to_dict(self, row: BigDrop) -> dict[str, Any]:
        return {
            "type": row.node.type_name,
            "address": row.node.address,
            "path": str(self._finder.path_to(row.node.index)),
            "retained_bytes": row.retained_bytes,
            "largest_child_bytes": row.largest_child_bytes,
            "child_count": row.child_count,
        }


def dominators_of(graph: HeapGraph, index: int = 0) -> Dominators:
    """Return the dominator tree below a node; node 0 is the process."""
    if index:
        return Dominators(graph, object_text(graph, index), index)
    name = f"process {graph.facts['pid']}"
    return Dominators(graph, name, None, retained_bytes=process_bytes(graph))
