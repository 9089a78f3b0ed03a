"""CallNode: a node of the call tree of an allocation profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memlens._frame import Frame
from memlens.allocations.profile.rows import MEASURES, AllocationRow, measure_of

__all__ = ("ROOT", "CallNode", "call_tree")

ROOT = Frame("<root>", "", 0)


class CallNode:
    """A frame of the call tree, with its own allocations and the total with all its callees.

    ``own`` and ``total`` map each of the four measures (`MEASURES`) to its estimate. ``children``
    are the frames that it called.
    """

    __slots__ = ("_children", "frame", "own", "total")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.own: dict[str, float] = dict.fromkeys(MEASURES, 0.0)
        self.total: dict[str, float] = dict.fromkeys(MEASURES, 0.0)
        self._children: dict[Frame, CallNode] = {}

    @property
    def children(self) -> tuple[CallNode, ...]:
        """The frames called, in the order of the rows."""
        return tuple(self._children.values())

    def child(self, frame: Frame) -> CallNode:
        """Return the child for this frame; create it if there is none."""
        node = self._children.get(frame)
        if node is None:
            node = self._children[frame] = CallNode(frame)
        return node

    def ordered_children(self, by: str = "live_bytes") -> list[CallNode]:
        """Return the children from the largest total to the smallest."""
        return sorted(self._children.values(), key=lambda node: -node.total[by])

    def walk(self) -> Iterator[tuple[int, CallNode]]:
        """Yield (depth, node) for this node and all below it, parents first."""
        stack = [(0, self)]
        while stack:
            depth, node = stack.pop()
            yield depth, node
            stack.extend((depth + 1, child) for child in reversed(node.children))

    def __repr__(self) -> str:
        return f"<CallNode {self.frame}: {len(self._children)} children>"


def call_tree(rows: Iterable[AllocationRow]) -> CallNode:
    """Return the root of the call tree of the rows. Its frame is `ROOT`."""
    root = CallNode(ROOT)
    for row in rows:
        values = [(measure, measure_of(row, measure)) for measure in MEASURES]
        node = root
        _add(node.total, values)
        for frame in row.call_path:
            node = node.child(frame)
            _add(node.total, values)
        _add(node.own, values)
    return root


def _add(sums: dict[str, float], values: list[tuple[str, float]]) -> None:
    for measure, value in values:
        sums[measure] += value
