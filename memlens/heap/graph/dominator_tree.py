"""The dominator tree of a heap: immediate dominators and retained sizes.

Node ``d`` dominates node ``v`` when every path from the roots to ``v`` goes through ``d``, so that
freeing ``d`` frees ``v``. The retained size of a node is the total size of the nodes it dominates.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import cached_property

from memlens._core.layout import NONE
from memlens.heap.graph import checked_core

__all__ = ("DominatorTree", "leave_out")


class DominatorTree:
    """The dominator tree of all nodes, with their retained sizes.

    ``dominator``: the immediate dominator of each node, ``NONE`` for node 0 and for garbage.
    ``retained``: the retained size of each node in bytes, including the node itself.
    """

    def __init__(self, dominator: memoryview, retained: memoryview) -> None:
        self.dominator = dominator
        self.retained = retained

    def __repr__(self) -> str:
        return f"<DominatorTree of {len(self.dominator):,} nodes>"

    @cached_property
    def _child_rows(self) -> tuple[array[int], array[int]]:
        return checked_core.children_rows(self.dominator)

    def children(self, node: int) -> array[int]:
        """Return the nodes that ``node`` immediately dominates, in node order."""
        offsets, children = self._child_rows
        return children[offsets[node] : offsets[node + 1]]

    def subtree(self, node: int) -> Iterator[int]:
        """Yield the node and all nodes that it dominates, the node first."""
        stack = [node]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(self.children(node))

    def retained_by_group(
        self,
        group: memoryview | array[int],
        group_count: int,
        flags: memoryview | array[int],
        skip_flags: int = 0,
    ) -> array[int]:
        """Return the bytes retained by each group of nodes; ``group`` has the group of each node.

        A node is counted for its group unless one of its dominators is in the same group, so no
        byte is counted twice within a group. Nodes with any bit of ``skip_flags`` are not counted.
        Garbage is counted with its shallow size, which is its retained size here.
        """
        return checked_core.retained_by_group(
            self.dominator, self.retained, group, group_count, flags, skip_flags
        )


def leave_out(dominator: array[int], retained: array[int], flags: array[int], mask: int) -> None:
    """Take out of the retained sizes of unmarked nodes, in place, what marked ones retain.

    ``flags`` are handed down already: all that a marked node dominates is marked.
    """
    part = array("Q", bytes(8 * len(flags)))
    for node in checked_core.nodes_flagged(flags, mask):
        above = dominator[node]
        if above != NONE and not flags[above] & mask:
            part[node] = retained[node]
    for node, out in enumerate(checked_core.subtree_sums(dominator, part)):
        if out and not flags[node] & mask:
            retained[node] -= out
