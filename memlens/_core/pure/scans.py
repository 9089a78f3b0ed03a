"""One look at all texts, nodes or edges, to choose some or to mark them."""

from __future__ import annotations

import zlib
from array import array
from itertools import pairwise
from operator import le, lt
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.columns import read_column, read_edges, read_flags, read_skipped
from memlens._core.pure.rows import check_ascending, check_numbers

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = (
    "edges_labelled",
    "is_ascending",
    "mark_buffers",
    "mark_containers",
    "mostly_flagged",
    "nodes_flagged",
    "nodes_of_types",
    "text_keys",
)

_SEED = 0x5EED  # of the second checksum


def text_keys(string_offset: ReadableBuffer, string_bytes: ReadableBuffer) -> array[int]:
    """Return a 64-bit key of each stored text: the CRC-32 of its bytes, from two seeds.

    Equal texts have equal keys in all snapshots. Raises `ValueError` for inconsistent columns.
    """
    offset = read_column(string_offset, "Q", "string_offset")
    stored = read_column(string_bytes, "B", "string_bytes")
    if not len(offset) or offset[-1] > len(stored) or not all(map(le, offset, offset[1:])):
        raise ValueError("string_offset does not fit string_bytes")
    texts = (stored[start:end] for start, end in pairwise(offset))
    return array("Q", [zlib.crc32(text) << 32 | zlib.crc32(text, _SEED) for text in texts])


def nodes_of_types(node_type: ReadableBuffer, type_mark: ReadableBuffer) -> array[int]:
    """Return the nodes whose type is marked (``"I"``); ``type_mark`` is a byte for each type.

    Raises `ValueError` for a type without a mark.
    """
    types = read_column(node_type, "I", "node_type")
    marks = read_column(type_mark, "B", "type_mark")
    if max(types, default=-1) >= len(marks):
        raise ValueError("node_type names a type without a mark")
    return array("I", [node for node, kind in enumerate(types) if marks[kind]])


def nodes_flagged(node_flags: ReadableBuffer, flags: int) -> array[int]:
    """Return the nodes that have one of ``flags`` (``"I"``).

    Raises `ValueError` for flags that no node can have.
    """
    column = read_column(node_flags, "H", "node_flags")
    read_skipped(flags, "flags")
    return array("I", [node for node, one in enumerate(column) if one & flags])


def is_ascending(node: ReadableBuffer) -> bool:
    """Tell whether each number (``"I"``) is greater than the one before it."""
    numbers = read_column(node, "I", "node")
    return all(map(lt, numbers, numbers[1:]))


def edges_labelled(edge_label: ReadableBuffer, label: int) -> array[int]:
    """Return the edges that bear a label (``"Q"``)."""
    labels = read_column(edge_label, "I", "edge_label")
    return array("Q", [edge for edge, one in enumerate(labels) if one == label])


def mark_containers(
    edge_offset: ReadableBuffer,
    node_type: ReadableBuffer,
    type_skipped: ReadableBuffer,
    container_node: ReadableBuffer,
    min_references: int,
) -> array[int]:
    """Return a byte for each node: 1 for sized containers and for what has many references.

    ``type_skipped``: a byte for each type; objects of a skipped type count only where they are in
    ``container_node`` (``"I"``, ascending). Raises `ValueError` for inconsistent columns.
    """
    offset = read_column(edge_offset, "Q", "edge_offset")
    types = read_column(node_type, "I", "node_type")
    skipped = read_column(type_skipped, "B", "type_skipped")
    containers = read_column(container_node, "I", "container_node")
    if len(offset) != len(types) + 1:
        raise ValueError("edge_offset and node_type must fit together")
    check_numbers(types, "node_type", len(skipped))
    check_ascending(containers, "container_node", len(types))
    marks = array(
        "B",
        bytes(
            end - start >= min_references and kind != NONE and not skipped[kind]
            for kind, (start, end) in zip(types, pairwise(offset), strict=True)
        ),
    )
    if len(marks):
        marks[0] = 0
    for node in containers:
        marks[node] = 1
    return marks


def mark_buffers(
    node_size: ReadableBuffer, container_node: ReadableBuffer, min_bytes: int
) -> array[int]:
    """Return a byte for each node: 1 for those of ``min_bytes`` or more that have no length.

    ``container_node`` (``"I"``, ascending) names those that have. Raises `ValueError` for
    inconsistent columns.
    """
    sizes = read_column(node_size, "Q", "node_size")
    containers = read_column(container_node, "I", "container_node")
    check_ascending(containers, "container_node", len(sizes))
    marks = array("B", bytes(size >= min_bytes for size in sizes))
    for node in containers:
        marks[node] = 0
    return marks


def mostly_flagged(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    node_flags: ReadableBuffer,
    flags: int,
) -> array[int]:
    """Return the nodes without any of ``flags`` that refer mostly to nodes with some (``"I"``).

    Weak references count, too. Raises `ValueError` for inconsistent columns.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    marks = [flag & flags != 0 for flag in read_flags(node_flags, edges.node_count)]
    read_skipped(flags, "flags")
    return array(
        "I",
        [
            node
            for node, (start, end) in enumerate(pairwise(edges.offset))
            if not marks[node]
            and sum(marks[target] for target in edges.target[start:end]) * 2 > end - start
        ],
    )
