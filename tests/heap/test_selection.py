"""Sets of nodes: their algebra, and exact retained sizes against networkx."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.views.node_set import NodeSet
from tests.heap.planted import Planter
from tests.heap.test_graph import service


@st.composite
def heaps(draw):
    """A planted heap and a networkx graph of its strong references, node 0 the process."""
    import networkx  # here: tests that capture this process would capture it

    p, graph = Planter(), networkx.DiGraph()
    count = draw(st.integers(1, 15))
    nodes = [
        p.node(f"app.T{draw(st.integers(0, 2))}", draw(st.integers(1, 100))) for _ in range(count)
    ]
    graph.add_nodes_from([0, *nodes])
    node = st.sampled_from(nodes)
    for source, target, is_weak in draw(
        st.lists(st.tuples(node, node, st.booleans()), max_size=40)
    ):
        p.edge(source, target, K.WEAK if is_weak else K.ATTRIBUTE, "x")
        if not is_weak:
            graph.add_edge(source, target)
    for root in draw(st.lists(node, max_size=4)):
        p.root(root)
        graph.add_edge(0, root)
    return p.snapshot(), graph, draw(st.sets(node))


def node_set(snapshot, nodes):
    mask = bytearray(snapshot.graph.node_count)
    for node in nodes:
        mask[node] = 1
    return NodeSet(snapshot.graph, bytes(mask))


@settings(max_examples=200, deadline=None)
@given(heap=heaps())
def test_set_retains_what_is_unreachable_without_it(heap):
    import networkx

    snapshot, graph, chosen = heap
    before = networkx.descendants(graph, 0)
    rest = graph.copy()
    rest.remove_nodes_from(chosen)
    freed = (before - networkx.descendants(rest, 0)) | chosen
    found = node_set(snapshot, chosen)
    assert {node.index for node in found.retained} == freed
    assert found.retained_bytes == sum(snapshot.graph.node_size[node] for node in freed)


@settings(max_examples=100, deadline=None)
@given(count=st.integers(2, 30), data=st.data())
def test_set_operations_agree_with_python_sets(count, data):
    p = Planter()
    for _ in range(count):
        p.root(p.node())
    snapshot = p.snapshot()
    one, other = (data.draw(st.sets(st.integers(1, count))) for _ in range(2))
    a, b = node_set(snapshot, one), node_set(snapshot, other)
    for combined, expected in (
        (a & b, one & other),
        (a | b, one | other),
        (a - b, one - other),
        (a ^ b, one ^ other),
    ):
        assert [node.index for node in combined] == sorted(expected)
        assert len(combined) == combined.count == len(expected)
    assert (a == b) is (one == other)
    assert hash(a) == hash(node_set(snapshot, one))


def test_selecting_by_type_and_size():
    snapshot = service().snapshot()
    assert snapshot.select("app.Session").shallow_bytes == 100
    assert {n.type_name for n in snapshot.select("app.*")} == {"app.Session", "app.Registry"}
    assert snapshot.select("app.Nothing").count == 0
    assert snapshot.select(min_shallow_bytes=1000).count == 2
    big = snapshot.select(min_retained_bytes=2000)
    assert {n.type_name for n in big} == {"module", "dict", "app.Registry"}
    assert snapshot.select("dict", min_retained_bytes=2300).count == 1
    assert snapshot.select().count == snapshot.summary().count


def test_set_retains_more_than_the_sum_of_its_members():
    p = Planter()
    shared = p.node("bytearray", 1000)
    holders = [p.node("app.Holder", 10) for _ in range(2)]
    for holder in holders:
        p.edge(holder, shared, K.ATTRIBUTE, "x")
        p.root(holder)
    holding = p.snapshot().select("app.Holder")
    assert [node.retained_bytes for node in holding] == [10, 10]
    assert holding.retained_bytes == 1020
    assert "retain 1.00 KiB" in str(holding)


def test_garbage_is_selected_on_request_and_retains_itself():
    p = Planter()
    p.node("app.Lost", 77, flags=NodeFlag.GARBAGE)
    snapshot = p.snapshot()
    assert snapshot.select("app.Lost").count == 0
    lost = snapshot.select("app.Lost", include_garbage=True)
    assert (lost.count, lost.shallow_bytes, lost.retained_bytes) == (1, 77, 77)


def test_empty_set_has_a_table_and_no_bytes():
    empty = service().snapshot().select("nothing")
    assert empty.retained_bytes == empty.shallow_bytes == 0
    assert str(empty).startswith("0 objects")
    assert empty.to_dict()["largest"] == []


def test_node_of_another_snapshot_is_no_member():
    snapshot, other = service().snapshot(), service().snapshot()
    (first, *_) = sessions = snapshot.select("app.Session")
    assert first in sessions
    assert first not in snapshot.select("dict")
    assert other.select("app.Session").largest(1)[0] not in sessions
    assert "app.Session" not in sessions


def test_sets_of_two_snapshots_cannot_be_combined():
    with pytest.raises(NotInSnapshotError, match="different snapshots"):
        service().snapshot().select() & service().snapshot().select()
    with pytest.raises(TypeError):
        service().snapshot().select() & {1}


def test_negative_sizes_are_refused():
    with pytest.raises(OptionError, match="min_retained_bytes is -1"):
        service().snapshot().select(min_retained_bytes=-1)
    with pytest.raises(OptionError, match="type must be a string"):
        service().snapshot().select(dict)


def test_mask_has_one_byte_for_each_node():
    snapshot = service().snapshot()
    assert sum(1 for _ in snapshot.select()) == snapshot.graph.node_count - 1
    assert array("B", snapshot.select()._mask)[0] == 0
