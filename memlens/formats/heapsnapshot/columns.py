"""What a ``.heapsnapshot`` is written from: columns by row, of all nodes or of the larger ones."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memlens._core.layout import NONE
from memlens.formats.heapsnapshot.node_names import NodeNames
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("Columns", "all_columns", "garbage_nodes")


@dataclass(slots=True)
class Columns:
    """The rows of the nodes and edges of a graph, before nodes are added that it does not have.

    ``node_of_row`` are nodes of the graph, `NONE` for a row that stands for several. The columns of
    edges are those of a graph, the edges of row 0 (the roots) left out. ``weak_edges`` are edges to
    be written as weak ones, ascending; ``held``: rows to which what was left out refers from several
    places; ``garbage``: rows of unreachable objects.
    """

    node_of_row: Sequence[int]
    row_of_node: Sequence[int]
    types: Any  # u8
    names: array[int]
    ids: array[int]
    sizes: Any  # u64
    edge_offset: Any  # u64
    edge_target: Any  # u32
    edge_label: Any  # u32
    garbage: Sequence[int]
    weak_edges: Sequence[int] = ()
    held: Sequence[int] = ()


def garbage_nodes(graph: HeapGraph) -> list[int]:
    """Return the nodes that no root reaches over strong references."""
    dominator = graph.dominators.dominator
    return [node for node, owner in enumerate(dominator) if owner == NONE][1:]


def all_columns(graph: HeapGraph, named: NodeNames, ids: array[int]) -> Columns:
    """Return the columns of all nodes of a graph; rows are nodes."""
    garbage = garbage_nodes(graph)
    return Columns(
        node_of_row=range(graph.node_count),
        row_of_node=range(graph.node_count),
        types=named.types,
        names=named.names,
        ids=ids,
        sizes=graph.node_size,
        edge_offset=graph.edge_offset,
        edge_target=graph.edge_target,
        edge_label=graph.edge_label,
        garbage=garbage,
        weak_edges=_from_garbage(graph, garbage),
    )


def _from_garbage(graph: HeapGraph, garbage: list[int]) -> array[int]:
    """Return the strong edges from garbage to live objects, which do not keep these alive.

    All garbage hangs from a node below the root, so without this it would change the dominators.
    """
    if not garbage:
        return array("Q")
    source = bytearray(graph.node_count)
    for node in garbage:
        source[node] = 1
    target = source.translate(bytes([1, 0]) + bytes(254))
    edges = checked_core.edges_between(
        graph.edge_offset, graph.edge_target, graph.edge_label, source, target
    )
    return array("Q", sorted(edges))
