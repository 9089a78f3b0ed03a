"""The larger objects of a heap that has too many for DevTools, and what the others sum to.

Objects that retain more than a threshold stay. With each of them stay its dominators, so the others
form whole subtrees of the dominator tree. The others of one dominator become one node with their sum.
A reference from one of them to an object that stays becomes one of the dominator. So all that stay
have the same dominators and retained sizes as before, and the totals are exact.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import NamedTuple

from memlens._core.layout import LABEL_BITS, NONE, EdgeKind
from memlens.formats.heapsnapshot.columns import Columns
from memlens.formats.heapsnapshot.node_names import NodeNames
from memlens.formats.heapsnapshot.schema import OBJECT
from memlens.formats.heapsnapshot.strings import StringTable
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph

__all__ = ("larger_columns",)

_ROOT_REST_ID, _GARBAGE_REST_ID = 2, 4


class _Choice(NamedTuple):
    """A byte for each node: 1 for what stays. The nearest dominator that stays of each node."""

    stays: bytes
    owner: array[int]


def larger_columns(
    graph: HeapGraph, named: NodeNames, ids: array[int], strings: StringTable, max_nodes: int
) -> Columns:
    """Return the columns of at most ``max_nodes`` nodes: larger objects, and sums of the others."""
    choice = _choose(graph, max_nodes)
    nodes = array("I", compress(range(graph.node_count), choice.stays))
    rests = _rests(graph, choice)
    rows = array("I", [NONE]) * graph.node_count
    for row, node in enumerate(nodes):
        rows[node] = row
    rest_rows = {owner: len(nodes) + place for place, owner in enumerate(rests)}
    through, held = _edges_through(graph, choice)
    edges = _Edges(graph, choice.stays, rows, through, rest_rows, strings)
    rest_name = strings.add("(smaller objects)")
    dominator = graph.dominators.dominator
    garbage = [rows[node] for node in nodes[1:] if dominator[node] == NONE]
    return Columns(
        node_of_row=nodes + array("I", [NONE]) * len(rests),
        row_of_node=rows,
        types=bytes(map(named.types.__getitem__, nodes)) + bytes([OBJECT]) * len(rests),
        names=array("I", map(named.names.__getitem__, nodes))
        + array("I", [rest_name]) * len(rests),
        ids=array("I", map(ids.__getitem__, nodes)) + array("I", _rest_ids(ids, rests)),
        sizes=array("Q", map(graph.node_size.__getitem__, nodes)) + array("Q", rests.values()),
        edge_offset=edges.offset,
        edge_target=edges.target,
        edge_label=edges.label,
        garbage=garbage + [rest_rows[owner] for owner in rests if owner == NONE],
        held=[rows[node] for node in held] + [rest_rows[owner] for owner in rests if owner == 0],
    )


def _rest_ids(ids: array[int], owners: Iterable[int]) -> Iterator[int]:
    """Yield ids that no object has: that of the owner and 1."""
    special = {0: _ROOT_REST_ID, NONE: _GARBAGE_REST_ID}
    return (special[owner] if owner in special else ids[owner] + 1 for owner in owners)


def _choose(graph: HeapGraph, max_nodes: int) -> _Choice:
    """Choose as many of the largest nodes as fit with a node for the rest of each."""
    retained = graph.dominators.retained
    none = array("H", bytes(2 * graph.node_count))
    wanted = max_nodes
    while True:
        ranked = checked_core.largest_nodes(retained, none, wanted + 1)
        threshold = retained[ranked[-1]] if len(ranked) > wanted else -1
        stays = bytearray(map(threshold.__lt__, retained))
        stays[0] = 1
        owner = checked_core.nearest_marked(graph.dominators.dominator, stays)
        is_small = stays.translate(bytes([1, 0]) + bytes(254))
        count = sum(stays) + len({*compress(owner, is_small)})
        if count <= max_nodes or not wanted:
            return _Choice(bytes(stays), owner)
        wanted = min(wanted - 1, wanted * max_nodes // count)


def _rests(graph: HeapGraph, choice: _Choice) -> dict[int, int]:
    """Return what is left out in bytes, by the nearest dominator that stays; `NONE` for garbage."""
    sums: dict[int, int] = {}
    for owner, size_bytes, stays in zip(choice.owner, graph.node_size, choice.stays, strict=True):
        if not stays:
            sums[owner] = sums.get(owner, 0) + size_bytes
    return dict(sorted(sums.items()))


def _sources(offset: Sequence[int], edges: Iterable[int]) -> Iterator[int]:
    """Yield the source of each of some edges, which ascend."""
    node, end = 0, offset[1]
    for edge in edges:
        while edge >= end:
            node += 1
            end = offset[node + 1]
        yield node


def _edges_through(graph: HeapGraph, choice: _Choice) -> tuple[dict[int, list[int]], list[int]]:
    """Return which nodes are referred to by what is left out of each node, and of the root."""
    columns = graph.edge_offset, graph.edge_target, graph.edge_label
    is_small = choice.stays.translate(bytes([1, 0]) + bytes(254))
    edges = checked_core.edges_between(*columns, is_small, choice.stays)
    pairs = {
        (choice.owner[source], graph.edge_target[edge])
        for source, edge in zip(_sources(graph.edge_offset, edges), edges, strict=True)
    }
    found: dict[int, list[int]] = {}
    for owner, target in sorted(pairs):
        if owner not in (NONE, target) and target:
            found.setdefault(owner, []).append(target)
    return found, found.pop(0, [])


class _Edges:
    """The edges between rows, as the columns of a graph; those of row 0 are left out."""

    def __init__(
        self,
        graph: HeapGraph,
        stays: bytes,
        rows: Sequence[int],
        through: dict[int, list[int]],
        rest_rows: dict[int, int],
        strings: StringTable,
    ) -> None:
        self.offset, self.target, self.label = array("Q", [0, 0]), array("I"), array("I")
        through_label, rest_label = (
            strings.add(text) - 1 << LABEL_BITS | EdgeKind.INTERNAL
            for text in ("through smaller objects", "smaller objects")
        )
        columns = graph.edge_offset, graph.edge_target, graph.edge_label
        edges = checked_core.edges_between(*columns, stays, stays)
        by_source = zip(_sources(graph.edge_offset, edges), edges, strict=True)
        dominator = graph.dominators.dominator
        following = next(by_source, None)
        for node in compress(range(graph.node_count), stays):
            while following is not None and following[0] == node:
                if node and dominator[node] != NONE:
                    self._add(rows[graph.edge_target[following[1]]], graph.edge_label[following[1]])
                following = next(by_source, None)
            if not node:
                continue
            for target in through.get(node, ()):
                self._add(rows[target], through_label)
            if node in rest_rows:
                self._add(rest_rows[node], rest_label)
            self.offset.append(len(self.target))
        self.offset.extend([len(self.target)] * len(rest_rows))

    def _add(self, row: int, label: int) -> None:
        self.target.append(row)
        self.label.append(label)
