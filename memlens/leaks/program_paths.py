"""Paths from the program's own roots, where the shortest leads through the tables of a library.

A list that a function of the program holds as ``hub.writers`` may be nearer to an event loop or to a
table of worker threads. Such a path goes through keys and positions, and tells a reader nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from memlens._core.layout import KIND_MASK, NONE, EdgeKind, NodeFlag, RootKind
from memlens._frame import is_library_file
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath, describe_path
from memlens.leaks.place_keys import SUSPENDED, code_of

__all__ = ("ProgramPaths",)

_MAX_SEARCHED = 2000  # objects; a name that is farther away tells no more
_MAX_HOPS = 10
_MAX_EDGES = 2000  # of an object on such a path; one with more is a table
_NAMED = (EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CELL)
_TABLES = (EdgeKind.KEY, EdgeKind.INDEX, EdgeKind.ITEM)
_BETWEEN_NAMES = frozenset({"__dict__", "__closure__", "cell_contents"})
_PROGRAM = "__main__"
_MAIN_THREAD = "MainThread"


class ProgramPaths:
    """Finds the path to name a holder by, in one graph."""

    def __init__(self, graph: HeapGraph) -> None:
        self._graph = graph

    def path_to(self, node: int) -> RetentionPath | None:
        """Return the best path to a node, None for garbage.

        That is the shortest. If it leads through the tables of a library, it is one of names alone
        from a module or a function of the program, where there is one.
        """
        edges = self._shortest(node)
        if edges is None:
            return None
        if edges[0] not in self._roots.values() and self._leads_through_tables(edges):
            edges = self._by_names(node) or edges
        return describe_path(self._graph, edges)

    def _shortest(self, node: int) -> list[int] | None:
        graph = self._graph
        edges: list[int] = []
        while node:
            edge = graph.path_edges[node]
            if edge == NONE:
                return None
            edges.append(edge)
            node = graph.edge_source(edge)
        return edges[::-1]

    def _leads_through_tables(self, edges: Sequence[int]) -> bool:
        """Tell whether a path has keys or positions after the last frame on it."""
        graph = self._graph
        for edge in reversed(edges[1:]):
            kind = graph.edge_label[edge] & KIND_MASK
            if kind in _TABLES:
                return True
            if kind == EdgeKind.LOCAL:
                return False
        return False

    @cached_property
    def _roots(self) -> dict[int, int]:
        """The roots of the program's own code, by their nodes: its modules and running frames."""
        graph = self._graph
        return {
            graph.edge_target[root]: root
            for root, kind in enumerate(graph.root_kind)
            if (kind == RootKind.MODULE and self._is_own_module(root))
            or (kind == RootKind.FRAME and self._is_own_frame(graph.root_frame[root]))
        }

    def _is_own_module(self, root: int) -> bool:
        graph = self._graph
        if graph.string(graph.root_name[root]) == _PROGRAM:
            return True
        location = graph.location_of(graph.edge_target[root])
        return location is not None and not is_library_file(location.file)

    def _is_own_frame(self, frame: int) -> bool:
        graph = self._graph
        return frame != NONE and not is_library_file(graph.string(graph.frame_file[frame]))

    def _by_names(self, node: int) -> list[int] | None:
        """Search back over names, level by level, to the program's own code."""
        towards: dict[int, list[int]] = {node: []}  # the edges from an object to the node
        level = [node]
        while level and len(towards) < _MAX_SEARCHED and len(towards[level[0]]) <= _MAX_HOPS:
            starts = [at for at in level if self._is_start(at)]
            if starts:
                start = min(starts, key=self._rank)
                root = self._roots.get(start)
                begin = self._shortest(start) if root is None else [root]
                return None if begin is None else [*begin, *towards[start]]
            level = list(self._next_level(level, towards, node))
        return None

    def _next_level(
        self, level: Sequence[int], towards: dict[int, list[int]], node: int
    ) -> Iterator[int]:
        graph = self._graph
        for at in level:
            for source in graph.referrers(at):
                if source and source not in towards and self._may_name(source):
                    edge = next(self._named_edges(source, at, is_last=at == node), None)
                    if edge is not None:
                        towards[source] = [edge, *towards[at]]
                        yield source

    def _may_name(self, source: int) -> bool:
        graph = self._graph
        count = graph.edge_offset[source + 1] - graph.edge_offset[source]
        return count <= _MAX_EDGES and not graph.has(source, NodeFlag.OWN)

    def _is_start(self, node: int) -> bool:
        """Tell whether an object is a module, a running or a suspended frame of the program."""
        if node in self._roots:
            return True
        if self._graph.type_of(node) not in SUSPENDED:
            return False
        code = code_of(self._graph, node)
        return code is not None and bool(code[1]) and not is_library_file(code[1])

    def _rank(self, node: int) -> tuple[int, int, int]:
        """Order starts: modules, the main thread's frames with the outermost first, others."""
        graph = self._graph
        root = self._roots.get(node)
        if root is None:
            return 2, 0, node
        frame = graph.root_frame[root]
        if frame == NONE:
            return 0, 0, node
        names = graph.facts.get("threads", {})
        is_main = names.get(str(graph.frame_thread[frame])) == _MAIN_THREAD
        return (1 if is_main else 3), -graph.frame_depth[frame], node

    def _named_edges(self, source: int, target: int, *, is_last: bool) -> Iterator[int]:
        """Yield the edges between two objects that are names, or lie between two names."""
        graph = self._graph
        for index in range(graph.edge_offset[source], graph.edge_offset[source + 1]):
            if graph.edge_target[index] == target:
                edge = graph.edge(index, source)
                is_inner = edge.kind is EdgeKind.INTERNAL and (
                    edge.name in _BETWEEN_NAMES or (is_last and not edge.name)
                )
                if is_inner or (edge.kind in _NAMED and edge.name):
                    yield index
