"""Graphs for the tests of the core: shapes, random ones, and what is true of them by definition."""

from __future__ import annotations

import mmap
from array import array
from typing import NamedTuple

import pytest
from hypothesis import strategies as st

from memlens._core.layout import LABEL_BITS, MAX_PAYLOAD, EdgeKind

ATTRIBUTE = EdgeKind.ATTRIBUTE
WEAK = EdgeKind.WEAK

# Nodes of a linked list. An 8 MiB stack has 33 bytes for each of the fewer: too few to recurse.
LENGTHS = [250_000, pytest.param(4_000_000, marks=pytest.mark.slow)]
_LABELS = (
    ATTRIBUTE,
    EdgeKind.INDEX | MAX_PAYLOAD << LABEL_BITS,
    # The payload of this strong edge looks like the kind of a weak one.
    EdgeKind.KEY | WEAK << LABEL_BITS,
    EdgeKind.ITEM | WEAK << 8,
    WEAK,
    WEAK | MAX_PAYLOAD << LABEL_BITS,
)


class Graph(NamedTuple):
    """The columns that the functions of the core take, in their order."""

    edge_offset: array
    edge_target: array
    edge_label: array
    node_size: array

    @property
    def node_count(self):
        return len(self.node_size)

    @property
    def columns(self):
        """The three columns of the edges."""
        return self[:3]

    def edges(self):
        """(source, target, is weak) of each edge."""
        for source in range(self.node_count):
            for edge in range(self.edge_offset[source], self.edge_offset[source + 1]):
                is_weak = self.edge_label[edge] % (1 << LABEL_BITS) == WEAK
                yield source, self.edge_target[edge], is_weak

    def strong_edges(self):
        return [(source, target) for source, target, is_weak in self.edges() if not is_weak]

    def to_networkx(self):
        import networkx  # here: every capture of this process would have it to capture

        graph = networkx.DiGraph(self.strong_edges())
        graph.add_nodes_from(range(self.node_count))
        return graph


def graph_of(rows, labels=None, sizes=None):
    """The graph whose node ``v`` has edges to ``rows[v]``; all are attributes, of one byte each."""
    edge_offset = array("Q", [0])
    edge_target = array("I")
    for row in rows:
        edge_target.extend(row)
        edge_offset.append(len(edge_target))
    return Graph(
        edge_offset,
        edge_target,
        array("I", labels or [ATTRIBUTE] * len(edge_target)),
        array("Q", sizes or [1] * (len(edge_offset) - 1)),
    )


def chain(length):
    """0 -> 1 -> 2 ... a singly linked list."""
    return graph_of([node + 1] if node + 1 < length else [] for node in range(length))


def doubly_linked(length):
    """A linked list whose nodes also point back; only its head is held by node 0."""
    rows = [[node - 1, node + 1] for node in range(length)]
    rows[:2] = [[1], [2]]
    rows[-1] = [length - 2]
    return graph_of(rows)


def ladder(rungs):
    """Two linked lists, 1 3 5 ... and 2 4 6 ..., each node tied to its twin both ways."""
    rows = [[1]]
    for left in range(1, 2 * rungs, 2):
        rows += [left + 1, left + 2], [left, left + 3]
    rows[-2:] = [[2 * rungs], [2 * rungs - 1]]
    return graph_of(rows)


@st.composite
def graphs(draw, max_nodes=60):
    """Any graph: deep and wide, with cycles, self loops, multi-edges, weak edges and islands."""
    node_count = draw(st.integers(1, max_nodes))
    node = st.integers(0, node_count - 1)
    label = st.sampled_from(_LABELS)
    # Edges between any two nodes seldom make long paths. So most nodes get one from shortly before.
    gap = st.one_of(st.none(), *[st.integers(1, widest) for widest in (1, 3, max_nodes)])
    gaps = draw(st.lists(gap, min_size=node_count - 1, max_size=node_count - 1))
    edges = [(max(0, end - gap), end, ATTRIBUTE) for end, gap in enumerate(gaps, 1) if gap]
    edge_count = draw(st.integers(0, 2 * node_count))
    others = st.lists(st.tuples(node, node, label), min_size=edge_count, max_size=edge_count)
    edges += draw(others)
    edges.sort(key=lambda edge: edge[0])
    sizes = st.lists(st.integers(0, 1 << 40), min_size=node_count, max_size=node_count)
    rows = [[] for _ in range(node_count)]
    for source, target, _ in edges:
        rows[source].append(target)
    return graph_of(rows, [kind for _, _, kind in edges], draw(sizes))


def reached_nodes(graph, without=None):
    """What node 0 reaches over strong edges when the node ``without`` is taken away."""
    successors = {}
    for source, target in graph.strong_edges():
        successors.setdefault(source, []).append(target)
    reached = {0}
    waiting = [0]
    while waiting:
        for target in successors.get(waiting.pop(), ()):
            if target not in reached and target != without:
                reached.add(target)
                waiting.append(target)
    return reached


def in_every_form(column):
    """One column as each kind of buffer that the core takes."""
    mapped = mmap.mmap(-1, max(1, len(column) * column.itemsize))
    mapped.write(column.tobytes())
    forms = {
        "array": column,
        "view": memoryview(column),
        "read-only view": memoryview(column).toreadonly(),
        "bytes": column.tobytes(),
        "bytearray": bytearray(column.tobytes()),
        "read-only view of bytes": memoryview(column.tobytes()),
    }
    if column:
        forms["view of bytes"] = memoryview(column.tobytes()).cast(column.typecode)
        forms["memory map"] = mapped
    return forms
