"""The dominator tree of a heap: who alone keeps whom alive.

Node ``d`` dominates node ``v`` when every path from the roots to ``v`` passes ``d``: were ``d``
freed, ``v`` would be too. The retained size of a node is the size of all that it dominates.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import cached_property

from memlens import _core
from memlens._core.layout import NONE

__all__ = ("DominatorTree",)


class DominatorTree:
    """Immediate dominators and retained sizes of all nodes, and the tree that they make.

    ``dominator``: for each node the node that immediately dominates it, ``NONE`` for node 0 and
    for garbage. ``retained``: for each node the bytes that it keeps alive, itself included.
    """

    def __init__(self, dominator: memoryview, retained: memoryview) -> None:
        self.dominator = dominator
        self.retained = retained

    @cached_property
    def _child_rows(self) -> tuple[array[int], array[int]]:
        return _core.children_rows(self.dominator)

    def children(self, node: int) -> array[int]:
        """Return the nodes that ``node`` immediately dominates, in node order."""
        offsets, children = self._child_rows
        return children[offsets[node] : offsets[node + 1]]

    def subtree(self, node: int) -> Iterator[int]:
        """Yield all that a node dominates, itself first."""
        stack = [node]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(self.children(node))

    def ancestors(self, node: int) -> Iterator[int]:
        """Yield the dominators of a node from the nearest up, without node 0 and itself."""
        node = self.dominator[node]
        while node not in (0, NONE):
            yield node
            node = self.dominator[node]

    def retained_by_group(
        self,
        group: memoryview | array[int],
        group_count: int,
        flags: memoryview | array[int],
        skip_flags: int = 0,
    ) -> array[int]:
        """Return the bytes retained by each group of nodes; ``group`` gives each node's group.

        A node counts for its group unless a dominator of it is of the same group: nothing counts
        twice within a group. Nodes with any bit of ``skip_flags`` do not count. Garbage counts with
        its shallow size, which is its retained size here.
        """
        return _core.retained_by_group(
            self.dominator, self.retained, group, group_count, flags, skip_flags
        )
