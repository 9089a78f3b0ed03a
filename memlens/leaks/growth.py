"""Growth: the same objects in two or more snapshots of one process, and which ones are new.

A *holder* is an object that was there all along and gained something in every interval. What shapes
it takes, and how each is looked for, is said in `memlens.leaks.find_growth`.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, pairwise

from memlens import _core
from memlens._core.layout import NONE, NodeFlag
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.matching import match_graphs

__all__ = ("HIDDEN", "Growth", "Holder", "length_in", "rises")

HIDDEN = int(NodeFlag.OWN | NodeFlag.GARBAGE)  # a plain int: `&` with a Flag is ten times slower


@dataclass(slots=True)
class Holder:
    """One object of the last snapshot that gained something in every interval.

    ``shape``: ``container``, ``slot``, ``chain``, ``structure``, ``cluster`` (many containers of
    one place), ``late`` (a container that came after the first snapshot), ``buffer`` (its own
    memory grows), ``native`` (objects that native code holds) or ``garbage``. ``lengths``: a number
    for each snapshot: of elements; of a chain or a structure, of the objects below it; of a
    buffer, its bytes. ``members``: the containers of a cluster.
    """

    node: int
    shape: str
    lengths: tuple[int, ...]
    entries: list[int]  # the new objects that it refers to directly
    gained: list[int] = field(default_factory=list)  # all the new objects that it reaches
    share_bytes: float = 0.0
    members: tuple[int, ...] = ()

    @property
    def count_growth(self) -> int:
        """Elements gained from the first snapshot to the last; of a buffer, none."""
        return 0 if self.shape == "buffer" else self.lengths[-1] - self.lengths[0]


class Growth:
    """The growth over snapshots of one process, in time order: new objects and their holders."""

    def __init__(self, graphs: Sequence[HeapGraph]) -> None:
        self.graphs = graphs
        self.last = graphs[-1]
        # For each node of the last graph the same object in each earlier one, or NONE.
        self.same = [match_graphs(graph, self.last) for graph in graphs[:-1]]
        self.new = self._new_nodes()
        self._first_of: dict[int, array[int]] = {}

    def _new_nodes(self) -> bytes:
        """Mark the nodes of the last graph that were not in the first, and are the program's."""
        return bytes(
            was == NONE and not flag & HIDDEN
            for was, flag in zip(self.same[0], self.last.flags, strict=True)
        )

    def nodes_through_time(self, node: int) -> tuple[int, ...] | None:
        """Return a node's number in each graph, None if it was not in all of them."""
        numbers = (*(same[node] for same in self.same), node)
        return None if NONE in numbers else numbers

    @cached_property
    def survived(self) -> bytes:
        """Mark the program's objects that were there in every snapshot."""
        marks = bytearray(not flag & HIDDEN for flag in self.last.flags)
        marks[0] = 0
        for same in self.same:
            for node in compress(range(len(same)), map(NONE.__eq__, same)):
                marks[node] = 0
        return bytes(marks)

    def changed_rows(self) -> list[int]:
        """Return the survivors that refer to more, or to fewer, objects than at first."""
        first, last = self.graphs[0], self.last
        grown = _core.grown_rows(first.edge_offset, last.edge_offset, self.same[0])
        back = match_graphs(last, first)  # for each node of the first graph, its node in the last
        shrunk = _core.grown_rows(last.edge_offset, first.edge_offset, back)
        nodes = {*grown, *(back[node] for node in shrunk)}
        return [node for node in sorted(nodes) if self.survived[node]]

    def new_containers_of(self, row: int) -> list[int]:
        """Return the new containers of one type, by its row in the type table."""
        last = self.last
        return [
            node
            for node in last.sections["container_node"]
            if self.new[node] and last.node_type[node] == row
        ]

    def new_targets(self, node: int) -> list[int]:
        """Return the new objects that a node refers to directly, once per reference."""
        return [target for target in self.last.strong_targets(node) if self.new[target]]

    def through_time(self, node: int) -> list[tuple[HeapGraph, int]]:
        """Return each graph with a node's number in it; empty if it was not in all of them."""
        numbers = self.nodes_through_time(node)
        return [] if numbers is None else list(zip(self.graphs, numbers, strict=True))

    def in_first(self, step: int) -> array[int]:
        """Return for each node of graph ``step`` the same object in the first, or ``NONE``."""
        if step == len(self.graphs) - 1:
            return self.same[0]
        if step not in self._first_of:
            self._first_of[step] = match_graphs(self.graphs[0], self.graphs[step])
        return self._first_of[step]


def length_in(graph: HeapGraph, node: int) -> int:
    """Return the number of elements of a container, of anything else that of its references."""
    length = graph.length_of(node)
    return len(graph.strong_targets(node)) if length is None else length


def rises(lengths: Sequence[int]) -> bool:
    """Tell whether each number is more than the one before."""
    return all(before < after for before, after in pairwise(lengths))
