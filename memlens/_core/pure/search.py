"""Searches over the heap graph: referrers of all nodes, and shortest paths from the roots."""

from __future__ import annotations

from array import array
from itertools import chain, compress, groupby, repeat
from operator import sub
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.columns import group_by_target, read_column, read_edges, strong_targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

__all__ = ("reverse_edges", "shortest_paths")

_STRONG_BY_WEAK = bytes.maketrans(b"\0\1", b"\1\0")


def reverse_edges(
    edge_offset: ReadableBuffer, edge_target: ReadableBuffer, edge_label: ReadableBuffer
) -> tuple[array[int], array[int]]:
    """Return the referrers of each node, without weak edges.

    Returns compressed rows: the offsets (``"Q"``, one more than there are nodes) and the sources
    (``"I"``), within a row ascending, a source once for each of its edges. Raises `ValueError` for
    inconsistent columns.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    row_length = map(sub, edges.offset[1:], edges.offset)
    source_by_edge = chain.from_iterable(map(repeat, range(edges.node_count), row_length))
    is_strong = edges.weak.translate(_STRONG_BY_WEAK)
    in_offset, in_source = group_by_target(
        list(compress(edges.target, is_strong)),
        list(compress(source_by_edge, is_strong)),
        edges.node_count,
    )
    return array("Q", in_offset), array("I", in_source)


def shortest_paths(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    root_tier: ReadableBuffer,
) -> array[int]:
    """Return a shortest path from node 0 to each node, through the best root that reaches it.

    ``root_tier`` (u8, one for each edge of node 0) ranks the roots, lowest first: a breadth-first
    search from all roots of one tier ends before that of the next begins, so a path from a root
    with a good name wins over a shorter one from a root with a poor name. Weak edges are ignored.

    Returns for each node the edge (a position in ``edge_target``) by which it was first reached,
    `NONE` for node 0 and for what no root reaches. Roots and edges are tried in their order, so
    the result is always the same. Raises `ValueError` for inconsistent columns.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    tiers = read_column(root_tier, "B", "root_tier").tobytes()
    if len(tiers) != edges.offset[1]:
        raise ValueError(f"root_tier has {len(tiers)} entries for {edges.offset[1]} roots")
    targets = strong_targets(edges)
    first_edge = [NONE] * edges.node_count
    unseen = bytearray(b"\1") * edges.node_count
    unseen[0] = 0
    for roots in _roots_by_tier(tiers):
        found = []
        for edge in roots:
            node = targets[edge]
            if unseen[node]:
                unseen[node] = 0
                first_edge[node] = edge
                found.append(node)
        _search_breadth_first(found, edges.offset, targets, first_edge, unseen)
    return array("I", first_edge)


def _roots_by_tier(tiers: bytes) -> Iterator[Iterator[int]]:
    """Return the numbers of the roots of each tier, the lowest tier first."""
    ranked = sorted(range(len(tiers)), key=tiers.__getitem__)
    return (roots for _, roots in groupby(ranked, key=tiers.__getitem__))


def _search_breadth_first(
    found: list[int],
    offset: list[int],
    targets: list[int],
    first_edge: list[int],
    unseen: bytearray,
) -> None:
    """Follow all edges from the nodes found so far; ``found`` grows while it is walked."""
    for node in found:
        start = offset[node]
        end = offset[node + 1]
        if start == end:
            continue
        for edge, target in enumerate(targets[start:end], start):
            if unseen[target]:
                unseen[target] = 0
                first_edge[target] = edge
                found.append(target)
