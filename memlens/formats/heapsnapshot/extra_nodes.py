"""Nodes of a ``.heapsnapshot`` that are no objects: groups of roots, and parts of large objects.

DevTools expects synthetic nodes below the root. Each kind of root has one, threads have one each; the
names of the edges below a group are the names of the roots, each of them once. Garbage has a group of
its own beside them.

A size of 4 GiB or more does not fit in the 32 bits that readers keep of a number. Such a node keeps
part of its size; the rest is in nodes of its own that it alone refers to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from memlens._core.layout import NONE, RootKind
from memlens.formats.heapsnapshot.ids import reserved_id
from memlens.formats.heapsnapshot.schema import (
    ELEMENT,
    INTERNAL,
    MAX_SIZE,
    NATIVE,
    PROPERTY,
    SYNTHETIC,
)
from memlens.formats.heapsnapshot.strings import StringTable
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.root_names import frame_text

__all__ = ("ExtraEdge", "ExtraNode", "ExtraNodes")

_GROUPS = {
    RootKind.MODULE: "(modules)",
    RootKind.INTERPRETER: "(interpreter)",
    RootKind.STATIC_TYPE: "(static types)",
    RootKind.INTERNED: "(interned strings)",
    RootKind.IMMORTAL: "(immortal objects)",
    RootKind.EXTERNAL: "(held by native code or the interpreter)",
}
_NAMED = (RootKind.MODULE, RootKind.INTERPRETER, RootKind.FRAME)


class ExtraEdge(NamedTuple):
    """An edge that the graph does not have: a type, a number of a string or a position, a row."""

    type: int
    name_or_index: int
    target: int


@dataclass(slots=True)
class ExtraNode:
    """A node that is no object of the graph."""

    type: int
    name: int
    id: int
    size_bytes: int = 0
    edges: list[ExtraEdge] = field(default_factory=list)
    names: set[str] = field(default_factory=set)  # of the edges


class ExtraNodes:
    """The extra nodes of one file, whose rows follow those of ``first_row`` nodes."""

    def __init__(self, first_row: int, strings: StringTable) -> None:
        self.nodes: list[ExtraNode] = []
        self.edges_by_row: dict[int, list[ExtraEdge]] = {}  # added to those of rows of the graph
        self._first_row = first_row
        self._strings = strings
        self._groups: dict[str, ExtraNode] = {}

    def __len__(self) -> int:
        return len(self.nodes)

    def _add(self, node_type: int, name: str, size_bytes: int = 0) -> int:
        """Add a node; return its row."""
        node = ExtraNode(
            node_type, self._strings.add(name), reserved_id(len(self.nodes)), size_bytes
        )
        self.nodes.append(node)
        return self._first_row + len(self.nodes) - 1

    def _below_root(self, name: str) -> ExtraNode:
        """Add a node below the root; return it."""
        row = self._add(SYNTHETIC, name)
        edges = self.edges_by_row.setdefault(0, [])
        edges.append(ExtraEdge(ELEMENT, len(edges) + 1, row))
        return self.nodes[-1]

    # -- roots -----------------------------------------------------------------------------------

    def add_roots(self, graph: HeapGraph, rows: Sequence[int]) -> None:
        """Add the roots of a graph. ``rows``: the row of each node, `NONE` for one left out."""
        top = self._below_root("(GC roots)")
        for root, target in enumerate(graph.edge_target[: graph.root_count_total]):
            row = rows[target]
            if row == NONE or not target:
                continue
            kind = RootKind(graph.root_kind[root])
            group = self._group(top, _group_name(graph, root, kind))
            if kind in _NAMED:
                self._name_edge(group, _root_name(graph, root, target), row)
            else:
                group.edges.append(ExtraEdge(ELEMENT, len(group.edges) + 1, row))

    def _group(self, top: ExtraNode, name: str) -> ExtraNode:
        group = self._groups.get(name)
        if group is None:
            row = self._add(SYNTHETIC, name)
            group = self._groups[name] = self.nodes[-1]
            top.edges.append(ExtraEdge(ELEMENT, len(top.edges) + 1, row))
        return group

    def _name_edge(self, group: ExtraNode, name: str, row: int) -> None:
        """Add an edge with a name that no other edge of the group has."""
        number, unique = 1, name
        while unique in group.names:
            number += 1
            unique = f"{name} ({number})"
        group.names.add(unique)
        group.edges.append(ExtraEdge(PROPERTY, self._strings.add(unique), row))

    def add_garbage(self, rows: Iterable[int]) -> None:
        """Add unreachable objects. Each hangs from their group, so it retains only itself."""
        group = self._below_root("(garbage: what the next full collection frees)")
        group.edges += [ExtraEdge(ELEMENT, place, row) for place, row in enumerate(rows, start=1)]

    def add_held(self, rows: Iterable[int]) -> None:
        """Add what only objects that were left out as small refer to, from several places."""
        group = self._below_root("(held by smaller objects)")
        group.edges += [ExtraEdge(ELEMENT, place, row) for place, row in enumerate(rows, start=1)]

    # -- large objects -----------------------------------------------------------------------------

    def add_parts(self, sizes: Iterable[tuple[int, int]]) -> None:
        """Add nodes for what exceeds `MAX_SIZE` of rows: pairs of a row and its size in bytes."""
        for row, size_bytes in sizes:
            parts = _parts(size_bytes - MAX_SIZE)
            edges = self.edges_by_row.setdefault(row, [])
            for number, part_bytes in enumerate(parts, start=2):
                name = self._strings.add(f"part {number}")
                part = self._add(NATIVE, "(part of a large object)", part_bytes)
                edges.append(ExtraEdge(INTERNAL, name, part))


def _parts(rest_bytes: int) -> Iterator[int]:
    while rest_bytes > 0:
        yield min(rest_bytes, MAX_SIZE)
        rest_bytes -= MAX_SIZE


def _group_name(graph: HeapGraph, root: int, kind: RootKind) -> str:
    if kind is not RootKind.FRAME:
        return _GROUPS[kind]
    frame = graph.root_frame[root]
    if frame == NONE:
        return "(running frames)"
    thread = str(graph.frame_thread[frame])
    return f"(thread {graph.facts.get('threads', {}).get(thread, thread)})"


def _root_name(graph: HeapGraph, root: int, target: int) -> str:
    frame = graph.root_frame[root]
    if frame != NONE:
        return frame_text(graph, frame).partition(" frame ")[2]
    return graph.string(graph.root_name[root]) or graph.type_of(target)
