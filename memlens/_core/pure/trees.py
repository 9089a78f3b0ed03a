"""Functions over the dominator tree: rows of children, and what a node passes to all below it.

All walks start at the nodes without a parent and follow rows of children. So they do not depend on
the numbering of nodes, and they end even if the column contains a cycle.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.columns import (
    group_by_target,
    read_column,
    read_flags,
    read_groups,
    read_marks,
    read_sizes,
    read_skipped,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("children_rows", "nearest_marked", "retained_by_group", "spread_flags", "subtree_sums")


def children_rows(dominator: ReadableBuffer) -> tuple[array[int], array[int]]:
    """Return the nodes that each node immediately dominates, as compressed rows.

    Returns the offsets (``"Q"``, one more than there are nodes) and the children (``"I"``), within
    a row ascending. Raises `ValueError` for a column that names nodes that do not exist.
    """
    offset, children = _rows(_read_dominator(dominator))
    return array("Q", offset), array("I", children)


def spread_flags(dominator: ReadableBuffer, node_flags: ReadableBuffer, mask: int) -> array[int]:
    """Return the flags of all nodes, with those of ``mask`` copied to all dominated nodes.

    Returns a column like ``node_flags`` (``"H"``). Raises `ValueError` for inconsistent
    columns, and for a mask that is not of 16 bits.
    """
    parents = _read_dominator(dominator)
    flags = read_flags(node_flags, len(parents))
    read_skipped(mask, "mask")
    if not any(flag & mask for flag in flags):
        return array("H", flags)
    offset, children = _rows(parents)
    for node in _from_the_top(parents, offset, children):
        handed_down = flags[node] & mask
        if handed_down:
            for child in children[offset[node] : offset[node + 1]]:
                flags[child] |= handed_down
    return array("H", flags)


def nearest_marked(dominator: ReadableBuffer, mark: ReadableBuffer) -> array[int]:
    """Return for each node its nearest marked dominator, which may be itself, or `NONE`.

    ``mark`` is a byte for each node (``"B"``), not 0 for the marked ones. Returns a column of nodes
    (``"I"``). Raises `ValueError` for inconsistent columns.
    """
    parents = _read_dominator(dominator)
    marks = read_marks(mark, len(parents), "mark")
    offset, children = _rows(parents)
    nearest = [NONE] * len(parents)
    for node in _from_the_top(parents, offset, children):
        if marks[node]:
            nearest[node] = node
        elif parents[node] != NONE:
            nearest[node] = nearest[parents[node]]
    return array("I", nearest)


def retained_by_group(
    dominator: ReadableBuffer,
    retained: ReadableBuffer,
    group: ReadableBuffer,
    group_count: int,
    node_flags: ReadableBuffer,
    skip_flags: int = 0,
) -> array[int]:
    """Return the bytes that each group of nodes retains, without counting any byte twice.

    A node counts with its retained size for its group (``"I"``) unless one of its dominators is of
    the same group and counts. Nodes with any bit of ``skip_flags`` do not count, and neither does
    node 0. Returns a column of ``group_count`` rows (``"Q"``). Raises `ValueError` for
    inconsistent columns and groups that do not exist.
    """
    parents = _read_dominator(dominator)
    groups = read_groups(group, len(parents), group_count)
    sizes = read_column(retained, "Q", "retained").tolist()
    if len(sizes) != len(parents):
        raise ValueError(f"retained has {len(sizes)} entries for {len(parents)} nodes")
    read_skipped(skip_flags, "skip_flags")
    counted = [not flag & skip_flags for flag in read_flags(node_flags, len(parents))]
    counted[0] = False
    totals = [0] * group_count
    for node in compress(range(len(parents)), counted):
        if parents[node] == NONE:
            totals[groups[node]] += sizes[node]
    _add_reached(parents, sizes, groups, counted, totals)
    return array("Q", totals)


def subtree_sums(dominator: ReadableBuffer, node_size: ReadableBuffer) -> array[int]:
    """Return for each node the sum of ``node_size`` over the node and all that it dominates.

    Of the shallow sizes in ``"Q"`` these are the retained sizes; of other sizes, such as those of
    native blocks with 0 for all objects, a part of them. Returns a column of sums (``"Q"``). Raises
    `ValueError` for inconsistent columns.
    """
    parents = _read_dominator(dominator)
    sums = read_sizes(node_size, len(parents))
    offset, children = _rows(parents)
    for node in reversed(_from_the_top(parents, offset, children)):
        if parents[node] != NONE:
            sums[parents[node]] += sums[node]
    return array("Q", sums)


def _add_reached(
    parents: list[int],
    sizes: list[int],
    groups: list[int],
    counted: list[bool],
    totals: list[int],
) -> None:
    """Add the nodes that node 0 dominates, in one walk that tracks the groups above a node."""
    offset, children = _rows(parents)
    open_count = [0] * len(totals)  # of each group, the counted nodes on the way down
    stack = children[offset[0] : offset[1]] if parents[0] == NONE else []
    while stack:
        node = stack.pop()
        if node < 0:  # all below ~node is done
            open_count[groups[~node]] -= 1
            continue
        own = groups[node]
        if counted[node] and not open_count[own]:
            totals[own] += sizes[node]
        start, end = offset[node], offset[node + 1]
        if start != end:
            if counted[node]:
                open_count[own] += 1
                stack.append(~node)
            stack += children[start:end]


def _read_dominator(dominator: ReadableBuffer) -> list[int]:
    parents = read_column(dominator, "I", "dominator").tolist()
    if not parents:
        raise ValueError("dominator is empty: without node 0 there is no tree")
    highest = max((parent for parent in parents if parent != NONE), default=0)
    if highest >= len(parents):
        raise ValueError(f"dominator names node {highest} of only {len(parents)} nodes")
    return parents


def _rows(parents: list[int]) -> tuple[list[int], list[int]]:
    has_parent = [parent != NONE for parent in parents]
    return group_by_target(
        list(compress(parents, has_parent)),
        list(compress(range(len(parents)), has_parent)),
        len(parents),
    )


def _from_the_top(parents: list[int], offset: list[int], children: list[int]) -> list[int]:
    """Return the nodes in an order in which parents come before children."""
    order = [node for node, parent in enumerate(parents) if parent == NONE]
    for node in order:
        order += children[offset[node] : offset[node + 1]]
    return order
