"""How the functions of the core read the buffers that they are given.

A column is any flat buffer: an ``array.array`` or ``memoryview`` of the section's typecode, or raw
bytes (``bytes``, ``bytearray``, ``mmap``) in this machine's byte order. Columns are never written.
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate
from operator import le
from typing import TYPE_CHECKING, Literal, NamedTuple

from memlens._core.layout import KIND_MASK, EdgeKind

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = (
    "MAX_FLAGS",
    "Edges",
    "group_by_target",
    "read_column",
    "read_edges",
    "read_flags",
    "read_groups",
    "read_marks",
    "read_sizes",
    "read_skipped",
    "strong_targets",
)

MAX_FLAGS = 0xFFFF  # ``node_flags`` is a column of u16
# The kind is in the low byte of a label; this turns that byte into 1 for a weak edge, else 0.
_WEAK_BY_BYTE = bytes(byte & KIND_MASK == EdgeKind.WEAK for byte in range(256))
_LOW_BYTE = 0 if sys.byteorder == "little" else array("I").itemsize - 1


class Edges(NamedTuple):
    """The edges of a valid graph: rows are within the edges, and every target exists."""

    offset: list[int]  # by node, one more entry than there are nodes
    target: list[int]  # by edge
    weak: bytes  # by edge: 1 for a weak one, else 0

    @property
    def node_count(self) -> int:
        """The number of nodes, including node 0: at least one."""
        return len(self.offset) - 1


def read_column(
    buffer: ReadableBuffer, typecode: Literal["B", "H", "I", "Q"], name: str
) -> memoryview:
    """Return a column as a view of its integers, without a copy; errors contain ``name``.

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
    """Return the edges, checked. Raises `ValueError` for inconsistent columns."""
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
    """Return the shallow size of each node in bytes, checked: their sum fits in 64 bits."""
    sizes = read_column(node_size, "Q", "node_size").tolist()
    if len(sizes) != node_count:
        raise ValueError(f"node_size has {len(sizes)} entries for {node_count} nodes")
    if sum(sizes) >= 1 << 64:
        raise ValueError(f"node_size sums to {sum(sizes)} bytes, more than 64 bits can hold")
    return sizes


def strong_targets(edges: Edges) -> list[int]:
    """Return the target of each edge, with node 0 as the target of weak edges.

    Searches start with node 0 visited and so ignore edges to it. Edges keep their numbers, and the
    loops need not check the kind of an edge.
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
    """Return compressed rows of the sources of each target, in the given order (counting sort).

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


def read_marks(mark: ReadableBuffer, node_count: int, name: str) -> memoryview:
    """Return a byte for each node, checked."""
    marks = read_column(mark, "B", name)
    if len(marks) != node_count:
        raise ValueError(f"{name} has {len(marks)} entries for {node_count} nodes")
    return marks


def read_groups(group: ReadableBuffer, node_count: int, group_count: int) -> list[int]:
    """Return the group of each node, checked."""
    groups = read_column(group, "I", "group").tolist()
    if len(groups) != node_count:
        raise ValueError(f"group has {len(groups)} entries for {node_count} nodes")
    if max(groups) >= group_count:
        raise ValueError(f"group names group {max(groups)} of only {group_count} groups")
    return groups


def read_flags(node_flags: ReadableBuffer, node_count: int, name: str = "node_flags") -> list[int]:
    """Return the flags of each node, checked."""
    flags = read_column(node_flags, "H", name).tolist()
    if len(flags) != node_count:
        raise ValueError(f"{name} has {len(flags)} entries for {node_count} nodes")
    return flags


def read_skipped(flags: int, name: str) -> None:
    """Check a set of flags. Raises `ValueError` for one that no node can have."""
    if not 0 <= flags <= MAX_FLAGS:
        raise ValueError(f"{name} must be from 0 to {MAX_FLAGS}, not {flags}")
