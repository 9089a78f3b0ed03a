"""Nodes as rows of equal keys, the lengths of containers, and their sums over rows."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby, pairwise
from operator import le, lt
from typing import TYPE_CHECKING

from memlens._core.layout import KIND_MASK, NONE, EdgeKind
from memlens._core.pure.columns import (
    read_column,
    read_flags,
    read_marks,
    read_skipped,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = (
    "check_ascending",
    "check_numbers",
    "chosen_lengths",
    "group_nodes",
    "number_keys",
    "read_rows",
    "row_gains",
    "row_lengths",
    "unlisted_nodes",
)


def group_nodes(
    key: ReadableBuffer, mark: ReadableBuffer, node_flags: ReadableBuffer, skip_flags: int
) -> tuple[array[int], array[int], array[int]]:
    """Return the marked nodes that have no skipped flag, as rows of equal keys.

    ``key`` (u64) and ``mark`` (a byte) have an entry for each node. Returns the keys, ascending
    (``"Q"``), the offsets of their rows, one more (``"Q"``), and the nodes, ascending in each row
    (``"I"``). Raises `ValueError` for inconsistent columns.
    """
    keys = read_column(key, "Q", "key")
    marks = read_marks(mark, len(keys), "mark")
    flags = read_flags(node_flags, len(keys))
    read_skipped(skip_flags, "skip_flags")
    nodes = [
        node
        for node, (marked, flag) in enumerate(zip(marks, flags, strict=True))
        if marked and not flag & skip_flags
    ]
    nodes.sort(key=keys.__getitem__)
    found, offset, position = array("Q"), array("Q", [0]), 0
    for one, row in groupby(nodes, keys.__getitem__):
        position += sum(1 for _ in row)
        found.append(one)
        offset.append(position)
    return found, offset, array("I", nodes)


def number_keys(key: ReadableBuffer) -> tuple[array[int], array[int]]:
    """Return a number for each node's key (``"I"``), and the keys by their numbers (``"Q"``).

    Keys are numbered in the order in which they are first found. Where many nodes have one key,
    this takes half the memory of the keys.
    """
    numbers: dict[int, int] = {}
    found = array(
        "I", [numbers.setdefault(one, len(numbers)) for one in read_column(key, "Q", "key")]
    )
    return found, array("Q", numbers)


def chosen_lengths(
    edge_offset: ReadableBuffer,
    edge_label: ReadableBuffer,
    container_node: ReadableBuffer,
    container_length: ReadableBuffer,
    node: ReadableBuffer,
) -> array[int]:
    """Return the number of elements of each of some nodes (``"I"``), as ``"Q"``.

    What has no length counts its strong references. ``container_node`` ascends. Only the rows of
    the nodes are looked at, so this suits a few of many. Raises `ValueError` for rows that are not
    within the columns.
    """
    offset = read_column(edge_offset, "Q", "edge_offset")
    label = read_column(edge_label, "I", "edge_label")
    containers = read_column(container_node, "I", "container_node")
    known = read_column(container_length, "Q", "container_length")
    nodes = read_column(node, "I", "node")
    _check_nodes(nodes, "node", len(offset) - 1)
    for one in nodes:
        if not offset[one] <= offset[one + 1] <= len(label):
            raise ValueError("edge_offset does not fit edge_label")
    if len(containers) != len(known):
        raise ValueError("container_node and container_length must have the same length")
    lengths = array("Q")
    for one in nodes:
        place = bisect_left(containers, one)
        if place < len(containers) and containers[place] == one:
            lengths.append(known[place])
        else:
            row = label[offset[one] : offset[one + 1]]
            lengths.append(sum(1 for edge in row if edge & KIND_MASK != EdgeKind.WEAK))
    return lengths


def unlisted_nodes(
    node: ReadableBuffer, same: ReadableBuffer, listed: ReadableBuffer
) -> array[int]:
    """Return those of some nodes that were there before and were not listed (``"I"``).

    ``same``: for each node the same object's node before, or `NONE`. ``listed``: nodes of before,
    ascending. Raises `ValueError` for a node that does not exist.
    """
    nodes = read_column(node, "I", "node")
    matched = read_column(same, "I", "same")
    _check_nodes(nodes, "node", len(matched))
    known = {*read_column(listed, "I", "listed"), NONE}
    return array("I", [one for one in nodes if matched[one] not in known])


def row_lengths(
    row_offset: ReadableBuffer,
    row_node: ReadableBuffer,
    edge_offset: ReadableBuffer,
    edge_label: ReadableBuffer,
    container_node: ReadableBuffer,
    container_length: ReadableBuffer,
) -> array[int]:
    """Return the number of elements of the nodes of each row together (``"Q"``).

    The other columns are those of `chosen_lengths`. A length that 32 bits cannot hold counts as the
    most that they can. Raises `ValueError` for inconsistent columns.
    """
    node_count = len(read_column(edge_offset, "Q", "edge_offset")) - 1
    offset, nodes = read_rows(row_offset, row_node, node_count)
    lengths = _limited_lengths(edge_offset, edge_label, container_node, container_length, nodes)
    return array("Q", [sum(lengths[start:end]) for start, end in pairwise(offset)])


def row_gains(
    row_offset: ReadableBuffer,
    row_node: ReadableBuffer,
    same: ReadableBuffer,
    edge_offset_a: ReadableBuffer,
    edge_label_a: ReadableBuffer,
    container_node_a: ReadableBuffer,
    container_length_a: ReadableBuffer,
    edge_offset_b: ReadableBuffer,
    edge_label_b: ReadableBuffer,
    container_node_b: ReadableBuffer,
    container_length_b: ReadableBuffer,
) -> array[int]:
    """Return by how much the nodes of each row are longer than the same objects were (``"Q"``).

    ``same``: for each node of heap b the same object's node in heap a, or `NONE`. The lengths of
    both heaps' nodes are those of `row_lengths`. What is new or shorter counts nothing. Raises
    `ValueError` for inconsistent columns.
    """
    matched = read_column(same, "I", "same")
    rows_before = read_column(edge_offset_a, "Q", "edge_offset_a")
    rows_after = read_column(edge_offset_b, "Q", "edge_offset_b")
    offset, nodes = read_rows(row_offset, row_node, len(matched))
    check_numbers(matched, "same", len(rows_before) - 1)
    if len(rows_after) - 1 != len(matched):
        raise ValueError(f"edge_offset_b has {len(rows_after)} entries for {len(matched)} nodes")
    there = [node for node in nodes if matched[node] != NONE]
    were = [matched[node] for node in there]
    before = _limited_lengths(
        edge_offset_a, edge_label_a, container_node_a, container_length_a, were
    )
    after = _limited_lengths(
        edge_offset_b, edge_label_b, container_node_b, container_length_b, there
    )
    gains = {
        node: max(0, length - was) for node, length, was in zip(there, after, before, strict=True)
    }
    return array(
        "Q",
        [sum(gains.get(node, 0) for node in nodes[start:end]) for start, end in pairwise(offset)],
    )


def _limited_lengths(
    edge_offset: ReadableBuffer,
    edge_label: ReadableBuffer,
    container_node: ReadableBuffer,
    container_length: ReadableBuffer,
    nodes: list[int],
) -> list[int]:
    """Return the lengths of some nodes, of which none takes more than 32 bits."""
    lengths = chosen_lengths(
        edge_offset, edge_label, container_node, container_length, array("I", nodes)
    )
    return [min(length, NONE) for length in lengths]


def read_rows(
    row_offset: ReadableBuffer, row_node: ReadableBuffer, node_count: int
) -> tuple[list[int], list[int]]:
    """Return the offsets and the nodes of some rows, checked."""
    offset = read_column(row_offset, "Q", "row_offset").tolist()
    nodes = read_column(row_node, "I", "row_node").tolist()
    ascends = all(map(le, offset, offset[1:]))
    if not offset or offset[0] or offset[-1] != len(nodes) or not ascends:
        raise ValueError("row_offset does not fit row_node")
    _check_nodes(nodes, "row_node", node_count)
    return offset, nodes


def _check_nodes(nodes: Sequence[int], name: str, node_count: int) -> None:
    """Raise `ValueError` where a number is of no node."""
    for node in nodes:
        if node >= node_count:
            raise ValueError(f"{name} names {node} of only {node_count}")


def check_numbers(column: memoryview, name: str, limit: int) -> None:
    """Raise `ValueError` where a number other than `NONE` is not below ``limit``."""
    for number in column:
        if number >= limit and number != NONE:
            raise ValueError(f"{name} names {number} of only {limit}")


def check_ascending(column: memoryview, name: str, limit: int) -> None:
    """Raise `ValueError` where numbers do not ascend or are not below ``limit``."""
    if not all(map(lt, column, column[1:])):
        raise ValueError(f"{name} is not ascending")
    if len(column) and column[-1] >= limit:
        raise ValueError(f"{name} names {column[-1]} of only {limit}")
