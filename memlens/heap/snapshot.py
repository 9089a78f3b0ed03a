"""HeapSnapshot: a captured heap and the views of it."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from itertools import compress
from typing import Any

from memlens._core.layout import NodeFlag
from memlens._display import displayed
from memlens._options import check_callable
from memlens._presentation import write_html
from memlens._text import format_count
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.comparison import HeapComparison, compare_graphs
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import NativeKind
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder
from memlens.heap.graph.snapshot_file import SectionFile, write_sections
from memlens.heap.graph.validation import CheckedSections
from memlens.heap.views.branch import Branch
from memlens.heap.views.containment import containment_of
from memlens.heap.views.devices import summarise_devices
from memlens.heap.views.dominators import Dominators, dominators_of
from memlens.heap.views.duplicates import Duplicates, duplicates_of
from memlens.heap.views.lookup import find_path
from memlens.heap.views.node_set import NodeSet, select_nodes
from memlens.heap.views.referrers import Referrers, referrers_of
from memlens.heap.views.site_summary import summarise_sites
from memlens.heap.views.sparse_collections import SparseCollections, sparse_collections_of
from memlens.heap.views.statistics import Statistics, statistics_of
from memlens.heap.views.summary import Summary, garbage_of, summarise
from memlens.heap.views.visibility import OWN, check_min, shown_nodes

__all__ = ("HeapSnapshot", "compare_snapshots")


_MAX_SMALL_BYTES = 512  # of a block of pymalloc


@displayed
class HeapSnapshot:
    """All objects of a process at one instant, and their references.

    Created by ``memlens.take_heap_snapshot`` and ``memlens.load``. Views leave out garbage, unless
    asked to include it, and the objects of memlens itself. Sizes are in bytes.
    """

    def __init__(self, graph: HeapGraph) -> None:
        self.graph = graph
        self._finder = RetentionPathFinder(graph)

    # -- facts -----------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """What was recorded about the process and the capture."""
        return self.graph.facts

    @property
    def timestamp(self) -> float:
        """The time of the capture, in seconds since the epoch."""
        return float(self.facts["timestamp"])

    @property
    def reason(self) -> str:
        """The reason that the caller gave."""
        return str(self.facts["reason"])

    @property
    def pid(self) -> int:
        """The process identifier."""
        return int(self.facts["pid"])

    @property
    def pause_seconds(self) -> float:
        """How long the capture paused the program, including garbage collections."""
        return float(self.facts["pause_seconds"])

    @property
    def object_count(self) -> int:
        """The number of captured objects, including garbage and memlens's own."""
        return self.graph.object_count

    @property
    def native_block_count(self) -> int:
        """The number of blocks of native memory that captured objects hold."""
        return 0 if self.graph.native is None else len(self.graph.native)

    @property
    def edge_count(self) -> int:
        """The number of captured references, including weak ones."""
        return self.graph.edge_count - self.graph.root_count_total

    @property
    def total_bytes(self) -> int:
        """The total shallow size of all captured objects and native blocks."""
        return sum(self.graph.node_size)

    @property
    def native_bytes(self) -> int:
        """The part of `total_bytes` that is native memory of this machine: not of devices."""
        return sum(size for kind, size in self._native_sizes() if kind.is_host)

    @property
    def device_bytes(self) -> int:
        """The part of `total_bytes` that is memory of devices, such as ``cuda:0``."""
        return sum(size for kind, size in self._native_sizes() if not kind.is_host)

    @property
    def large_object_bytes(self) -> int:
        """The bytes of objects of more than 512 bytes, which come from malloc, not from pymalloc.

        Without those of memlens itself.
        """
        left_out = int(NodeFlag.OWN | NodeFlag.NATIVE)
        sizes, flags = self.graph.node_size, self.graph.flags
        is_large = checked_core.mark_buffers(sizes, array("I"), _MAX_SMALL_BYTES + 1)
        large = compress(range(len(sizes)), is_large)
        return sum(sizes[node] for node in large if not flags[node] & left_out)

    def native_by_device(self, *, resident: bool = False) -> dict[str, dict[str, int]]:
        """Return the bytes of native blocks that objects hold, by device and library.

        Devices are ``cpu``, ``mapped`` (files), ``shared`` (memory without a file that other
        processes can map) and those of libraries, such as ``cuda:0``. ``resident``: of mappings only
        what was resident, where that is known. Without what only memlens itself holds.
        """
        found: dict[str, dict[str, int]] = {}
        nodes = () if self.graph.native is None else self.graph.native.nodes
        for node, (kind, size) in zip(nodes, self._native_sizes(resident), strict=True):
            if self.graph.flags[node] & OWN:
                continue
            libraries = found.setdefault(kind.device, {})
            libraries[kind.library] = libraries.get(kind.library, 0) + size
        return found

    def _native_sizes(self, resident: bool = False) -> Iterator[tuple[NativeKind, int]]:
        native = self.graph.native
        if native is None:
            return iter(())
        sizes = native.resident_sizes if resident else native.sizes
        return sizes(self.graph.node_size)

    # -- views -----------------------------------------------------------------------------------

    def summary(self, by: str = "type", *, include_garbage: bool = False) -> Summary:
        """Return the objects in groups, with the count, shallow and retained size of each group.

        ``by``: ``"type"``; ``"module"``, where the type is defined; ``"size"``, in powers of two;
        ``"referrer"``, the types and kinds of roots that refer to an object; ``"device"``, where
        memory lies: the Python heap, native memory, mapped files and each device, with the objects
        that retain the most of it; ``"site"``, the line that allocated it. Sites are estimated from
        sampled objects; their retained sizes are of the sampled objects only. Raises
        ``OptionError`` for another grouping, ``NotInSnapshotError`` for sites if allocations were
        not sampled.
        """
        if by == "site":
            return summarise_sites(self.graph, include_garbage=include_garbage)
        if by == "device":
            return summarise_devices(self.graph, include_garbage=include_garbage)
        return summarise(self.graph, by, include_garbage=include_garbage)

    def statistics(self, *, include_garbage: bool = False) -> Statistics:
        """Return the objects by kind: strings, containers, classes..."""
        return statistics_of(self.graph, include_garbage=include_garbage)

    def containment(self, *, include_garbage: bool = False) -> Branch:
        """Return the tree of references from the roots down."""
        return containment_of(self.graph, include_garbage=include_garbage)

    def dominators(self, node: Node | int | None = None) -> Dominators:
        """Return the dominator tree below a node, or of the whole process.

        ``dominators().big_drops()`` returns the objects in which memory accumulates.
        """
        return dominators_of(self.graph, 0 if node is None else self._index(node))

    def referrers(self, node: Node | int) -> Referrers:
        """Return the tree of referrers from a node up to the roots."""
        return referrers_of(self.graph, self._index(node))

    def select(
        self,
        type: str | None = None,  # noqa: A002 - the most natural name of the argument
        *,
        min_shallow_bytes: int = 0,
        min_retained_bytes: int = 0,
        include_garbage: bool = False,
    ) -> NodeSet:
        """Return the set of objects of a type that have at least the given sizes.

        ``type``: the qualified name, ``"dict"`` or ``"app.models.User"``; ``*`` matches any text.
        Sets of one snapshot can be combined: ``a & b``, ``a | b``, ``a - b``, ``a ^ b``. Raises
        ``OptionError`` for a type that is no text.
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

        The text is shown if the snapshot was taken with values. Groups that waste less than
        ``min_wasted_bytes`` are left out. Raises ``OptionError`` for a snapshot that does not
        record which strings are equal.
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
        """Return the dicts, sets and lists that use little of their capacity, most waste first.

        ``max_fill``: the largest share of the capacity in use, from 0 to 1. ``min_wasted_bytes``:
        the least number of bytes that a fresh copy would save.
        """
        return sparse_collections_of(
            self.graph,
            max_fill=max_fill,
            min_wasted_bytes=min_wasted_bytes,
            include_garbage=include_garbage,
        )

    def garbage(self) -> Summary:
        """Return the unreachable objects by type: what the next full collection would free."""
        return garbage_of(self.graph)

    def largest(self, limit: int = 10, *, include_garbage: bool = False) -> list[Node]:
        """Return the ``limit`` objects with the largest retained sizes, largest first."""
        check_min("limit", limit, 1)
        return [Node(self.graph, node) for node in self.graph.largest(limit, include_garbage)]

    def find(self, matches: Callable[[Node], bool]) -> Iterator[Node]:
        """Yield the objects for which ``matches(node)`` returns true.

        For the objects of a type use `select`. Raises ``OptionError`` for what cannot be called.
        """
        check_callable("matches", matches)
        return filter(matches, (Node(self.graph, node) for node in shown_nodes(self.graph)))

    def node_of(self, obj: object) -> Node:
        """Return the node of a live object of this process.

        Raises ``NotInSnapshotError`` for an object that was created later or has another type now.
        """
        if self.pid != os.getpid():
            raise NotInSnapshotError(
                f"this snapshot is of process {self.pid}, but the object is in process {os.getpid()}"
            )
        index = self.graph.find_address(id(obj))
        qualname: str = type.__dict__["__qualname__"].__get__(type(obj))
        if (
            index is None
            or self.graph.type_of(index).rpartition(".")[2] != (qualname.rpartition(".")[2])
        ):
            raise NotInSnapshotError(
                f"the snapshot does not contain this {qualname} object: it was created later, or an"
                " instance stores it in another form"
            )
        return Node(self.graph, index)

    def node_at(self, path: str) -> Node | None:
        """Return the object at a path as printed, ``app.registry._sessions``, or None.

        Keys of dicts other than namespaces are known only if the snapshot was taken with values.
        """
        index = find_path(self.graph, path)
        return None if index is None else Node(self.graph, index)

    def retention_paths(self, node: Node | int, limit: int = 3) -> list[RetentionPath]:
        """Return up to ``limit`` independent paths that keep a node alive, the best first."""
        check_min("limit", limit, 1)
        return self._finder.find(self._index(node), limit)

    def path_to(self, node: Node | int) -> RetentionPath | None:
        """Return the best path to a node; None for garbage."""
        return self._finder.path_to(self._index(node))

    def compare(self, later: HeapSnapshot) -> HeapComparison:
        """Return what changed from this snapshot to a later one of the same process.

        Raises ``ComparisonError`` for snapshots of different processes.
        """
        return compare_graphs(self.graph, later.graph)

    # -- files -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the snapshot and its retained sizes to ``path``; return the number of bytes.

        Raises ``OutputError`` if the file cannot be written; then an existing file is unchanged.
        """
        return write_sections(path, self.graph.stored_sections(), self.facts)

    def to_html(self, path: str | os.PathLike[str]) -> int:
        """Write a report with pictures and tables as one HTML file; return its size in bytes.

        Raises ``OutputError`` if the file cannot be written.
        """
        return write_html(path, snapshots=(self,))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HeapSnapshot:
        """Open a snapshot file. Raises ``SnapshotFileError`` for any other file."""
        return cls(_graph_of(SectionFile(path)))

    @classmethod
    def from_descriptor(cls, descriptor: int) -> HeapSnapshot:
        """Open the snapshot file of a descriptor, which may be closed afterwards."""
        return cls(_graph_of(SectionFile.from_descriptor(descriptor)))

    def verify(self) -> None:
        """Check the checksum and the values of every section of the file of this snapshot.

        Otherwise a section is checked on its first use. Does nothing for a snapshot that was not
        loaded from a file. Raises ``SnapshotFileError`` for a damaged section.
        """
        if isinstance(self.graph.sections, CheckedSections):
            self.graph.sections.verify()

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return f"<HeapSnapshot of process {self.pid}: {format_count(self.object_count)} objects>"

    # -- inside ----------------------------------------------------------------------------------

    def _index(self, node: Node | int) -> int:
        index = node.index if isinstance(node, Node) else node
        if isinstance(node, Node) and node.graph is not self.graph:
            raise NotInSnapshotError("this node belongs to another snapshot")
        if not 0 < index < self.graph.node_count:
            raise NotInSnapshotError(
                f"there is no node {index}: nodes are numbered from 1 to {self.graph.node_count - 1}"
            )
        return index


def _graph_of(file: SectionFile) -> HeapGraph:
    return HeapGraph(file, file.facts())


def compare_snapshots(before: HeapSnapshot, after: HeapSnapshot) -> HeapComparison:
    """Return what changed between two snapshots of one process, by type.

    Raises ``ComparisonError`` for snapshots of different processes.
    """
    for snapshot in (before, after):
        if not isinstance(snapshot, HeapSnapshot):
            raise OptionError(f"expected a HeapSnapshot, not {type(snapshot).__name__}")
    return before.compare(after)
