"""Places: what is kept of an earlier snapshot says the same as the key of every node."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag
from memlens.errors import SnapshotFileError
from memlens.leaks import places
from memlens.leaks.growth import HIDDEN
from memlens.leaks.places import PlaceIndex
from tests.heap.planted import Planter

TYPES = ["dict", "list", "app.Node", "app.Page", "function", "hamt", "str"]
FLAGS = [0, 0, 0, NodeFlag.OWN, NodeFlag.GARBAGE, NodeFlag.HEAP_TYPE]
SIZES = [16, 2000]
CHANCES = st.integers(0, 10_000).map(random.Random)


def heap(chance, count=40):
    """A heap of modules and objects that refer to each other at random; some nothing reaches."""
    p = Planter()
    nodes = [p.module(name) for name in ("app", "memlens")]
    for _ in range(count):
        length = chance.choice([None, None, 0, 5])
        flags = chance.choice(FLAGS)
        node = p.node(chance.choice(TYPES), chance.choice(SIZES), flags=flags, length=length)
        name = chance.choice("abc")
        for source in chance.sample(nodes, chance.choice([0, 1, 1, 2])):
            p.edge(source, node, chance.choice([K.ATTRIBUTE, K.KEY, K.INTERNAL]), name)
        nodes.append(node)
    hub = chance.choice(nodes)
    for target in chance.sample(nodes, 10):
        p.edge(hub, target, K.ATTRIBUTE, "hub")
    return p.graph()


@settings(max_examples=60, deadline=None)
@given(chance=CHANCES)
def test_an_earlier_snapshot_places_every_node_as_the_last_does(chance):
    graph = heap(chance)
    last = PlaceIndex(graph, HIDDEN)
    for node, key in enumerate(last.keys):
        for asked in (key, chance.choice(last.keys), 1):
            earlier = PlaceIndex(graph, HIDDEN, is_last=False)
            assert earlier.is_at(node, asked) == (asked == key)
        assert last.key_of(node) == earlier.key_of(node) == key


@settings(max_examples=60, deadline=None)
@given(chance=CHANCES, count=st.integers(0, 40))
def test_an_earlier_snapshot_hides_the_same(chance, count):
    graph = heap(chance)
    last, earlier = PlaceIndex(graph, HIDDEN), PlaceIndex(graph, HIDDEN, is_last=False)
    nodes = set(chance.sample(range(graph.node_count), count))
    shown = {node for node in nodes if not graph.flags[node] & HIDDEN}
    assert earlier.visible(nodes) == last.visible(nodes) == shown


def test_an_earlier_snapshot_keeps_no_column_of_all_its_nodes():
    graph = heap(random.Random(1))
    earlier = PlaceIndex(graph, HIDDEN, is_last=False)
    assert not {"keys", "_repeats"} & vars(earlier).keys()
    assert not {"flags", "path_edges"} & vars(graph).keys()


@settings(max_examples=60, deadline=None)
@given(chance=CHANCES)
def test_an_earlier_snapshot_contains_the_same(chance):
    graph = heap(chance)
    last, earlier = PlaceIndex(graph, HIDDEN), PlaceIndex(graph, HIDDEN, is_last=False)
    for name in ("containers", "buffers", "repeated", "tries", "external"):
        assert dict(getattr(last, name)) == dict(getattr(earlier, name)), name
    assert last.keys == earlier.keys


def test_containers_our_own_objects_and_garbage_need_no_key_of_every_node(monkeypatch):
    p = Planter()
    table = p.node("dict", 64, length=3)
    other = p.node("list", 64, length=3)
    own = p.node("str", 50, flags=NodeFlag.OWN)
    garbage = p.node("str", 50, flags=NodeFlag.GARBAGE)
    p.module("app", table=table, other=other, own=own)
    graph = p.graph()
    keys = PlaceIndex(graph, HIDDEN).keys
    earlier = PlaceIndex(graph, HIDDEN, is_last=False)
    monkeypatch.setattr(
        places, "find_place_keys", lambda *_: pytest.fail("all keys were found again")
    )
    for node in (table, other, own, garbage):
        assert earlier.is_at(node, keys[node])
        assert not earlier.is_at(node, keys[0] + 1)
    assert not earlier.is_at(table, keys[other])


@pytest.mark.parametrize("name", [(999, 0, 1), (0, 999, 1)])
def test_a_function_with_a_name_that_does_not_exist_is_our_error(name):
    p = Planter()
    function = p.node("function", 100)
    p.module("app", function=function)
    p.names[function] = name
    with pytest.raises(SnapshotFileError, match="string 999 of only"):
        _ = PlaceIndex(p.graph(), HIDDEN).keys
