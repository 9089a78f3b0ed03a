from itertools import pairwise

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag, RootKind
from memlens.heap.graph.paths import RetentionPathFinder
from tests.heap.planted import Planter
from tests.heap.test_graph import service


def test_path_reads_like_a_python_expression():
    snapshot = service().snapshot()
    buffer = next(snapshot.find(lambda node: node.type_name == "bytearray"))
    assert str(snapshot.path_to(buffer)) == "app.registry._sessions['ada'].buffer"


def test_tree_has_type_and_retained_size_of_each_hop():
    snapshot = service().snapshot()
    buffer = next(snapshot.find(lambda node: node.type_name == "bytearray"))
    path = snapshot.path_to(buffer)
    sizes = {hop.type_name: hop.retained_bytes for hop in path.hops}
    assert sizes["app.Registry"] == 48 + 100 + 2 * 1050
    assert sizes["bytearray"] == 1000
    assert "└── ._sessions   dict, retains 2.15 KiB" in path.tree()
    assert path.to_dict()["text"] == str(path)


def test_frame_root_has_thread_function_and_line():
    p = Planter()
    frame, cache = p.node("frame"), p.node("dict", length=0)
    p.edge(frame, cache, K.LOCAL, "cache")
    p.root(frame, RootKind.FRAME, frame=(7, "handler", "/srv/app.py", 42))
    path = p.snapshot().path_to(cache)
    assert str(path) == "thread 'MainThread' frame handler (app.py:42) local 'cache'"
    assert path.root_kind == "frame"


def test_closure_variable_is_named_once():
    p = Planter()
    function, cells = p.node("function"), p.node("tuple", length=1)
    cell, payload = p.node("cell"), p.node("bytearray")
    p.edge(function, cells, K.INTERNAL, "__closure__")
    p.edge(cells, cell, K.CELL, "payload")
    p.edge(cell, payload, K.INTERNAL, "cell_contents")
    p.module("app", handler=function)
    assert str(p.snapshot().path_to(payload)) == "app.handler <closure 'payload'>"


def test_positions_members_and_unnamed_references_have_texts():
    p = Planter()
    items, members, thing, odd = p.node("list"), p.node("set"), p.node("app.T"), p.node("app.Odd")
    p.edge(items, members, K.INDEX, position=3)
    p.edge(members, thing, K.ITEM)
    p.edge(thing, odd, K.INTERNAL)
    p.module("app", items=items)
    assert str(p.snapshot().path_to(odd)) == "app.items[3]{app.T} -> app.Odd"


def test_independent_paths_share_no_referrer():
    p = Planter()
    thing = p.node("app.Thing")
    left, right, inner = p.node("dict"), p.node("dict"), p.node("list")
    p.edge(left, thing, K.KEY, "'a'")
    p.edge(right, inner, K.KEY, "'b'")
    p.edge(inner, thing, K.INDEX, position=0)
    p.module("app", left=left, right=right)
    paths = p.snapshot().retention_paths(thing, limit=5)
    assert [str(path) for path in paths] == ["app.left['a']", "app.right['b'][0]"]


def test_two_references_from_one_referrer_are_one_path():
    p = Planter()
    holder, thing = p.node("app.Holder"), p.node("app.Thing")
    p.edge(holder, thing, K.ATTRIBUTE, "first")
    p.edge(holder, thing, K.ATTRIBUTE, "second")
    p.module("app", holder=holder)
    assert len(p.snapshot().retention_paths(thing, limit=5)) == 1


def test_module_and_external_reference_are_two_paths():
    p = Planter()
    thing = p.node("app.Thing")
    p.module("app", thing=thing)
    p.root(thing, RootKind.EXTERNAL, count=2)
    paths = [str(path) for path in p.snapshot().retention_paths(thing, limit=5)]
    assert paths == [
        "app.thing",
        "<app.Thing held by native code or the interpreter, 2 references>",
    ]


def test_skipped_roots_are_ignored():
    p = Planter()
    frame, thing = p.node("frame"), p.node("app.Thing")
    p.edge(frame, thing, K.LOCAL, "thing")
    p.root(frame, RootKind.FRAME, frame=(7, "main", "app.py", 1))
    assert RetentionPathFinder(p.graph()).find(thing)
    assert RetentionPathFinder(p.graph(), skip_roots=[0]).find(thing) == []


def test_very_long_path_is_shown_without_its_middle():
    p = Planter()
    nodes = [p.node("app.Node", 10) for _ in range(5000)]
    for source, target in pairwise(nodes):
        p.edge(source, target, K.ATTRIBUTE, "next")
    p.module("app", head=nodes[0])
    path = p.snapshot().path_to(nodes[-1])
    assert len(path) == 5001
    assert str(path).startswith("app.head.next") and str(path).endswith(".next")
    assert " ...(4800 more)... " in str(path)
    assert len(path.tree().splitlines()) == 1 + 100 + 1 + 100


def test_garbage_has_no_path():
    p = Planter()
    a, b = p.node("app.A", flags=NodeFlag.GARBAGE), p.node("app.B", flags=NodeFlag.GARBAGE)
    p.edge(a, b, K.ATTRIBUTE, "b")
    p.edge(b, a, K.ATTRIBUTE, "a")
    p.module("app")
    snapshot = p.snapshot()
    assert snapshot.path_to(a) is None
    assert snapshot.retention_paths(a) == []


def test_search_ends_in_a_cyclic_graph():
    p = Planter()
    a, b, thing = p.node("app.A"), p.node("app.B"), p.node("app.Thing")
    p.edge(a, b, K.ATTRIBUTE, "b")
    p.edge(b, a, K.ATTRIBUTE, "a")
    p.edge(b, thing, K.ATTRIBUTE, "thing")
    p.module("app", a=a)
    assert [str(path) for path in p.snapshot().retention_paths(thing, limit=9)] == ["app.a.b.thing"]


def test_a_path_through_memlens_is_used_only_where_there_is_no_other():
    p = Planter()
    kept, only_ours, far = p.node("dict"), p.node("dict"), p.node("type")
    ours = p.node("memlens.x.Y", flags=NodeFlag.OWN)
    p.module("threading", _active=ours)
    p.edge(ours, kept, K.ATTRIBUTE, "on_alert")
    p.edge(ours, only_ours, K.ATTRIBUTE, "history")
    p.root(far, RootKind.STATIC_TYPE, "far")
    p.edge(far, kept, K.ATTRIBUTE, "cache")
    graph = p.graph()
    finder = RetentionPathFinder(graph)
    for path in (finder.path_to(kept), finder.find(kept, 1)[0]):
        assert "on_alert" not in str(path), path
    assert "on_alert" in str(finder.find(kept, 2)[1])
    assert "history" in str(finder.path_to(only_ours))
