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
        edges = self._from_first_name(edges)
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

    def _from_first_name(self, edges: list[int]) -> list[int]:
        """Return the path from the suspended frame that comes first by its function and its local.

        Several tasks may have the same object in a local. Which of them is nearest to a root changes
        from run to run, with the timers of an event loop.
        """
        graph = self._graph
        for position in range(len(edges) - 1, 0, -1):
            source = graph.edge_source(edges[position])
            is_local = graph.edge_label[edges[position]] & KIND_MASK == EdgeKind.LOCAL
            if is_local and graph.type_of(source) in SUSPENDED:
                break
        else:
            return edges
        target = graph.edge_target[edges[position]]
        best = self._name_of_local(edges[position], source)
        start = edges[: position + 1]
        for other, edge in self._locals_of_others(source, target):
            name = self._name_of_local(edge, other)
            if name < best:
                way = self._shortest(other)
                if way is not None and target not in map(graph.edge_target.__getitem__, way):
                    best, start = name, [*way, edge]
        return [*start, *edges[position + 1 :]]

    def _locals_of_others(self, frame: int, target: int) -> Iterator[tuple[int, int]]:
        """Yield the other suspended frames of the program with an object in a local, and the edge."""
        graph = self._graph
        sources = dict.fromkeys(graph.referrers(target))
        if len(sources) > _MAX_SEARCHED:
            return
        for source in sources:
            if source == frame or graph.type_of(source) not in SUSPENDED:
                continue
            if self._is_start(source) and self._may_name(source):
                for edge in self._named_edges(source, target, is_last=False):
                    if graph.edge_label[edge] & KIND_MASK == EdgeKind.LOCAL:
                        yield source, edge

    def _name_of_local(self, edge: int, frame: int) -> tuple[bool, str, str]:
        """Return what orders locals of suspended frames: the program's first, then by their names."""
        code = code_of(self._graph, frame)
        function = code[0] if code else ""
        return not self._is_start(frame), function, self._graph.edge(edge, frame).name

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

    def _rank(self, node: int) -> tuple[int, int, str, int]:
        """Order starts: modules, the main thread's frames with the outermost first, others by name."""
        graph = self._graph
        root = self._roots.get(node)
        if root is None:
            code = code_of(graph, node)
            return 2, 0, code[0] if code else "", node
        frame = graph.root_frame[root]
        if frame == NONE:
            return 0, 0, graph.string(graph.root_name[root]), node
        names = graph.facts.get("threads", {})
        is_main = names.get(str(graph.frame_thread[frame])) == _MAIN_THREAD
        function = graph.string(graph.frame_function[frame])
        return (1 if is_main else 3), -graph.frame_depth[frame], function, node

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
