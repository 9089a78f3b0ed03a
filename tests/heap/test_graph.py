import pytest

from memlens._core.layout import NONE, NodeFlag, RootKind
from memlens._core.layout import EdgeKind as K
from memlens.errors import SnapshotFileError
from memlens.heap.graph.heap_graph import HeapGraph
from tests.heap.planted import Planter


def service():
    """app.registry._sessions: a dict of two sessions, each with a buffer."""
    p = Planter()
    registry = p.node("app.Registry", 48, key="registry")
    sessions = p.node("dict", 100, key="sessions", length=2)
    p.edge(registry, sessions, K.ATTRIBUTE, "_sessions")
    for name in ("ada", "bob"):
        session = p.node("app.Session", 50, key=name)
        buffer = p.node("bytearray", 1000, key=name + " buffer")
        p.edge(sessions, session, K.KEY, repr(name))
        p.edge(session, buffer, K.ATTRIBUTE, "buffer")
    p.module("app", registry=registry)
    return p


def test_names_types_and_sizes_are_as_planted():
    graph = service().graph()
    assert graph.node_count == 9
    assert graph.type_of(1) == "app.Registry"
    assert graph.length_of(2) == 2
    assert graph.bound_of(2) is None
    assert graph.length_of(1) is None
    assert graph.name_of(7) == "app"


def test_retained_sizes_add_up_along_the_path():
    graph = service().graph()
    assert graph.retained_bytes(2) == 100 + 2 * 1050
    assert graph.retained_bytes(1) == 48 + 100 + 2 * 1050
    assert graph.retained_bytes(0) == sum(graph.node_size)


def test_edge_has_kind_name_source_and_target():
    graph = service().graph()
    (edge,) = graph.edges(1)
    assert (edge.source, edge.target, edge.kind, edge.name) == (1, 2, K.ATTRIBUTE, "_sessions")
    index = graph.edge_offset[1]
    assert graph.edge_source(index) == 1


def test_edge_source_finds_the_source_of_every_edge():
    graph = service().graph()
    for node in range(graph.node_count):
        for index in range(graph.edge_offset[node], graph.edge_offset[node + 1]):
            assert graph.edge_source(index) == node


def test_weak_references_are_listed_but_keep_nothing_alive():
    p = Planter()
    ref, target = p.node("weakref", 72), p.node("app.Thing", 10)
    p.edge(ref, target, K.WEAK, "referent")
    p.module("app", ref=ref)
    graph = p.graph()
    assert graph.targets(ref) == [target]
    assert graph.strong_targets(ref) == []
    assert graph.referrers(target) == []
    assert graph.dominators.dominator[target] == NONE


def test_objects_that_only_memlens_keeps_alive_are_its_own():
    p = Planter()
    ours = p.node("memlens.heap.snapshot.HeapSnapshot", 48, flags=NodeFlag.OWN)
    inner, shared = p.node("dict", 100), p.node("dict", 7)
    p.edge(ours, inner, K.ATTRIBUTE, "graph")
    p.edge(inner, shared, K.KEY, "x")
    p.module("app", snapshot=ours, shared=shared)
    graph = p.graph()
    assert graph.has(inner, NodeFlag.OWN)
    assert not graph.has(shared, NodeFlag.OWN)


def test_path_from_a_module_is_preferred_to_a_shorter_one():
    p = Planter()
    thing, holder = p.node("app.Thing"), p.node("app.Holder")
    p.root(thing, RootKind.EXTERNAL, count=1)
    p.edge(holder, thing, K.ATTRIBUTE, "thing")
    p.module("app", holder=holder)
    graph = p.graph()
    assert graph.edge_source(graph.path_edges[thing]) == holder


def test_missing_section_is_named():
    sections = service().sections()
    del sections["edge_label"]
    with pytest.raises(SnapshotFileError, match="edge_label"):
        HeapGraph(sections, {})


def test_mismatch_of_edges_and_nodes_is_refused():
    sections = service().sections()
    sections["edge_offset"] = sections["edge_offset"][:-1]
    with pytest.raises(SnapshotFileError, match="'edge_offset' has"):
        HeapGraph(sections, {})
