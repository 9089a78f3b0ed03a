"""Retention paths: from a root to an object, one hop for each reference.

A path is a value: text and sizes without a reference to the graph. Paths contain no weak references.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memlens._core.layout import NONE, EdgeKind, NodeFlag, RootKind
from memlens._display import displayed
from memlens._text import format_bytes, middle_cut, printable, text_width
from memlens.heap.graph.heap_graph import Edge, HeapGraph
from memlens.heap.graph.root_names import root_kind, root_text

__all__ = ("Hop", "RetentionPath", "RetentionPathFinder", "reference_text")

# A backward search stops after this many objects. An object that needs more has too many referrers
# for a path to be useful.
SEARCH_LIMIT = 300_000
SHOWN_HOPS = 100  # at each end of a path; a linked list may have millions


@displayed
@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a path: a reference and its target.

    ``text`` is the reference in Python syntax (``.name``, ``[key]``). ``node`` is the number of the
    target in the snapshot, -1 if the path was found without a snapshot; then ``retained_bytes`` is
    None. Sizes are in bytes.
    """

    text: str
    kind: str
    type_name: str
    node: int
    shallow_bytes: int
    retained_bytes: int | None

    def __repr__(self) -> str:
        return f"<Hop {printable(self.text.strip() or '(implied)')}: {_facts(self)}>"


@displayed
@dataclass(frozen=True, slots=True)
class RetentionPath:
    """A chain of references from a root that keeps an object alive.

    ``str()`` is one line, ``app.CACHE['user-123'].buffer``; `tree` draws one line for each hop.
    """

    root: str
    root_kind: str
    hops: tuple[Hop, ...]

    def __repr__(self) -> str:
        return f"<RetentionPath {self}>"

    def __str__(self) -> str:
        texts = [hop.text for hop in self.hops if hop.text]
        return printable(self.root + "".join(_without_middle(texts, " ...({} more)... ")))

    def __len__(self) -> int:
        return len(self.hops)

    def tree(self, width: int | None = None) -> str:
        """Return a drawing with one line for each hop: reference, type and retained size.

        ``width``: the maximum number of columns; by default that of the terminal, else 100.
        """
        width = width or text_width()
        # Hops without a text are internal references between two named ones.
        lines = [_hop_line(hop) for hop in self.hops if hop.text]
        shown = _without_middle(lines, "... {} more")
        step = 4 if width >= 80 else 2
        indented = [" " * step * min(depth, 12) + line for depth, line in enumerate(shown)]
        drawn = [f"{self.root}   ({self.root_kind})", *indented]
        return "\n".join(middle_cut(printable(line), width) for line in drawn)

    def to_dict(self) -> dict[str, Any]:
        """Return the path as JSON-ready values."""
        return {
            "root": self.root,
            "root_kind": self.root_kind,
            "text": str(self),
            "hops": [
                {
                    "reference": hop.text,
                    "kind": hop.kind,
                    "type": hop.type_name,
                    "shallow_bytes": hop.shallow_bytes,
                    "retained_bytes": hop.retained_bytes,
                }
                for hop in self.hops
            ],
        }


def _hop_line(hop: Hop) -> str:
    return f"└── {hop.text}   {_facts(hop)}"


def _facts(hop: Hop) -> str:
    """Return the type and size of what a hop leads to."""
    if hop.retained_bytes is None:
        return f"{hop.type_name}, shallow {format_bytes(hop.shallow_bytes)}"
    return f"{hop.type_name}, retains {format_bytes(hop.retained_bytes)}"


def _without_middle(texts: list[str], mark: str) -> list[str]:
    """Return texts, of very many only the first and the last with a mark between them."""
    hidden_count = len(texts) - 2 * SHOWN_HOPS
    if hidden_count <= 0:
        return texts
    return [*texts[:SHOWN_HOPS], mark.format(hidden_count), *texts[-SHOWN_HOPS:]]


class RetentionPathFinder:
    """Finds retention paths in one heap graph.

    ``skip_roots``: the numbers of roots to ignore, for example the frame of the caller.
    """

    def __init__(self, graph: HeapGraph, *, skip_roots: Collection[int] = ()) -> None:
        self.graph = graph
        self.skip_roots = frozenset(skip_roots)

    def __repr__(self) -> str:
        return f"<RetentionPathFinder for {self.graph!r}>"

    def find(self, node: int, limit: int = 3) -> list[RetentionPath]:
        """Return up to ``limit`` independent paths to ``node``, the best first.

        Two paths are independent if they share no object except the node, the root and the
        namespace of a module. The list is empty for garbage.
        """
        paths: list[RetentionPath] = []
        used: set[int] = set()
        referrers: set[int] = set()  # direct ones: a module's namespace may be used only once
        while len(paths) < limit:
            edges = self._first_path(node) if not paths else None
            if edges is None or not self._allowed(edges):
                edges = self._search_back(node, used, referrers, int(NodeFlag.OWN))
                edges = edges or self._search_back(node, used, referrers, 0)
            if edges is None:
                break
            paths.append(describe_path(self.graph, edges))
            if len(edges) == 1:  # the node itself is a root: exclude only this root
                used.add(-1 - edges[0])
            used.update(self._interior(edges, node))
            referrers.add(self.graph.edge_source(edges[-1]))
        return paths

    def path_to(self, node: int) -> RetentionPath | None:
        """Return the best path to a node, None for garbage. Fast after the first call."""
        edges = self._first_path(node)
        return None if edges is None else describe_path(self.graph, edges)

    def _allowed(self, edges: Sequence[int]) -> bool:
        return edges[0] not in self.skip_roots

    def _first_path(self, node: int) -> list[int] | None:
        """Follow the tree of the breadth-first search from ``node`` up to node 0."""
        path_edges = self.graph.path_edges
        edges: list[int] = []
        while node:
            edge = path_edges[node]
            if edge == NONE:
                return None
            edges.append(edge)
            node = self.graph.edge_source(edge)
        return edges[::-1]

    def _interior(self, edges: Sequence[int], node: int) -> Iterable[int]:
        """Yield the objects that further paths must avoid."""
        graph = self.graph
        root = graph.edge_target[edges[0]]
        namespaces = {
            target
            for target in graph.strong_targets(root)
            if graph.node_flags[target] & NodeFlag.NAMESPACE
        }
        for edge in edges:
            target = graph.edge_target[edge]
            if target not in (node, root) and target not in namespaces:
                yield target

    def _search_back(
        self, node: int, used: Collection[int], referrers: Collection[int], avoided: int
    ) -> list[int] | None:
        """Search breadth-first over referrers for the nearest root of the best kind.

        Objects with one of the flags ``avoided`` are passed by.
        """
        graph = self.graph
        next_hop: dict[int, int] = {node: node}  # towards the node
        queue = deque([node])
        best: tuple[int, int, int] | None = None  # (kind, order of discovery, root)
        while queue and len(next_hop) < SEARCH_LIMIT:
            at = queue.popleft()
            for source in graph.referrers(at):
                if source == 0:
                    best = self._better_root(at, len(next_hop), used, best)
                elif (at == node and source in referrers) or graph.node_flags[source] & avoided:
                    continue
                elif source not in next_hop and source not in used:
                    next_hop[source] = at
                    queue.append(source)
            if best is not None and best[0] <= RootKind.FRAME:
                break
        if best is None:
            return None
        edges = [best[2]]
        at = graph.edge_target[best[2]]
        while at != node:
            edges.append(self._edge_between(at, next_hop[at]))
            at = next_hop[at]
        return edges

    def _better_root(
        self, node: int, order: int, used: Collection[int], best: tuple[int, int, int] | None
    ) -> tuple[int, int, int] | None:
        for root in self._roots_of(node):
            if root in self.skip_roots or -1 - root in used:
                continue
            found = (self.graph.root_kind[root], order, root)
            best = found if best is None or found < best else best
        return best

    def _roots_of(self, node: int) -> list[int]:
        if self._root_index is None:
            index: dict[int, list[int]] = {}
            for root, target in enumerate(self.graph.edge_target[: self.graph.edge_offset[1]]):
                index.setdefault(target, []).append(root)
            self._root_index = index
        return self._root_index.get(node, [])

    _root_index: dict[int, list[int]] | None = None

    def _edge_between(self, source: int, target: int) -> int:
        """Return the edge from source to target, one with a name if there is any."""
        graph = self.graph
        start, end = graph.edge_offset[source], graph.edge_offset[source + 1]
        indices = [i for i in range(start, end) if graph.edge_target[i] == target]
        return min(indices, key=lambda i: (not graph.edge(i, source).name, i))


def describe_path(graph: HeapGraph, edges: Sequence[int]) -> RetentionPath:
    """Return the `RetentionPath` of a chain of edges that starts at node 0."""
    steps = [graph.edge(index, graph.edge_source(index)) for index in edges[1:]]
    root = edges[0]
    hops = tuple(
        _hop(graph, step, steps[position + 1] if position + 1 < len(steps) else None)
        for position, step in enumerate(steps)
    )
    return RetentionPath(root_text(graph, root), root_kind(graph, root), hops)


def _hop(graph: HeapGraph, edge: Edge, following: Edge | None) -> Hop:
    return Hop(
        text=reference_text(edge, following, graph.type_of(edge.target)),
        kind=edge.kind.name.lower(),
        type_name=graph.type_of(edge.target),
        node=edge.target,
        shallow_bytes=graph.node_size[edge.target],
        retained_bytes=graph.retained_bytes(edge.target),
    )


def reference_text(edge: Edge, following: Edge | None, target_type: str) -> str:
    """Return a reference in Python syntax; ``""`` if the following reference implies it.

    An attribute is ``.x``, not ``.__dict__['x']``. A closed-over variable is named at its cell, not
    at the tuple before it or the content behind it.
    """
    if edge.kind is EdgeKind.ATTRIBUTE:
        return f".{edge.name or '<attribute>'}"
    if edge.kind is EdgeKind.INDEX:
        return f"[{edge.position}]"
    if edge.kind is EdgeKind.KEY:
        return f"[{edge.name or '<key>'}]"
    if edge.kind is EdgeKind.LOCAL:
        return f" local {edge.name!r}" if edge.name else " <local>"
    if edge.kind is EdgeKind.CELL:
        return f" <closure {edge.name!r}>"
    if edge.kind is EdgeKind.ITEM:
        return f"{{{edge.name or target_type}}}"
    if following is not None and (edge.name, following.kind) in _IMPLIED_BY_NEXT:
        return ""
    if edge.name == "cell_contents":
        return ""
    return f".{edge.name}" if edge.name else f" -> {target_type}"


_IMPLIED_BY_NEXT = {
    ("__dict__", EdgeKind.ATTRIBUTE),
    ("__closure__", EdgeKind.CELL),
}
