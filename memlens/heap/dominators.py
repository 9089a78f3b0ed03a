"""The dominator tree of a heap: who alone keeps whom alive.

Node ``d`` dominates node ``v`` when every path from the roots to ``v`` passes ``d``: were ``d``
freed, ``v`` would be too. The retained size of a node is the size of all that it dominates.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

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
        count = len(self.dominator)
        sizes = array("Q", bytes(8 * (count + 1)))
        for parent in self.dominator:
            if parent != NONE:
                sizes[parent + 1] += 1
        offsets = array("Q", accumulate(sizes))
        free = array("Q", offsets)
        children = array("I", bytes(4 * offsets[count]))
        for node, parent in enumerate(self.dominator):
            if parent != NONE:
                children[free[parent]] = node
                free[parent] += 1
        return offsets, children

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

    def dominated_by(self, nodes: Iterable[int]) -> Iterator[int]:
        """Yield the given nodes and all that any of them dominates, each once."""
        seen = bytearray(len(self.dominator))
        for start in nodes:
            if seen[start]:
                continue
            stack = [start]
            seen[start] = 1
            while stack:
                node = stack.pop()
                yield node
                for child in self.children(node):
                    if not seen[child]:
                        seen[child] = 1
                        stack.append(child)

    def retained_by_group(self, group: Sequence[int], group_count: int) -> array[int]:
        """Return the bytes retained by each group of nodes; ``group`` gives each node's group.

        A node counts for its group unless a dominator of it is of the same group: nothing counts
        twice within a group. Garbage counts with its shallow size, which is its retained size here.
        """
        totals = array("Q", bytes(8 * group_count))
        retained = self.retained
        open_count = array("I", bytes(4 * group_count))  # of each group on the way down from node 0
        offsets, children = self._child_rows
        stack = list(children[offsets[0] : offsets[1]])
        while stack:
            node = stack.pop()
            if node < 0:  # all below ~node is done
                open_count[group[~node]] -= 1
                continue
            own = group[node]
            if not open_count[own]:
                totals[own] += retained[node]
            start, end = offsets[node], offsets[node + 1]
            if start != end:
                open_count[own] += 1
                stack.append(~node)
                stack.extend(children[start:end])
        for node, parent in enumerate(self.dominator):
            if parent == NONE and node:
                totals[group[node]] += retained[node]
        return totals
