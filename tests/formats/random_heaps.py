"""Random heaps for the tests of exports: every kind of node, edge and root."""

from __future__ import annotations

from hypothesis import strategies as st

from memlens._core.layout import EdgeKind, RootKind
from tests.heap.planted import Planter

TYPES = ("dict", "app.Session", "str", "function", "code", "type", "list")
SIZES = st.one_of(st.integers(0, 300), st.sampled_from([(1 << 32) - 1, 1 << 32, 13 << 30]))
KINDS = (*(kind for kind in EdgeKind), EdgeKind.ATTRIBUTE, EdgeKind.INDEX)


@st.composite
def heaps(draw, max_nodes=14):
    """A heap snapshot; some nodes may be garbage, and some edges weak."""
    plant = Planter()
    count = draw(st.integers(1, max_nodes))
    nodes = []
    for place in range(count):
        if draw(st.integers(0, 9)) == 0:
            nodes.append(plant.native(draw(SIZES), key=("block", place)))
        else:
            kind = draw(st.sampled_from(TYPES))
            nodes.append(plant.node(kind, draw(SIZES), key=(kind, place)))
    node = st.sampled_from(nodes)
    for source, target, kind, number in draw(
        st.lists(
            st.tuples(node, node, st.sampled_from(KINDS), st.integers(0, 3)), max_size=3 * count
        )
    ):
        plant.edge(source, target, kind, f"name {number}" if number else "", number)
    for target, kind, number in draw(
        st.lists(st.tuples(node, st.sampled_from([*RootKind]), st.integers(0, 2)), max_size=count)
    ):
        frame = (7, "handle", "/app/app.py", number) if kind is RootKind.FRAME else None
        plant.root(target, kind, f"root {number}" if number else "", frame=frame)
    return plant.snapshot()
