"""Nodes that stay reachable without some nodes, and edges between sets."""

from __future__ import annotations

from array import array
from itertools import compress
from typing import TYPE_CHECKING

from memlens._core.pure.columns import read_edges, read_marks, strong_targets

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("edges_between", "reached_nodes")


def reached_nodes(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    without: ReadableBuffer,
) -> array[int]:
    """Return the nodes that node 0 reaches over strong edges without the marked nodes.

    ``without`` is a byte for each node (``"B"``), not 0 for the marked ones; node 0 is never
    removed. Returns a byte for each node, 1 for the reached ones. The marked nodes retain together
    the nodes that are not reached any more, including themselves. Raises `ValueError`
    for columns that do not fit together.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    marks = read_marks(without, edges.node_count, "without")
    offset, targets = edges.offset, strong_targets(edges)
    open_nodes = bytearray(not mark for mark in marks)  # to be visited yet
    open_nodes[0] = 0
    reached = bytearray(edges.node_count)
    reached[0] = 1
    stack = [0]
    while stack:
        node = stack.pop()
        for target in targets[offset[node] : offset[node + 1]]:
            if open_nodes[target]:
                open_nodes[target] = 0
                reached[target] = 1
                stack.append(target)
    return array("B", reached)


def edges_between(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    source_mark: ReadableBuffer,
    target_mark: ReadableBuffer,
) -> array[int]:
    """Return the strong edges from marked sources to marked targets, ascending.

    Both marks are a byte for each node (``"B"``). Returns positions in ``edge_target`` (``"I"``).
    Raises `ValueError` for inconsistent columns.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    sources = read_marks(source_mark, edges.node_count, "source_mark")
    wanted = read_marks(target_mark, edges.node_count, "target_mark")
    offset, targets, weak = edges.offset, edges.target, edges.weak
    found: list[int] = []
    for node in compress(range(edges.node_count), sources):
        start, end = offset[node], offset[node + 1]
        for edge, target in enumerate(targets[start:end], start):
            if wanted[target] and not weak[edge]:
                found.append(edge)
    return array("I", found)
