"""What is new in a heap: births, what new objects reach, and what that adds up to."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.columns import (
    read_column,
    read_edges,
    read_flags,
    read_marks,
    read_skipped,
    strong_targets,
)
from memlens._core.pure.rows import check_numbers, read_rows

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("birth_steps", "mark_born", "reach_marked", "share_sizes")

_MAX_STEPS = 0xFFFF  # the number of a snapshot takes 16 bits


def birth_steps(matches: Sequence[ReadableBuffer], first_count: int) -> array[int]:
    """Return the snapshot in which each object of the last snapshot was first seen (``"H"``).

    ``matches``: for each snapshot after the first, which has ``first_count`` nodes, the same object's
    node (``"I"``) in the one before, or `NONE`. Raises `ValueError` for inconsistent columns, for no
    column and for more than 16 bits can number.
    """
    if not 1 <= len(matches) <= _MAX_STEPS:
        raise ValueError(f"matches must be 1 to {_MAX_STEPS} columns, not {len(matches)}")
    births = [0] * first_count
    for step, same in enumerate(matches, start=1):
        matched = read_column(same, "I", "same")
        check_numbers(matched, "same", len(births))
        births = [step if was == NONE else births[was] for was in matched]
    return array("H", births)


def mark_born(
    birth: ReadableBuffer, since: int, node_flags: ReadableBuffer, skip_flags: int
) -> array[int]:
    """Return a byte for each node: 1 if it was born after ``since`` and has no skipped flag.

    Raises `ValueError` for inconsistent columns.
    """
    births = read_column(birth, "H", "birth")
    flags = read_flags(node_flags, len(births))
    read_skipped(skip_flags, "skip_flags")
    return array(
        "B",
        bytes(
            born > since and not flag & skip_flags for born, flag in zip(births, flags, strict=True)
        ),
    )


def reach_marked(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    mark: ReadableBuffer,
    entry: ReadableBuffer,
) -> array[int]:
    """Return the marked nodes that ``entry`` reaches over strong edges and marked nodes (``"I"``).

    ``mark`` is a byte for each node, ``entry`` some nodes (``"I"``); those that are marked come
    first in the result, in their order. Raises `ValueError` for inconsistent columns.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    is_open = bytearray(map(bool, read_marks(mark, edges.node_count, "mark")))
    entries = read_column(entry, "I", "entry")
    if max(entries, default=0) >= edges.node_count:
        raise ValueError(f"entry names {max(entries)} of only {edges.node_count}")
    stack = [node for node in dict.fromkeys(entries) if is_open[node]]
    for node in stack:
        is_open[node] = 0
    found = stack.copy()
    # Node 0 is the target of weak edges here, and can be reached by them alone.
    top, is_open[0] = is_open[0], 0
    offset, targets = edges.offset, strong_targets(edges)
    weak, all_targets = edges.weak, edges.target
    while stack:
        node = stack.pop()
        for edge in range(offset[node], offset[node + 1]):
            target = targets[edge]
            if is_open[target]:
                is_open[target] = 0
                found.append(target)
                stack.append(target)
            elif top and all_targets[edge] == 0 and not weak[edge]:
                top = 0
                found.append(0)
                stack.append(0)
    return array("I", found)


def share_sizes(
    node_size: ReadableBuffer, row_offset: ReadableBuffer, row_node: ReadableBuffer
) -> array[int]:
    """Return for each row the sum of its nodes' sizes, each shared among the rows that name it.

    A node that n rows name counts one n-th of its size for each, rounded down. Raises `ValueError`
    for inconsistent columns.
    """
    sizes = read_column(node_size, "Q", "node_size")
    offset, nodes = read_rows(row_offset, row_node, len(sizes))
    count = [0] * len(sizes)
    for node in nodes:
        count[node] += 1
    return array(
        "Q",
        [
            sum(sizes[node] // count[node] for node in nodes[start:end])
            for start, end in itertools.pairwise(offset)
        ],
    )
