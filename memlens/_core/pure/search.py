"""Searches over the heap graph, and how the functions of the core read the buffers they are given.

A column is any flat buffer: an ``array.array`` or ``memoryview`` of the section's typecode, or raw
bytes (``bytes``, ``bytearray``, ``mmap``) in this machine's byte order. It is read, never written.
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate, chain, compress, groupby, repeat
from operator import le, sub
from typing import TYPE_CHECKING, Literal, NamedTuple

from memlens._core.layout import KIND_MASK, NONE, EdgeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

__all__ = (
    "Edges",
    "group_by_target",
    "read_column",
    "read_edges",
    "read_sizes",
    "reverse_edges",
    "shortest_paths",
    "strong_targets",
)

# The kind is in the low byte of a label; this turns that byte into 1 for a weak edge, else 0.
_WEAK_BY_BYTE = bytes(byte & KIND_MASK == EdgeKind.WEAK for byte in range(256))
_STRONG_BY_WEAK = bytes.maketrans(b"\0\1", b"\1\0")
_LOW_BYTE = 0 if sys.byteorder == "little" else array("I").itemsize - 1


class Edges(NamedTuple):
    """The edges of a graph that has been checked: every row lies within, every target exists."""

    offset: list[int]  # by node, one more entry than there are nodes
    target: list[int]  # by edge
    weak: bytes  # by edge: 1 for a weak one, else 0

    @property
    def node_count(self) -> int:
        """How many nodes there are, node 0 included: at least one."""
        return len(self.offset) - 1


def read_column(
    buffer: ReadableBuffer, typecode: Literal["B", "H", "I", "Q"], name: str
) -> memoryview:
    """One column as a view of its integers, without a copy; ``name`` is what errors call it.

    Raises `ValueError` for a buffer that is not flat or whose items are of another type.
    """
    view = memoryview(buffer)
    if view.ndim != 1 or not view.c_contiguous:
        raise ValueError(f"{name} must be one flat buffer without gaps")
    if view.format == typecode:
        return view
    empty = memoryview(array(typecode))
    if view.format != "B":
        raise ValueError(f"{name} must have items of type {typecode!r}, not {view.format!r}")
    if view.nbytes % empty.itemsize:
        raise ValueError(
            f"{name} has {view.nbytes} bytes, which is no multiple of {empty.itemsize}"
        )
    return view.cast(typecode) if view.nbytes else empty  # an empty view cannot be cast


def read_edges(
    edge_offset: ReadableBuffer, edge_target: ReadableBuffer, edge_label: ReadableBuffer
) -> Edges:
    """The three edge columns, checked against each other. Raises `ValueError` where they differ."""
    offset = read_column(edge_offset, "Q", "edge_offset").tolist()
    target = read_column(edge_target, "I", "edge_target").tolist()
    label = read_column(edge_label, "I", "edge_label")
    if len(offset) < 2:
        raise ValueError(f"edge_offset has {len(offset)} entries: without node 0 there is no graph")
    if offset[0] != 0 or offset[-1] != len(target):
        raise ValueError(
            f"edge_offset runs from {offset[0]} to {offset[-1]}, "
            f"but edge_target has {len(target)} entries from 0 on"
        )
    if not all(map(le, offset, offset[1:])):
        node = next(node for node, end in enumerate(offset[1:]) if end < offset[node])
        raise ValueError(f"edge_offset is not ascending: row {node} ends before it starts")
    if len(label) != len(target):
        raise ValueError(f"edge_label has {len(label)} entries, but edge_target {len(target)}")
    if target and max(target) >= len(offset) - 1:
        raise ValueError(f"edge_target names node {max(target)} of only {len(offset) - 1} nodes")
    kind_bytes = label.tobytes()[_LOW_BYTE :: label.itemsize]
    return Edges(offset, target, kind_bytes.translate(_WEAK_BY_BYTE))


def read_sizes(node_size: ReadableBuffer, node_count: int) -> list[int]:
    """The shallow size of each node in bytes, checked: any sum of them fits in 64 bits."""
    sizes = read_column(node_size, "Q", "node_size").tolist()
    if len(sizes) != node_count:
        raise ValueError(f"node_size has {len(sizes)} entries for {node_count} nodes")
    if sum(sizes) >= 1 << 64:
        raise ValueError(f"node_size sums to {sum(sizes)} bytes, more than 64 bits can hold")
    return sizes


def strong_targets(edges: Edges) -> list[int]:
    """The target of each edge, but node 0 for the weak ones.

    Every search starts with node 0 visited, so an edge to it leads nowhere: edges keep their
    numbers, and the loops over them need not ask for the kind.
    """
    targets = edges.target.copy()
    edge = edges.weak.find(1)
    while edge >= 0:
        targets[edge] = 0
        edge = edges.weak.find(1, edge + 1)
    return targets


def group_by_target(
    targets: list[int], sources: list[int], node_count: int
) -> tuple[list[int], list[int]]:
    """Compressed rows of the sources of each target, in the order given (a counting sort).

    Returns the offsets, one more than ``node_count``, and the sources.
    """
    offset = [0] * (node_count + 1)
    for target in targets:
        offset[target + 1] += 1
    offset = list(accumulate(offset))
    free = offset.copy()  # where the next source of each target goes
    grouped = [0] * len(sources)
    for target, source in zip(targets, sources, strict=True):
        place = free[target]
        free[target] = place + 1
        grouped[place] = source
    return offset, grouped


def reverse_edges(
    edge_offset: ReadableBuffer, edge_target: ReadableBuffer, edge_label: ReadableBuffer
) -> tuple[array[int], array[int]]:
    """The referrers of each node, weak edges left out.

    Returns compressed rows: the offsets (``"Q"``, one more than there are nodes) and the sources
    (``"I"``), within a row ascending, a source once for each of its edges. Raises `ValueError` for
    columns that do not fit together.
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
    """A shortest path from node 0 to each node, from the best root that reaches it at all.

    ``root_tier`` (u8, one for each edge of node 0) ranks the roots, lowest first: a breadth-first
    search from all roots of one tier ends before that of the next begins, so a path from a root
    with a good name wins over a shorter one from a root with a poor name. Weak edges are left out.

    Returns for each node the edge (a position in ``edge_target``) by which it was first reached,
    `NONE` for node 0 and for what no root reaches. Roots and edges are tried in their order, so
    the result is always the same. Raises `ValueError` for columns that do not fit together.
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
    """The numbers of the roots of each tier, the lowest tier first."""
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
