"""What is in an exported ``.heapsnapshot``: read by rules of DevTools, not by memlens."""

from __future__ import annotations

import json
from array import array

import pytest

import memlens
from memlens._core.layout import EdgeKind, NodeFlag, RootKind
from memlens.errors import ComparisonError, OptionError
from memlens.heap.graph import checked_core
from memlens.heap.graph.allocation_sites import site_sections
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from tests.heap.planted import Planter
from tests.heap.sampled import OBJECT, tables

from .heapsnapshot_file import HeapSnapshotFile

GIB = 1 << 30


@pytest.fixture
def exported(tmp_path):
    def export(snapshot, **options):
        path = tmp_path / "heap.heapsnapshot"
        size = memlens.export(snapshot, path, **options)
        assert path.stat().st_size == size
        return HeapSnapshotFile(path)

    return export


def shop():
    """A module that holds a registry of sessions; a thread with a local; a native block."""
    plant = Planter()
    sessions = [plant.node("app.Session", 100, key=n) for n in range(3)]
    registry = plant.node("dict", 300, key="registry", length=3)
    for n, session in enumerate(sessions):
        plant.edge(registry, session, EdgeKind.KEY, f"'s{n}'")
    plant.module("app", registry=registry)
    handler = plant.node("function", 150, key="handler")
    plant.names[handler] = (plant.text("app.handler"), plant.text("/app/app.py"), 7)
    code = plant.node("code", 400, key="code")
    plant.names[code] = (plant.text("app.handler"), plant.text("/app/app.py"), 7)
    plant.edge(handler, code, EdgeKind.INTERNAL, "__code__")
    frame = plant.node("frame", 90, key="frame")
    plant.edge(frame, handler, EdgeKind.LOCAL, "handler")
    plant.root(frame, RootKind.FRAME, "handle", frame=(7, "handle", "/srv/app.py", 42))
    plant.native(5000, sessions[0], device="cuda:0", key="block")
    return plant


def test_objects_are_classed_by_the_qualified_names_of_their_types(exported):
    file = exported(shop().snapshot())
    found = [(node.type, node.name) for node in file.nodes]
    assert found.count(("object", "app.Session")) == 3
    assert ("closure", "app.handler") in found
    assert ("code", "app.handler") in found
    assert ("native", "torch memory on cuda:0") in found
    assert ("object", "module") in found


def test_edges_have_our_names(exported):
    file = exported(shop().snapshot())
    names = {(edge.type, edge.name) for edge in file.edges}
    assert {("property", "'s0'"), ("context", "handler"), ("internal", "buffer")} <= names
    assert {("property", "registry"), ("internal", "__dict__")} <= names


def test_containment_begins_at_named_roots(exported):
    file = exported(shop().snapshot())
    top = file.named("(GC roots)")
    assert [edge[1:] for edge in file.edges_of(0)] == [("element", 1, top)]
    groups = {file.nodes[edge.target].name: edge.target for edge in file.edges_of(top)}
    assert list(groups) == ["(modules)", "(thread MainThread)"]
    assert [edge[1:3] for edge in file.edges_of(groups["(modules)"])] == [("property", "app")]
    (frame,) = file.edges_of(groups["(thread MainThread)"])
    assert frame.name == "handle (app.py:42)"


def test_roots_of_one_name_are_told_apart(exported):
    plant = Planter()
    for n in range(3):
        plant.root(plant.node("dict", 10, key=n), RootKind.INTERPRETER, "codecs")
    file = exported(plant.snapshot())
    edges = file.edges_of(file.named("(interpreter)"))
    assert [edge.name for edge in edges] == ["codecs", "codecs (2)", "codecs (3)"]


def test_retained_sizes_are_ours(exported):
    snapshot = shop().snapshot()
    file = exported(snapshot)
    for node in range(1, snapshot.graph.node_count):
        assert file.retained[node] == snapshot.graph.retained_bytes(node)
    assert file.retained[0] == snapshot.total_bytes


def test_garbage_has_a_place_of_its_own_and_keeps_nothing_alive(exported):
    plant = shop()
    lost, other = plant.node("list", 70, key="lost"), plant.node("list", 30, key="other")
    plant.edge(lost, other, EdgeKind.INDEX, position=0)
    plant.edge(other, lost, EdgeKind.INDEX, position=0)
    plant.edge(lost, 1, EdgeKind.INDEX, position=1)  # a session, which the registry holds
    snapshot = plant.snapshot()
    file = exported(snapshot)
    assert [file.retained[node] for node in (lost, other)] == [70, 30]
    assert file.retained[file.named("(garbage: what the next full collection frees)")] == 100
    assert [(edge.type, edge.name) for edge in file.edges_of(lost)] == [
        ("element", 0),
        ("weak", "item"),
    ]
    assert file.retained[1] == snapshot.graph.retained_bytes(1)
    assert file.dominators[1] == file.dominators[2]


def test_sizes_beyond_32_bits_are_split(exported):
    plant = Planter()
    array_node = plant.node("numpy.ndarray", 100, key="array")
    block = plant.native(13 * GIB + 5, array_node, library="numpy", device="cpu", key="block")
    plant.root(array_node, name="app")
    file = exported(plant.snapshot())
    assert file.retained[block] == 13 * GIB + 5
    assert file.retained[array_node] == 13 * GIB + 105
    assert [edge.name for edge in file.edges_of(block)] == ["part 2", "part 3", "part 4"]


# -- strings ---------------------------------------------------------------------------------------


def strings_of(file):
    return [node.name for node in file.nodes if node.type == "string"]


def test_strings_without_a_known_text_do_not_look_like_duplicates(exported):
    plant = Planter()
    texts = [plant.node("str", 60, key=n) for n in range(5)]
    for text in texts:
        plant.root(text, RootKind.INTERNED)
    plant.equal(texts[1:3])
    snapshot = plant.snapshot()
    names = strings_of(exported(snapshot))
    assert names[1] == names[2] == "str, equal contents 0"
    assert len({*names}) == 4
    assert names[0] == f"str at {snapshot.graph.node_address[texts[0]]:#x}"


def test_strings_are_named_by_their_texts(exported):
    plant = Planter()
    long = "x" * 300
    for n, text in enumerate(["\n\"'", "same", "same", long, long, "\N{SNOWMAN}", "???"]):
        node = plant.node("str", 60, key=n)
        plant.root(node, RootKind.INTERNED)
        plant.value(node, text)
    plant.equal([2, 3])
    sections = plant.sections()
    surrogate = sections["string_bytes"].tobytes().replace(b"???", b"\xed\xa0\x80")
    sections["string_bytes"] = array("B", surrogate)
    names = strings_of(exported(HeapSnapshot(HeapGraph(sections, plant.graph().facts))))
    assert names[:3] == ["\n\"'", "same", "same"]
    assert names[3] != names[4]  # only the beginning is known
    assert names[3].startswith(long)
    assert names[5:] == ["\N{SNOWMAN}", "\ud800"]


# -- ids -------------------------------------------------------------------------------------------


def growing(*numbers):
    """A heap with an object for each number."""
    plant = Planter()
    for number in numbers:
        plant.root(plant.node("app.Session", 100, key=number), RootKind.EXTERNAL)
    return plant.snapshot()


def ids_of(file):
    return [node.id for node in file.nodes if node.type == "object"]


def test_files_that_are_written_one_by_one_agree_on_ids(exported):
    before, after = ids_of(exported(growing(1, 2, 3))), ids_of(exported(growing(3, 4, 1)))
    assert [after[0], after[2]] == [before[2], before[0]]
    assert after[1] not in before
    assert all(number % 2 for number in before + after)


def test_ids_of_later_objects_are_greater(exported):
    first, second, third = growing(1, 2), growing(2, 3, 4), growing(4, 1, 5, 3)
    ids = [
        ids_of(exported(snapshot, before=before))
        for snapshot, before in ((first, ()), (second, [first]), (third, [first, second]))
    ]
    one, two = ids[0]
    assert ids[1][0] == two
    three, four = ids[1][1:]
    assert max(one, two) < three < four
    assert ids[2][0] == four
    assert ids[2][3] == three
    again, five = ids[2][1:3]
    assert four < again < five  # object 1 was gone in between: this is another one


def test_an_object_of_another_type_at_the_same_address_is_another_object(exported):
    def at(kind):
        plant = Planter()
        node = plant.node(kind, 100, key="place")
        plant.root(node, RootKind.EXTERNAL)
        return plant.snapshot()

    assert ids_of(exported(at("dict"))) != ids_of(exported(at("list")))


def test_snapshots_of_another_process_are_refused(exported):
    other = growing(1)
    other.facts["pid"] = 2
    with pytest.raises(ComparisonError, match="different processes"):
        exported(growing(1), before=[other])


# -- facts -----------------------------------------------------------------------------------------


def test_resident_memory_that_no_object_stands_for_is_native(exported):
    plant = shop()
    snapshot = plant.snapshot(memory={"rss_bytes": 1_000_000})
    file = exported(snapshot)
    host = snapshot.total_bytes - 5000  # the block is memory of a device
    assert file.header["extra_native_bytes"] == 1_000_000 - host
    assert exported(plant.snapshot()).header["extra_native_bytes"] == 0
    small = plant.snapshot(memory={"rss_bytes": 10})
    assert exported(small).header["extra_native_bytes"] == 0


def sampled_snapshot():
    plant = Planter()
    nodes = [plant.node("app.Session", 100, key=1000 * n) for n in range(3)]
    for node in nodes:
        plant.root(node, RootKind.EXTERNAL)
    graph = plant.graph()
    paths = (
        [("make", "/app/a.py", 3), ("main", "/app/a.py", 9)],
        [("make", "/app/a.py", 3), ("other", "/app/b.py", 1)],
    )
    samples = [
        (graph.node_address[node], 100, 0.5, OBJECT, path)
        for node, path in zip(nodes, paths, strict=False)
    ]
    return HeapSnapshot(
        HeapGraph({**plant.sections(), **site_sections(tables(samples))}, graph.facts)
    )


def test_sampled_objects_have_allocation_stacks(exported):
    file = exported(sampled_snapshot())
    fields = file.header["meta"]["trace_function_info_fields"]
    infos = file.json["trace_function_infos"]
    functions = [infos[at : at + len(fields)] for at in range(0, len(infos), len(fields))]
    assert len(functions) == file.header["trace_function_count"] == 4
    assert [function[0] for function in functions] == [0, 1, 2, 3]
    names = [
        (file.strings[name], file.strings[script], line)
        for _, name, script, _, line, _ in functions
    ]
    assert names[0] == ("(root)", "", 0)
    stacks = dict(walk_tree(file.json["trace_tree"], names))
    objects = [node for node in file.nodes if node.type == "object"]
    assert [stacks.get(node.trace_node_id) for node in objects] == [
        (2, 200, [("main", "/app/a.py", 9), ("make", "/app/a.py", 3)]),
        (2, 200, [("other", "/app/b.py", 1), ("make", "/app/a.py", 3)]),
        None,
    ]


def walk_tree(tree, names, path=()):
    for at in range(0, len(tree), 5):
        number, function, count, size, children = tree[at : at + 5]
        here = [*path, *([names[function]] if function else [])]
        yield number, (count, size, here)
        yield from walk_tree(children, names, here)


def test_a_heap_without_samples_has_no_stacks(exported):
    file = exported(shop().snapshot())
    assert file.header["trace_function_count"] == 0
    assert file.json["trace_function_infos"] == file.json["trace_tree"] == []


# -- many nodes ------------------------------------------------------------------------------------


def forest(trees, leaves):
    """Some lists of many small objects, and one small object that two lists hold."""
    plant = Planter()
    shared = plant.node("app.Shared", 1000, key="shared")
    for tree in range(trees):
        top = plant.node("list", 200, key=("top", tree))
        plant.root(top, RootKind.EXTERNAL)
        for leaf in range(leaves):
            node = plant.node("app.Leaf", 10, key=(tree, leaf))
            plant.edge(top, node, EdgeKind.INDEX, position=leaf)
            plant.edge(node, shared, EdgeKind.ATTRIBUTE, "shared")
    return plant


def test_small_objects_are_summed_up_below_their_dominators(exported):
    snapshot = forest(trees=5, leaves=100).snapshot()
    file = exported(snapshot, max_nodes=100)
    assert len([node for node in file.nodes if node.type != "synthetic"]) <= 100
    tops = [n for n, node in enumerate(file.nodes) if node.name == "list"]
    assert [file.retained[top] for top in tops] == [1200] * 5
    assert [file.nodes[top].self_size for top in tops] == [200] * 5
    shared = file.named("app.Shared")
    assert file.retained[shared] == 1000
    assert file.retained[0] == snapshot.total_bytes
    through = {(edge.source, edge.name) for edge in file.edges if edge.target == shared}
    assert through == {(top, "through smaller objects") for top in tops}
    rests = [node for node in file.nodes if node.name == "(smaller objects)"]
    assert [node.self_size for node in rests] == [1000] * 5
    assert {node.id - 1 for node in rests} == {file.nodes[top].id for top in tops}


def test_what_only_small_objects_of_several_roots_hold_hangs_from_a_group(exported):
    plant = Planter()
    shared = plant.node("app.Shared", 1000, key="shared")
    for number in range(150):
        node = plant.node("app.Leaf", 10, key=number)
        plant.root(node, RootKind.EXTERNAL)
        plant.edge(node, shared, EdgeKind.ATTRIBUTE, "shared")
    snapshot = plant.snapshot()
    file = exported(snapshot, max_nodes=100)
    group = file.named("(held by smaller objects)")
    assert {edge.source for edge in file.edges if edge.target == file.named("app.Shared")} == {
        group
    }
    assert file.nodes[file.named("(smaller objects)")].self_size == 1500
    assert file.retained[file.named("app.Shared")] == 1000
    assert file.retained[0] == snapshot.total_bytes


def test_a_heap_within_the_limit_is_complete(exported):
    plant = forest(trees=2, leaves=49)
    assert len(plant.nodes) == 102
    assert "(smaller objects)" in {
        node.name for node in exported(plant.snapshot(), max_nodes=101).nodes
    }
    names = {node.name for node in exported(plant.snapshot(), max_nodes=102).nodes}
    assert "(smaller objects)" not in names


# -- refusals --------------------------------------------------------------------------------------


def test_wrong_options_are_refused(tmp_path):
    snapshot = growing(1)
    path = tmp_path / "x.heapsnapshot"
    for options, complaint in (
        ({"max_nodes": 99}, "max_nodes is 99: it must be at least 100"),
        ({"before": snapshot}, r"before must be several snapshots: \[snapshot\]"),
        ({"before": [1]}, "before must be HeapSnapshots, not a int"),
    ):
        with pytest.raises(OptionError, match=complaint):
            memlens.export(snapshot, path, **options)
    with pytest.raises(OptionError, match=r"max_nodes: only for a HeapSnapshot as \.heapsnapshot"):
        memlens.export(snapshot, tmp_path / "x.memlens", max_nodes=1000)
    assert not path.exists()


def test_the_header_says_whose_heap_it_is(exported):
    header = exported(growing(1)).header
    facts = {"pid": 1, "timestamp": 0.0, "process": "p", "language": "Python"}
    assert header["memlens"] == facts
    json.dumps(header)


def test_a_live_heap(tmp_path):
    kept = {"flag": NodeFlag, "numbers": array("d", [1.0] * 1000)}
    snapshot = memlens.take_heap_snapshot()
    path = tmp_path / "live.heapsnapshot"
    memlens.export(snapshot, path)
    file = HeapSnapshotFile(path)
    assert len(kept) == 2
    assert file.retained[0] == snapshot.total_bytes
    # Other tools count the objects of memlens as those of the program.
    graph = snapshot.graph
    edges = graph.edge_offset, graph.edge_target, graph.edge_label
    _, retained = checked_core.dominator_tree(*edges, graph.node_size)
    for node in snapshot.largest(300):
        assert file.retained[node.index] == retained[node.index] >= node.retained_bytes
