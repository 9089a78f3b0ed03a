"""HeapSnapshot: a captured heap with the views that people know from other tools."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from memlens._text import format_count
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.comparison import HeapComparison, compare_graphs
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder
from memlens.heap.graph.snapshot_file import SectionFile, write_sections
from memlens.heap.views.branch import Branch
from memlens.heap.views.containment import containment_of
from memlens.heap.views.dominators import Dominators, dominators_of
from memlens.heap.views.duplicates import Duplicates, duplicates_of
from memlens.heap.views.lookup import find_path
from memlens.heap.views.node_set import NodeSet, select_nodes
from memlens.heap.views.referrers import Referrers, referrers_of
from memlens.heap.views.site_summary import summarise_sites
from memlens.heap.views.sparse_collections import SparseCollections, sparse_collections_of
from memlens.heap.views.statistics import Statistics, statistics_of
from memlens.heap.views.summary import Summary, garbage_of, summarise
from memlens.heap.views.visibility import check_limit, shown_nodes

__all__ = ("HeapSnapshot", "compare_snapshots")


class HeapSnapshot:
    """All objects of a process at one instant, and who holds them.

    Made by ``memlens.take_heap_snapshot`` or ``memlens.load``. Objects that belong to memlens, and
    garbage, are left out of the views unless a view says otherwise. Sizes are in bytes.
    """

    def __init__(self, graph: HeapGraph) -> None:
        self.graph = graph
        self._finder = RetentionPathFinder(graph)

    # -- facts -----------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """All that is recorded about the process and the capture."""
        return self.graph.facts

    @property
    def timestamp(self) -> float:
        """When it was taken, in seconds since the epoch."""
        return float(self.facts["timestamp"])

    @property
    def reason(self) -> str:
        """Why it was taken, in the caller's word."""
        return str(self.facts["reason"])

    @property
    def pid(self) -> int:
        """The process that it is of."""
        return int(self.facts["pid"])

    @property
    def pause_seconds(self) -> float:
        """How long the capture stopped the program, its collections included."""
        return float(self.facts["pause_seconds"])

    @property
    def object_count(self) -> int:
        """The number of objects captured, garbage and memlens's own included."""
        return self.graph.node_count - 1

    @property
    def edge_count(self) -> int:
        """The number of references captured, weak ones included."""
        return self.graph.edge_count - self.graph.root_count_total

    @property
    def total_bytes(self) -> int:
        """The shallow sizes of all captured objects together."""
        return sum(self.graph.node_size)

    # -- views -----------------------------------------------------------------------------------

    def summary(self, by: str = "type", *, include_garbage: bool = False) -> Summary:
        """Return the objects in groups: count, shallow and retained size of each.

        ``by``: ``"type"``; ``"module"``, where the type is defined; ``"size"``, in powers of two;
        ``"holder"``, the types and kinds of roots that refer to it; ``"site"``, the line that
        allocated: estimates from the sampled objects (retained: by those alone). Raises
        ``NotInSnapshotError`` for sites where allocations were not sampled.
        """
        if by == "site":
            return summarise_sites(self.graph, include_garbage=include_garbage)
        return summarise(self.graph, by, include_garbage=include_garbage)

    def statistics(self, *, include_garbage: bool = False) -> Statistics:
        """Return what the heap is made of, by kind of thing: strings, containers, classes..."""
        return statistics_of(self.graph, include_garbage=include_garbage)

    def containment(self, *, include_garbage: bool = False) -> Branch:
        """Return the heap from its roots down, as a tree along the references."""
        return containment_of(self.graph, include_garbage=include_garbage)

    def dominators(self, node: Node | int | None = None) -> Dominators:
        """Return the tree of who alone keeps whom alive, below a node or the whole process.

        ``dominators().big_drops()`` are the objects in which memory accumulates.
        """
        return dominators_of(self.graph, 0 if node is None else self._index(node))

    def referrers(self, node: Node | int) -> Referrers:
        """Return what refers to a node, and what refers to that, as a tree up to the roots."""
        return referrers_of(self.graph, self._index(node))

    def select(
        self,
        type: str | None = None,  # noqa: A002 - the word that people look for
        *,
        min_shallow_bytes: int = 0,
        min_retained_bytes: int = 0,
        include_garbage: bool = False,
    ) -> NodeSet:
        """Return the objects of a type and of at least these sizes, as a set.

        ``type``: the qualified name, ``"dict"`` or ``"app.models.User"``; ``*`` stands for any part
        of it. Sets of one snapshot combine: ``a & b``, ``a | b``, ``a - b``, ``a ^ b``.
        """
        return select_nodes(
            self.graph,
            type_name=type,
            min_shallow_bytes=min_shallow_bytes,
            min_retained_bytes=min_retained_bytes,
            include_garbage=include_garbage,
        )

    def duplicates(self, *, min_wasted_bytes: int = 1, include_garbage: bool = False) -> Duplicates:
        """Return the strings and bytes that are stored more than once, most wasted bytes first.

        Their text is shown where the snapshot was taken with values. ``min_wasted_bytes`` leaves
        out groups that waste less. Raises ``OptionError`` for a snapshot that does not tell which
        strings are equal.
        """
        return duplicates_of(
            self.graph, min_wasted_bytes=min_wasted_bytes, include_garbage=include_garbage
        )

    def sparse_collections(
        self,
        *,
        max_fill: float = 0.25,
        min_wasted_bytes: int = 1024,
        include_garbage: bool = False,
    ) -> SparseCollections:
        """Return the dicts, sets and lists with far more room than they need, most waste first.

        ``max_fill``: those of whose room no larger part is used. ``min_wasted_bytes``: those of
        which a new copy would take so many bytes less.
        """
        return sparse_collections_of(
            self.graph,
            max_fill=max_fill,
            min_wasted_bytes=min_wasted_bytes,
            include_garbage=include_garbage,
        )

    def garbage(self) -> Summary:
        """Return what no root reached, by type: what the next full collection would free."""
        return garbage_of(self.graph)

    def largest(self, n: int = 10, *, include_garbage: bool = False) -> list[Node]:
        """Return the ``n`` objects that keep the most bytes alive, largest first."""
        check_limit("n", n, 1)
        return [Node(self.graph, node) for node in self.graph.largest(n, include_garbage)]

    def find(self, matches: Callable[[Node], bool]) -> Iterator[Node]:
        """Yield the objects for which ``matches(node)`` is true."""
        for index in shown_nodes(self.graph):
            node = Node(self.graph, index)
            if matches(node):
                yield node

    def node_of(self, obj: object) -> Node:
        """Return the node of a live object of this process.

        Raises ``NotInSnapshotError`` for an object that was not there, or is of another type now.
        """
        if self.pid != os.getpid():
            raise NotInSnapshotError(
                f"this snapshot is of process {self.pid}, the object of process {os.getpid()}"
            )
        index = self.graph.find_address(id(obj))
        qualname: str = type.__dict__["__qualname__"].__get__(type(obj))
        if (
            index is None
            or self.graph.type_of(index).rpartition(".")[2] != (qualname.rpartition(".")[2])
        ):
            raise NotInSnapshotError(
                f"the snapshot does not hold this {qualname} object: it was made later, or belongs"
                " to an instance that stores it in another form"
            )
        return Node(self.graph, index)

    def node_at(self, path: str) -> Node | None:
        """Return the object at a path, ``app.registry._sessions``, as paths are printed, or None.

        Keys of dicts other than namespaces are known where the snapshot was taken with values.
        """
        index = find_path(self.graph, path)
        return None if index is None else Node(self.graph, index)

    def retention_paths(self, node: Node | int, count: int = 3) -> list[RetentionPath]:
        """Return up to ``count`` independent paths that keep a node alive, the best first."""
        return self._finder.find(self._index(node), count)

    def path_to(self, node: Node | int) -> RetentionPath | None:
        """Return the best path to a node; None for garbage."""
        return self._finder.path_to(self._index(node))

    def compare(self, later: HeapSnapshot) -> HeapComparison:
        """Return what changed from this snapshot to a later one of the same process."""
        return compare_graphs(self.graph, later.graph)

    # -- files -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the snapshot with its retained sizes to ``path``; return the bytes written.

        Raises ``OutputError`` where that fails; then nothing is left under the name.
        """
        return write_sections(path, self.graph.stored_sections(), self.facts)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeapSnapshot:
        """Open a snapshot file; raises ``SnapshotFileError`` for anything else."""
        file = SectionFile(path)
        return cls(HeapGraph(file, file.facts()))

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return f"<HeapSnapshot of process {self.pid}: {format_count(self.object_count)} objects>"

    # -- inside ----------------------------------------------------------------------------------

    def _index(self, node: Node | int) -> int:
        index = node.index if isinstance(node, Node) else node
        if isinstance(node, Node) and node.graph is not self.graph:
            raise NotInSnapshotError("this node is of another snapshot")
        if not 0 < index < self.graph.node_count:
            raise NotInSnapshotError(
                f"there is no node {index}: nodes go from 1 to {self.graph.node_count - 1}"
            )
        return index


def compare_snapshots(before: HeapSnapshot, after: HeapSnapshot) -> HeapComparison:
    """Return what changed between two snapshots of one process, by type.

    Raises ``ComparisonError`` for snapshots of different processes.
    """
    for snapshot in (before, after):
        if not isinstance(snapshot, HeapSnapshot):
            raise OptionError(f"expected a HeapSnapshot, not {type(snapshot).__name__}")
    return before.compare(after)
