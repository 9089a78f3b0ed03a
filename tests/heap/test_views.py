"""The views of planted heaps, where every number is known."""

import json

import pytest

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag, RootKind
from memlens.errors import OptionError
from tests.heap.planted import Planter
from tests.heap.test_graph import service


def rows(view):
    return {row.name: (row.count, row.shallow_bytes, row.retained_bytes) for row in view}


def varied():
    """A registry with a namespace dict, garbage, memlens's own objects, and several roots."""
    p = service()
    extra = p.node("app.Registry", 30)
    namespace = p.node("dict", 200, flags=NodeFlag.NAMESPACE, length=1)
    text = p.node("str", 60)
    p.edge(extra, namespace, K.INTERNAL, "__dict__")
    p.edge(namespace, text, K.ATTRIBUTE, "title")
    p.module("other", extra=extra)
    p.root(p.node("app.Native", 500), RootKind.EXTERNAL, count=2)
    p.node("app.Lost", 77, flags=NodeFlag.GARBAGE)
    ours = p.node("memlens.Thing", 55, flags=NodeFlag.OWN)
    p.edge(ours, p.node("bytearray", 9999), K.ATTRIBUTE, "x")
    p.root(ours, RootKind.EXTERNAL)
    return p


@pytest.fixture
def snapshot():
    return varied().snapshot()


# -- summary ---------------------------------------------------------------------------------------


def test_objects_of_memlens_are_in_no_summary(snapshot):
    assert rows(snapshot.summary())["bytearray"] == (2, 2000, 2000)


def test_garbage_is_in_the_summary_on_request(snapshot):
    assert "app.Lost" not in rows(snapshot.summary())
    assert rows(snapshot.summary(include_garbage=True))["app.Lost"] == (1, 77, 77)


def test_summary_by_module_adds_up_the_types_of_a_module(snapshot):
    summary = rows(snapshot.summary("module"))
    assert summary["app"][:2] == (5, 48 + 2 * 50 + 30 + 500)
    assert summary["builtins"][0] == 2 + 2 + 2 + 2 + 1  # buffers, modules, dicts, a string
    assert not any(name.startswith("memlens") for name in summary)


@pytest.mark.parametrize(
    ("type_name", "module"),
    [
        ("dict", "builtins"),
        ("app.models.User", "app.models"),
        ("app.models.User.Meta", "app.models"),
        ("app.views.make.<locals>.Inner", "app.views"),
        ("_thread.lock", "_thread"),
        ("Odd", "builtins"),
    ],
)
def test_module_of_a_type_excludes_enclosing_classes(type_name, module):
    p = Planter()
    p.root(p.node(type_name, 16))
    assert rows(p.snapshot().summary("module")) == {module: (1, 16, 16)}


def test_imported_module_with_an_upper_case_name_is_recognized():
    p = Planter()
    p.root(p.node("app.Models.User.Meta", 16))
    p.module("app.Models")
    assert rows(p.snapshot().summary("module"))["app.Models"] == (1, 16, 16)


def test_summary_by_size_uses_powers_of_two():
    p = Planter()
    for size in (0, 1, 16, 31, 32, 1 << 20):
        p.root(p.node("object", size))
    summary = rows(p.snapshot().summary("size"))
    assert summary == {
        "0 B": (1, 0, 0),
        "1 B to under 2 B": (1, 1, 1),
        "16 B to under 32 B": (2, 47, 47),
        "32 B to under 64 B": (1, 32, 32),
        "1.00 MiB to under 2.00 MiB": (1, 1 << 20, 1 << 20),
    }


def test_summary_by_referrer_names_the_types_of_referrers(snapshot):
    summary = rows(snapshot.summary("referrer"))
    assert summary["app.Session"] == (2, 2000, 2000)
    assert summary["dict"] == (2, 100, 2100)
    assert summary["app.Registry"][0] == 3  # sessions, the namespace, the title in the namespace
    assert summary["(external reference)"] == (1, 500, 500)
    assert summary["(module)"][0] == 2
    assert "memlens" not in str(snapshot.summary("referrer"))


def test_several_referrers_are_named_together_and_garbage_has_none():
    p = Planter()
    shared, lost = p.node("str", 10), p.node("str", 3, flags=NodeFlag.GARBAGE)
    for number in range(5):
        referrer = p.node(f"app.T{number % 2}", 1)
        p.edge(referrer, shared, K.ATTRIBUTE, "x")
        p.root(referrer)
    assert lost
    summary = rows(p.snapshot().summary("referrer", include_garbage=True))
    assert summary["app.T0, app.T1"] == (1, 10, 10)
    assert summary["(nothing: garbage)"] == (1, 3, 3)
    for number in range(5):
        referrer = p.node(f"app.U{number}", 1)
        p.edge(referrer, shared, K.ATTRIBUTE, "x")
        p.root(referrer)
    assert rows(p.snapshot().summary("referrer"))["(many types)"] == (1, 10, 10)


def test_classes_with_the_same_name_are_one_row():
    p = Planter()
    outer, inner = p.node("app.A", 10), p.node("app.B", 1)
    p.edge(outer, inner, K.ATTRIBUTE, "x")
    p.root(outer)
    sections = p.sections()
    sections["type_name"][2] = sections["type_name"][1]
    from memlens.heap.graph.heap_graph import HeapGraph
    from memlens.heap.snapshot import HeapSnapshot

    merged = HeapSnapshot(HeapGraph(sections, p.graph().facts))
    assert rows(merged.summary()) == {"app.A": (2, 11, 11)}
    assert rows(merged.select("app.A").by_type()) == {"app.A": (2, 11, 11)}


# -- statistics ------------------------------------------------------------------------------------


def test_statistics_add_up_to_the_heap(snapshot):
    statistics = snapshot.statistics()
    assert statistics.shallow_bytes == snapshot.summary().shallow_bytes
    assert sum(row.share for row in statistics) == pytest.approx(1)
    kinds = {row.kind: (row.count, row.shallow_bytes) for row in statistics}
    assert kinds["strings"] == (1, 60)
    assert kinds["bytes and buffers"] == (2, 2000)
    assert kinds["containers"] == (1, 100)
    assert kinds["namespaces"] == (3, 2 * 232 + 200)
    assert kinds["modules"] == (2, 128)


def test_statistics_of_an_empty_heap_are_empty():
    statistics = Planter().snapshot().statistics()
    assert (len(statistics), statistics.count, statistics.shallow_bytes) == (0, 0, 0)


# -- trees -----------------------------------------------------------------------------------------


def labels(branch):
    return [child.label for child in branch]


def test_containment_has_the_kinds_of_roots_above_the_references(snapshot):
    top = snapshot.containment()
    assert labels(top) == ["module, 2", "external reference, 1"]
    modules = top.children()[0]
    assert labels(modules) == ["app   module app", "other   module other"]
    (registry,) = modules.children()[0]
    assert registry.label == ".registry   app.Registry"
    (sessions,) = registry
    assert sessions.label == "._sessions   dict (2 items)"
    assert [child.node.type_name for child in sessions] == ["app.Session"] * 2
    (extra,) = modules.children()[1]
    assert labels(extra) == [".title   str"]  # the namespace is passed over


def test_retained_size_of_a_kind_of_roots_is_the_sum_of_its_roots(snapshot):
    modules, native = snapshot.containment()
    assert native.retained_bytes == 500
    assert modules.retained_bytes == sum(child.retained_bytes for child in modules)


def test_containment_shows_garbage_on_request(snapshot):
    *_, lost = snapshot.containment(include_garbage=True)
    assert lost.label == "garbage, 1"
    assert labels(lost) == ["app.Lost"]


def circle():
    p = Planter()
    a, b = p.node("app.A", 1), p.node("app.B", 2)
    p.edge(a, b, K.ATTRIBUTE, "b")
    p.edge(b, a, K.ATTRIBUTE, "a")
    p.module("app", first=a)
    return p.snapshot(), a


def test_tree_of_cyclic_references_stops_at_a_repeated_object():
    snapshot, a = circle()
    down = snapshot.containment().tree(depth=50)
    assert down.count(".b   app.B") == 1
    assert down.count("app.A") == 2
    up = snapshot.referrers(a).tree(depth=50)
    assert up.count(".a of app.B") == 1
    json.dumps(snapshot.containment().to_dict(depth=50))


def test_retained_sizes_in_the_dominator_tree_add_up(snapshot):
    def check(branch):
        children = branch.children()
        own = branch.shallow_bytes
        assert branch.retained_bytes == own + sum(c.retained_bytes for c in children)
        sizes = [child.retained_bytes for child in children]
        assert sizes == sorted(sizes, reverse=True)
        for child in children:
            check(child)

    for branch in snapshot.dominators():
        check(branch)


def test_dominators_of_an_object_are_the_nodes_it_dominates(snapshot):
    (registry, *_) = snapshot.select("app.Registry").largest(1)
    tree = snapshot.dominators(registry)
    assert labels(tree) == ["._sessions   dict (2 items)"]
    assert rows(tree.children()[0].by_type()) == {"app.Session": (2, 100, 2100)}


def test_big_drops_are_the_objects_where_memory_accumulates(snapshot):
    drops = snapshot.dominators().big_drops(min_share=0.35)
    assert [(d.node.type_name, d.retained_bytes, d.largest_child_bytes) for d in drops] == [
        ("dict", 2200, 1050),
    ]
    assert "app.registry._sessions" in str(drops)
    everything = snapshot.dominators().big_drops(min_share=0.0001, ratio=1)
    assert {d.node.type_name for d in everything} >= {"bytearray", "str"}
    for wrong in (0, -1, 1.5):
        with pytest.raises(OptionError, match="above 0"):
            snapshot.dominators().big_drops(min_share=wrong)


def test_referrers_lead_up_to_the_root(snapshot):
    (buffer, *_) = snapshot.select("bytearray").largest(1)
    tree = snapshot.referrers(buffer)
    seen = []
    while branches := tree.children():
        (tree,) = branches
        seen.append(tree.label)
    assert seen == [
        ".buffer of app.Session",
        "['ada'] of dict (2 items)",
        "._sessions of app.Registry",
        ".registry of dict (1 items)",
        ".__dict__ of module app",
        "app",
    ]
    assert tree.node is None


def test_tree_states_how_many_branches_the_limit_leaves_out():
    p = Planter()
    for size in range(1, 31):
        p.root(p.node("app.T", size))
    tree = p.snapshot().dominators()
    assert [c.shallow_bytes for c in tree.children(3)] == [30, 29, 28]
    assert "... and 27 more" in tree.tree(1, 3)
    assert tree.to_dict(1, 3)["child_count"] == 30
    assert len(tree.to_dict(1, 3)["children"]) == 3
    assert "children" not in tree.to_dict(0)
    for call in (lambda: tree.children(0), lambda: tree.tree(-1), lambda: tree.tree(1, 0)):
        with pytest.raises(OptionError, match="at least"):
            call()


# -- all of them -----------------------------------------------------------------------------------


def with_everything():
    p = varied()
    a, b = p.node("str", 100), p.node("str", 100)
    sparse = p.node("dict", 5 << 20, length=3)
    p.module("more_" + "long" * 50, a=a, b=b, sparse=sparse)
    p.equal([a, b])
    return p.snapshot()


VIEWS = {
    "summary": lambda s: s.summary(),
    "by module": lambda s: s.summary("module"),
    "by size": lambda s: s.summary("size"),
    "by referrer": lambda s: s.summary("referrer"),
    "garbage": lambda s: s.garbage(),
    "statistics": lambda s: s.statistics(),
    "containment": lambda s: s.containment(include_garbage=True),
    "dominators": lambda s: s.dominators(),
    "by type": lambda s: s.dominators().by_type(),
    "big drops": lambda s: s.dominators().big_drops(),
    "referrers": lambda s: s.referrers(s.largest(1)[0]),
    "selection": lambda s: s.select("*"),
    "duplicates": lambda s: s.duplicates(),
    "sparse": lambda s: s.sparse_collections(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view_prints_at_most_100_columns_and_converts_to_json(name):
    view = VIEWS[name](with_everything())
    lines = str(view).splitlines()
    assert len(lines) >= 2
    assert all(len(line) <= 100 for line in lines)
    json.dumps(view.to_dict())


@pytest.mark.parametrize("name", VIEWS)
def test_view_of_a_loaded_file_equals_the_view_of_the_saved_snapshot(name, tmp_path):
    from memlens.heap.snapshot import HeapSnapshot

    snapshot = with_everything()
    snapshot.save(tmp_path / "x.memlens")
    loaded = HeapSnapshot.load(tmp_path / "x.memlens")
    assert str(VIEWS[name](loaded)) == str(VIEWS[name](snapshot))
    assert VIEWS[name](loaded).to_dict() == VIEWS[name](snapshot).to_dict()
