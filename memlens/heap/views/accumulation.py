"""The objects in which a part of the memory accumulates, such as the native memory of a device."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from memlens._core.layout import NONE, NodeFlag
from memlens.heap.graph.dominator_tree import DominatorTree
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.views.visibility import is_shown

__all__ = ("Accumulation", "accumulations")

_MIN_SHARE = 0.01  # of the part, for an object
_RATIO = 0.7  # of what an object retains: where one below it retains more, that one is looked at


class Accumulation(NamedTuple):
    """An object in which a part of the memory accumulates, and how many bytes of it.

    ``is_shared``: the object holds them together with others, so that none of them retains them.
    """

    node: int
    size_bytes: int
    is_shared: bool


def accumulations(
    graph: HeapGraph, held: array[int], tree: DominatorTree | None = None
) -> list[Accumulation]:
    """Return the objects in which a part of the memory accumulates, most bytes first.

    ``held``: the bytes of that part that each node retains. The objects are the topmost of which
    none below retains most of theirs. Modules and their namespaces are not among them: what they
    refer to is more telling. Of native blocks that no object retains the best path names an owner.
    ``tree``: that of the graph, if its rows are not to stay with the graph.
    """
    sizes: dict[tuple[int, bool], int] = {}
    for node in dict.fromkeys(_topmost_points(graph, held, tree or graph.dominators)):
        is_shared = graph.kind_of(node) is not None
        edge = graph.path_edges[node] if is_shared else NONE  # NONE: in a damaged file
        owner = node if edge == NONE else graph.edge_source(edge)
        sizes[owner, is_shared] = sizes.get((owner, is_shared), 0) + held[node]
    found = [Accumulation(node, size, is_shared) for (node, is_shared), size in sizes.items()]
    return sorted(found, key=lambda one: (-one.size_bytes, one.node))


def _topmost_points(graph: HeapGraph, held: array[int], tree: DominatorTree) -> Iterator[int]:
    min_bytes = max(1, _MIN_SHARE * held[0])
    stack = [0]
    while stack:
        node = stack.pop()
        below = [
            child
            for child in tree.children(node)
            if held[child] and is_shown(graph, child) and not graph.has_owner(child)
        ]
        largest = max((held[child] for child in below), default=0)
        if node and largest < _RATIO * held[node] and node not in graph.modules:
            yield _owner_of_namespace(graph, node)
        else:
            stack += [child for child in below if held[child] >= min_bytes]


def _owner_of_namespace(graph: HeapGraph, node: int) -> int:
    """Return the instance or class behind a dict of attributes, else the node itself."""
    owner = graph.dominators.dominator[node]
    is_namespace = graph.node_flags[node] & int(NodeFlag.NAMESPACE)
    return owner if is_namespace and owner not in (0, NONE) else node
