"""HeapGraph: every object of a process at one instant, and what refers to what.

An immutable struct of arrays in the layout of `memlens._core.layout`. Node 0 is the process; its
edges are the roots. Derived data (dominators, referrers, paths, the address index) is computed by
the core on first use and cached.
"""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Any

from memlens._core.layout import (
    DERIVED_SECTIONS,
    LARGEST_STORED,
    NONE,
    OPTIONAL_SECTIONS,
    SECTIONS,
    SITE_SECTIONS,
    EdgeKind,
    NodeFlag,
    RootKind,
)
from memlens._frame import is_library_file
from memlens.heap.graph import checked_core
from memlens.heap.graph.allocation_sites import AllocationSites
from memlens.heap.graph.graph_columns import PYTHON, Edge
from memlens.heap.graph.retained_columns import RetainedColumns

__all__ = ("PYTHON", "Edge", "HeapGraph")


# Search order: a path from a module or a frame is more useful than one from the intern table.
_ROOT_TIER = {
    RootKind.MODULE: 0,
    RootKind.FRAME: 1,  # up to 200: see `HeapGraph._frame_tier`
    RootKind.INTERPRETER: 201,
    RootKind.STATIC_TYPE: 202,
    RootKind.INTERNED: 203,
    RootKind.IMMORTAL: 203,
    RootKind.EXTERNAL: 204,
}
_TIER_OF_KIND = bytes(_ROOT_TIER.get(kind, 0) for kind in range(256))  # type: ignore[call-overload]
_MAX_RANKED_DEPTH = 99


class HeapGraph(RetainedColumns):
    """The object graph of one process at one instant.

    ``sections`` maps each name of `memlens._core.layout.SECTIONS` to a buffer; ``facts`` is a JSON
    object about the process. Raises ``SnapshotFileError`` where the sections do not fit together.
    """

    def __repr__(self) -> str:
        return f"<HeapGraph: {self.node_count:,} nodes, {self.edge_count:,} edges>"

    @cached_property
    def sites(self) -> AllocationSites | None:
        """Where sampled objects were allocated; None if allocations were not sampled."""
        if not SITE_SECTIONS.keys() <= self.sections.keys():
            return None
        lost = self.facts.get("lost_samples", ())
        return AllocationSites(self.sections, self.node_address, lost)

    # -- paths

    @cached_property
    def path_edges(self) -> memoryview:
        """For each node, the last edge of the best shortest path from a root."""
        return self.find_path_edges()

    @property
    def has_paths(self) -> bool:
        """Whether `path_edges` are there already."""
        return "path_edges" in self.__dict__

    def forget_paths(self) -> None:
        """Free the memory of `path_edges`, which are found again when they are used."""
        self.__dict__.pop("path_edges", None)

    def find_path_edges(self) -> memoryview:
        """Return `path_edges` without keeping them, if they are not there already."""
        if self.has_paths:
            return self.path_edges
        tiers = bytearray(bytes(self.root_kind).translate(_TIER_OF_KIND))
        for root, frame in enumerate(self.root_frame):
            if frame != NONE:
                tiers[root] = self._frame_tier(tiers[root], frame)
        ends = self.edge_offset, self.edge_target
        first_edge = checked_core.shortest_paths(*ends, self.edge_label, tiers)
        own = checked_core.nodes_flagged(self.node_flags, int(NodeFlag.OWN))
        if not own:
            return memoryview(first_edge)
        # A path through objects of memlens explains little. It is used only where there is no other.
        others = checked_core.shortest_paths(*ends, self._labels_without(own), tiers)
        _fill(others, first_edge)
        return memoryview(others)

    def _labels_without(self, nodes: array[int]) -> array[int]:
        """Return the labels of all edges, those of these nodes as if they were weak."""
        labels = array("I", self.edge_label.tobytes())
        for node in nodes:
            start, end = self.edge_offset[node], self.edge_offset[node + 1]
            labels[start:end] = array("I", [EdgeKind.WEAK]) * (end - start)
        return labels

    def _frame_tier(self, tier: int, frame: int) -> int:
        """Rank a running frame as the start of a path: lower is better.

        The program's frames come before those of libraries, and the outermost first: it lives
        longest, so that the same object has the same path in the next snapshot.
        """
        depth = min(self.frame_depth[frame], _MAX_RANKED_DEPTH)
        of_library = is_library_file(self.string(self.frame_file[frame]))
        return tier + _MAX_RANKED_DEPTH * (1 + of_library) - depth

    # -- the largest

    def largest(self, limit: int, include_garbage: bool = False) -> list[int]:
        """Return up to ``limit`` nodes with the largest retained sizes, without memlens's own.

        A native block is left out where an object retains it.
        """
        if self.native is None:
            return self._ranked(limit, include_garbage)
        wanted = limit
        while True:
            ranked = self._ranked(wanted, include_garbage)
            found = [node for node in ranked if not self.has_owner(node)]
            if len(found) >= limit or len(ranked) < wanted:
                return found[:limit]
            wanted *= 2

    def has_owner(self, node: int) -> bool:
        """Return whether a node is a native block that an object retains: none but a module."""
        if self.kind_of(node) is None:
            return False
        owner = self.dominators.dominator[node]
        return owner not in (0, NONE) and owner not in self.modules

    @cached_property
    def modules(self) -> frozenset[int]:
        """The modules of ``sys.modules`` and their namespaces."""
        found: set[int] = set()
        for root, kind in enumerate(self.root_kind):
            if kind == RootKind.MODULE:
                module = self.edge_target[root]
                found.add(module)
                found.update(
                    node
                    for node in self.strong_targets(module)
                    if self.node_flags[node] & NodeFlag.NAMESPACE
                )
        return frozenset(found)

    def _ranked(self, limit: int, include_garbage: bool) -> list[int]:
        """Return up to ``limit`` nodes by retained size, native blocks included.

        A file stores the first `LARGEST_STORED` of them, so that it need not scan all nodes.
        """
        stored = self.sections.get("node_largest")
        if stored is not None and not include_garbage and limit <= LARGEST_STORED:
            return list(stored[:limit])
        hidden = int(NodeFlag.OWN if include_garbage else NodeFlag.OWN | NodeFlag.GARBAGE)
        return checked_core.largest_nodes(
            self.dominators.retained, self.flags, limit, hidden
        ).tolist()

    def stored_sections(self) -> dict[str, tuple[str, Any]]:
        """Return the typecode and the buffer of each section that a file stores."""
        derived = {
            "node_dominator": self.dominators.dominator,
            "node_retained": self.dominators.retained,
            "node_largest": array("I", self._ranked(LARGEST_STORED, False)),
        }
        optional = OPTIONAL_SECTIONS | SITE_SECTIONS
        captured = SECTIONS | {n: c for n, c in optional.items() if n in self.sections}
        sections = {name: (code, self.sections[name]) for name, code in captured.items()}
        return sections | {name: (DERIVED_SECTIONS[name], derived[name]) for name in derived}

    def forget_flags(self) -> None:
        """Free the memory of `flags`, which are found again when they are used."""
        self.__dict__.pop("flags", None)

    def has(self, node: int, flag: NodeFlag) -> bool:
        """Return whether a node has a flag."""
        return bool(self.flags[node] & int(flag))  # `&` with a Flag is ten times slower

    # -- finding nodes ---------------------------------------------------------------------------

    def find_address(self, address: int) -> int | None:
        """Return the node of the object whose ``id()`` was ``address``, or None."""
        start = 0
        while True:
            try:
                node = self._addresses.index(address, start)
            except ValueError:
                return None
            if self.kind_of(node) is None:  # a native block may lie at the address of an object
                return node
            start = node + 1

    @cached_property
    def _addresses(self) -> array[int]:
        return array("Q", self.node_address.tobytes())


def _fill(column: array[int], other: array[int]) -> None:
    """Replace each `NONE` in a column, in place, by what another one has there."""
    place = 0
    try:
        while True:
            place = column.index(NONE, place)
            column[place] = other[place]
            place += 1
    except ValueError:
        return
