"""Finding an object by the text of its path: ``app.registry._sessions['ada']``."""

from __future__ import annotations

from collections.abc import Iterator

from memlens._text import printable
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import reference_text
from memlens.heap.graph.root_names import root_text
from memlens.heap.views.branch import best_edges

__all__ = ("find_path",)


def find_path(graph: HeapGraph, text: str) -> int | None:
    """Return the node at the path with this text; None if there is none.

    A path starts with a root, as `RetentionPath` prints it.
    """
    for root, node in sorted(_roots(graph, text), key=lambda found: -len(found[0])):
        found = _follow(graph, node, text[len(root) :])
        if found is not None:
            return found
    return None


def _roots(graph: HeapGraph, text: str) -> Iterator[tuple[str, int]]:
    for root, node in enumerate(graph.edge_target[: graph.root_count_total]):
        name = printable(root_text(graph, root))
        if text.startswith(name):
            yield name, node


def _follow(graph: HeapGraph, start: int, text: str) -> int | None:
    """Search depth-first, longest match first: one key may be a prefix of another."""
    stack = [(start, text)]
    seen: set[tuple[int, int]] = set()
    while stack:
        node, rest = stack.pop()
        if not rest:
            return node
        if (node, len(rest)) in seen:
            continue
        seen.add((node, len(rest)))
        steps = []
        for target, index in best_edges(graph, node).items():
            edge = graph.edge(index, node)
            step = printable(reference_text(edge, None, graph.type_of(target)))
            if rest.startswith(step):
                steps.append((len(step), target, rest[len(step) :]))
        steps.sort()
        stack += [(target, left) for _, target, left in steps]
    return None
