"""Over the dominator tree: its rows of children, and what goes from a node down to all below it.

All walks start at the nodes without a parent and follow rows of children, so none depends on the
numbering of nodes, and none can run in circles whatever the column says.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.counts import read_flags, read_skipped
from memlens._core.pure.search import group_by_target, read_column

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("children_rows", "nearest_marked", "retained_by_group", "spread_flags")


def children_rows(dominator: ReadableBuffer) -> tuple[array[int], array[int]]:
    """The nodes that each node immediately dominates, as compressed rows.

    Returns the offsets (``"Q"``, one more than there are nodes) and the children (``"I"``), within
    a row ascending. Raises `ValueError` for a column that names nodes which are not there.
    """
    offset, children = _rows(_read_dominator(dominator))
    return array("Q", offset), array("I", children)


def spread_flags(dominator: ReadableBuffer, node_flags: ReadableBuffer, mask: int) -> array[int]:
    """The flags of all nodes, those of ``mask`` handed down to all that a node dominates.

    Returns a column like ``node_flags`` (``"H"``). Raises `ValueError` for columns that do not fit
    together, and for a mask that is not of 16 bits.
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
    """For each node itself, or else its nearest dominator, that is marked; else `NONE`.

    ``mark`` is a byte a node (``"B"``), not 0 for the marked ones. Returns a column of nodes
    (``"I"``). Raises `ValueError` for columns that do not fit together.
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
    """The bytes that each group of nodes retains, nothing counted twice within a group.

    A node counts with its retained size for its group (``"I"``) unless one of its dominators is of
    the same group and counts. Nodes with any bit of ``skip_flags`` do not count, and neither does
    node 0. Returns a column of ``group_count`` rows (``"Q"``). Raises `ValueError` for columns
    that do not fit together and groups that are not there.
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


def _add_reached(
    parents: list[int],
    sizes: list[int],
    groups: list[int],
    counted: list[bool],
    totals: list[int],
) -> None:
    """Add what node 0 dominates, in one walk down, knowing the groups above each node."""
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


def read_marks(mark: ReadableBuffer, node_count: int, name: str) -> memoryview:
    """A byte for each node, checked."""
    marks = read_column(mark, "B", name)
    if len(marks) != node_count:
        raise ValueError(f"{name} has {len(marks)} entries for {node_count} nodes")
    return marks


def read_groups(group: ReadableBuffer, node_count: int, group_count: int) -> list[int]:
    """The group of each node, checked."""
    groups = read_column(group, "I", "group").tolist()
    if len(groups) != node_count:
        raise ValueError(f"group has {len(groups)} entries for {node_count} nodes")
    if max(groups) >= group_count:
        raise ValueError(f"group names group {max(groups)} of only {group_count} groups")
    return groups


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
    """The nodes in an order in which each comes after its parent."""
    order = [node for node, parent in enumerate(parents) if parent == NONE]
    for node in order:
        order += children[offset[node] : offset[node + 1]]
    return order
