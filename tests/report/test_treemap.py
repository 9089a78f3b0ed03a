"""The treemap: cut to a budget, with totals that stay exact."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._core.layout import NONE, EdgeKind, NodeFlag
from memlens.report.html.limits import Limits
from memlens.report.html.treemap import cut_tree, treemap_of
from tests.heap.planted import Planter
from tests.report.document_schema import _treemap as check_treemap


@st.composite
def heaps(draw):
    """Heaps of a few dozen objects: some shared, some memlens's own, some garbage, some native."""
    planter = Planter()
    count = draw(st.integers(1, 40))
    for _ in range(count):
        own = draw(st.integers(0, 9)) == 0
        planter.node("T", draw(st.integers(1, 200)), flags=NodeFlag.OWN if own else 0)
    for node in range(2, count + 1):
        for _ in range(draw(st.integers(0, 2))):  # none: garbage, unless it is a root
            planter.edge(draw(st.integers(1, count)), node, name=draw(st.sampled_from("abc")))
    if draw(st.booleans()):
        planter.native(draw(st.integers(1, 100)), draw(st.integers(1, count)))
    for number in range(draw(st.integers(1, 4))):
        planter.root(draw(st.integers(1, count)), name=f"m{number}")
    return planter.snapshot()


@given(heaps(), st.integers(2, 60))
def test_totals_are_exact_however_the_tree_is_cut(snapshot, limit):
    treemap = treemap_of(snapshot, Limits(nodes=limit))
    check_treemap(treemap)
    assert len(treemap["parent"]) <= limit
    assert treemap["total_bytes"] == snapshot.dominators().retained_bytes
    assert treemap["shown_bytes"] == snapshot.summary().shallow_bytes


@given(heaps())
def test_boxes_come_largest_first_and_without_a_limit_none_is_left_out(snapshot):
    graph = snapshot.graph
    boxes = [box for box in cut_tree(graph, 1000)[1:] if not box.is_rest]
    sizes = [box.retained_bytes for box in boxes]
    for place, box in enumerate(boxes):
        if box.parent > 0:
            assert box.retained_bytes <= boxes[box.parent - 1].retained_bytes
            assert boxes[box.parent - 1].node == graph.dominators.dominator[box.node]
        assert place == 0 or box.parent > 0 or sizes[place] <= max(sizes[:place])
    shown = {node.index for node in snapshot.select()}
    reached = {node for node in shown if graph.dominators.dominator[node] != NONE}
    assert {box.node for box in boxes} == reached


def wide(count):
    planter = Planter()
    table = planter.node("dict", 100)
    for number in range(count):
        planter.edge(table, planter.node("Row", 10 + number), EdgeKind.KEY, f"'row {number}'")
    planter.root(table, name="app")
    return planter.snapshot()


@pytest.mark.parametrize("count", [100, 3000])
def test_children_without_a_box_are_one_node_that_says_how_many(count):
    """Above a thousand children the core ranks them."""
    snapshot = wide(count)
    treemap = treemap_of(snapshot, Limits(nodes=12))
    check_treemap(treemap)
    names = [treemap["names"][number] for number in treemap["name"]]
    assert len(names) == 12
    shown = names[2:11]
    assert shown == [f"['row {number}']   Row" for number in reversed(range(count - 9, count))]
    assert names[11] == f"{count - 9:,} more objects"
    assert treemap["count"][11] == count - 9
    assert treemap["retained"][11] == treemap["shallow"][11] == sum(range(10, 10 + count - 9))
    assert treemap["parent"][11] == 1
    assert "boxes for several objects" in treemap["omitted"]["text"]


def test_a_large_branch_is_opened_before_small_ones_are_shown():
    planter = Planter()
    for number in range(20):
        planter.root(planter.node("Small", 10), name=f"small{number}")
    top = below = planter.node("Large", 100)
    for _ in range(5):
        parent, below = below, planter.node("Large", 100)
        planter.edge(parent, below, name="next")
    planter.root(top, name="large")
    treemap = treemap_of(planter.snapshot(), Limits(nodes=8))
    check_treemap(treemap)
    assert treemap["retained"] == [800, 600, 500, 400, 300, 200, 100, 200]
    assert treemap["count"][-1] == 20


def test_a_whole_tree_has_no_rest():
    snapshot = wide(5)
    treemap = treemap_of(snapshot, Limits())
    assert treemap["omitted"] is None
    assert len(treemap["parent"]) == 7


def test_a_long_chain_is_cut_without_recursion():
    planter = Planter()
    first = previous = planter.node("Link", 16)
    for _ in range(30_000):
        link = planter.node("Link", 16)
        planter.edge(previous, link, name="next")
        previous = link
    planter.root(first, name="chain")
    treemap = treemap_of(planter.snapshot(), Limits(nodes=20_000))
    check_treemap(treemap)
    assert len(treemap["parent"]) == 20_000
    assert treemap["path"][-1] == -1  # too long to be read


def test_names_say_how_the_parent_refers_to_an_object():
    planter = Planter()
    store, sessions, shared = planter.node("Store"), planter.node("dict"), planter.node("bytes", 9)
    planter.edge(store, sessions, name="_sessions")
    other = planter.node("Store")
    for owner in (sessions, other):
        planter.edge(owner, shared, EdgeKind.KEY, "'x'")
    planter.module("shop", store=store, other=other)
    treemap = treemap_of(planter.snapshot(), Limits())
    names = [treemap["names"][number] for number in treemap["name"]]
    assert names[0] == "process 1"
    assert ".store   Store" in names
    assert "._sessions   dict" in names
    assert "['x']   bytes" not in names  # its owners are two: no parent in the tree refers to it
    assert any(name.endswith("['x']   bytes") for name in names)
    paths = [treemap["names"][number] for number in treemap["path"] if number >= 0]
    assert "shop.store._sessions" in paths


def test_native_memory_is_told_apart():
    planter = Planter()
    tensor = planter.node("Tensor", 50)
    planter.native(1000, tensor)
    planter.root(tensor, name="model")
    treemap = treemap_of(planter.snapshot(), Limits())
    assert treemap["native"][:2] == [1000, 1000]
    assert treemap["retained"][:2] == [1050, 1050]
