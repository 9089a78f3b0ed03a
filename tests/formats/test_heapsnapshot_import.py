"""``.heapsnapshot`` files as heap snapshots of memlens."""

from __future__ import annotations

import io
import json
import math
import os
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memlens
from memlens.cli.main import main
from memlens.errors import MemlensError, OptionError, SnapshotFileError
from memlens.formats.heapsnapshot import json_stream
from memlens.formats.heapsnapshot.json_stream import JsonStream
from memlens.heap.snapshot import HeapSnapshot

from .random_heaps import heaps
from .v8_file import NODE_FIELDS, V8File, shop


@pytest.fixture
def load(tmp_path):
    def load(file, name="heap.heapsnapshot", **format_options):
        return memlens.load(file.write(tmp_path / name, **format_options))

    return load


def test_classes_are_those_of_devtools(load):
    snapshot = load(shop())
    assert isinstance(snapshot, HeapSnapshot)
    found = {row.name: (row.count, row.shallow_bytes) for row in snapshot.summary()}
    assert found == {
        "Window / https://shop": (1, 100),
        "Map": (1, 50),
        "Session": (2, 400),
        "(string)": (2, 60),
        "Function": (1, 64),
        "(synthetic)": (1, 0),
    }


def test_paths_begin_at_global_objects(load):
    snapshot = load(shop())
    session = snapshot.select("Session").largest(1)[0]
    assert str(snapshot.path_to(session)) == "Window / https://shop.registry[0]"
    assert session.address == 9
    assert session.retained_bytes == 230


def test_names_and_texts(load):
    snapshot = load(shop())
    (handler,) = snapshot.select("Function").largest(1)
    assert handler.name == "onClick"
    assert {node.value for node in snapshot.select("(string)").largest(2)} == {"same text"}
    (row,) = snapshot.duplicates()
    assert (row.count, row.value) == (2, "same text")


def test_what_is_true_of_python_only_is_not_said(load):
    snapshot = load(shop())
    assert snapshot.facts["language"] == "JavaScript"
    with pytest.raises(OptionError, match="a heap of JavaScript does not record the modules"):
        snapshot.summary("module")
    assert [row.name for row in snapshot.summary("device")] == ["JavaScript heap"]
    kinds = {row.kind: row.count for row in snapshot.statistics()}
    assert kinds["instances"] == 3
    assert kinds["containers"] == kinds["functions and code"] == kinds["built-in objects"] == 1


def test_weak_references_and_shortcuts_keep_nothing_alive(load):
    file = shop()
    held = file.node("object", "Held", 7)
    file.edge(2, held, "property", "held")
    file.edge(1, held, "weak", "1")
    file.edge(1, held, "shortcut", "bound")
    (node,) = load(file).select("Held").largest(1)
    assert node.graph.type_of(node.graph.dominators.dominator[node.index]).startswith("Window")


def test_what_only_weak_references_reach_is_a_root(load):
    file = shop()
    weak = file.node("object", "OnlyWeak", 5)
    below = file.node("object", "Below", 6)
    file.edge(weak, below)
    file.edge(2, weak, "weak", "1")
    one, other = file.node("object", "Island", 1), file.node("object", "Island", 2)
    file.edge(one, other)
    file.edge(other, one)
    snapshot = load(file)
    (node,) = snapshot.select("OnlyWeak").largest(1)
    assert node.retained_bytes == 11
    assert not snapshot.select("Island")
    assert {row.name for row in snapshot.garbage()} == {"Island"}


def test_class_names_are_cut_as_devtools_cuts_them(load):
    file = V8File()
    for name in ("<div class=a>", "Detached <div id=b>", "<div>", "plain name"):
        file.edge(0, file.node("native", name), "element", 1)
    names = sorted(row.name for row in load(file).summary())
    assert names == ["<div>", "Detached <div>", "plain name"]


def test_fields_are_found_by_their_names(tmp_path):
    plain = memlens.load(shop().write(tmp_path / "plain.heapsnapshot"))
    other = shop()
    other.node_fields = ("new", "edge_count", "self_size", "type", "id", "name")
    other.edge_fields = ("to_node", "type", "new", "name_or_index")
    mixed = memlens.load(other.write(tmp_path / "mixed.heapsnapshot"))
    assert mixed.summary().to_dict()["rows"] == plain.summary().to_dict()["rows"]
    assert [*mixed.graph.edge_target] == [*plain.graph.edge_target]


@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"separators": (",", ":")}])
@pytest.mark.parametrize("chunk_bytes", [1, 2, 7, 64, 1 << 20])
def test_a_file_is_read_in_chunks_of_any_size(tmp_path, monkeypatch, options, chunk_bytes):
    file = shop()
    file.more = {"other": {"a]}": ['"\\', {"b": [1.5, None]}]}, "scalar": -1e3}
    file.edge(2, file.node("string", 'quo"te \\ \N{SNOWMAN} \ud800 \n'), "property", "odd]")
    path = file.write(tmp_path / "x.heapsnapshot", **options)
    monkeypatch.setattr(json_stream, "_CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(json_stream, "_MAX_NUMBER_BYTES", 32)
    snapshot = memlens.load(path)
    assert snapshot.object_count == 9
    values = {node.value for node in snapshot.select("(string)").largest(5)}
    assert values == {"same text", 'quo"te \\ \N{SNOWMAN} \ud800 \n'}


def test_the_commands_work_on_a_file(tmp_path, capsys):
    path = str(shop().write(tmp_path / "x.heapsnapshot"))
    for command in (
        ["summary", path], ["dominators", path], ["report", path], ["duplicates", path],
        ["paths", "--largest", path], ["stuck", path], ["diff", path, path],
    ):  # fmt: skip
        assert main(command) == 0, command
        assert capsys.readouterr().out


def test_two_files_of_a_process_are_compared_by_ids(tmp_path):
    before, after = shop(), shop()
    after.edge(3, after.node("object", "Session", 200), "element", 2)
    first = memlens.load(before.write(tmp_path / "Heap.20240101.120000.77.0.001.heapsnapshot"))
    second = memlens.load(after.write(tmp_path / "Heap.20240101.120100.77.0.002.heapsnapshot"))
    assert first.pid == second.pid == 77
    (change,) = first.compare(second).growing()
    assert (change.type_name, change.new_count, change.deleted_count) == ("Session", 1, 0)


def test_the_advice_on_a_leak_is_not_about_python(tmp_path):
    snapshots = []
    for step in range(4):
        file = shop()
        for number in range(2000 * step):
            file.edge(3, file.node("object", "Session", 200), "element", 10 + number)
        snapshots.append(memlens.load(file.write(tmp_path / f"{step}.heapsnapshot")))
        snapshots[-1].facts["timestamp"] = 60.0 * step
    report = memlens.find_leaks(snapshots)
    (suspect,) = report.suspects
    assert "Window / https://shop.registry" in str(report)
    assert suspect.pattern is None
    assert "weakref" not in str(report)
    assert "deque" not in str(report)


# -- what memlens exported -------------------------------------------------------------------------


@given(heaps())
@settings(max_examples=60)
def test_an_exported_heap_comes_back(tmp_path_factory, snapshot):
    path = tmp_path_factory.mktemp("back") / "x.heapsnapshot"
    memlens.export(snapshot, path)
    back = memlens.load(path)
    graph = snapshot.graph
    assert back.pid == 1
    assert back.facts["language"] == "Python"
    for node in range(1, graph.node_count):
        assert back.graph.retained_bytes(node) == graph.retained_bytes(node)
    assert back.total_bytes == snapshot.total_bytes
    assert back.graph.retained_bytes(0) == snapshot.total_bytes
    memlens.export(back, path)
    assert memlens.load(path).total_bytes == snapshot.total_bytes


def test_a_saved_file_of_memlens_keeps_what_was_read(tmp_path):
    snapshot = memlens.load(shop().write(tmp_path / "x.heapsnapshot"))
    snapshot.save(tmp_path / "x.memlens")
    again = memlens.load(tmp_path / "x.memlens")
    again.verify()
    assert again.graph.language == "JavaScript"
    assert str(again.summary()) == str(snapshot.summary())


# -- damaged files ---------------------------------------------------------------------------------


def changed(**changes):
    parts = shop().parts()
    for name, change in changes.items():
        parts[name] = change(parts[name])
    return json.dumps(parts)


def with_header(**values):
    return lambda header: header | values


def with_meta(**values):
    return lambda header: header | {"meta": header["meta"] | values}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (changed(nodes=lambda n: n[:-1]), "'nodes' ends within a row"),
        (changed(nodes=lambda n: [*n[:-7], -1, *n[-6:]]), "has something else in it"),
        (changed(nodes=lambda n: [*n[:-7], 1.5, *n[-6:]]), "has something else in it"),
        (changed(nodes=lambda n: [*n[:-7], "1", *n[-6:]]), "has something else in it"),
        (changed(nodes=lambda n: [*n[:-7], 99, *n[-6:]]), "a node has an unknown type"),
        (changed(nodes=lambda n: [*n[:-6], 99, *n[-5:]]), "a node has a name that is not there"),
        (changed(nodes=lambda n: [*n[:-3], 99, *n[-2:]]), "the edges of its nodes are not those"),
        (changed(nodes=lambda n: [*n[:-6], 1 << 40, *n[-5:]]), "a number that is too large"),
        (changed(nodes=lambda n: [*n[:-4], (1 << 63) + 1, *n[-3:]]), "its sizes are too large"),
        (changed(edges=lambda e: [*e[:-1], e[-1] + 1]), "an edge leads into the middle of a node"),
        (changed(edges=lambda e: [*e[:-1], 7000]), "an edge leads to a node that is not there"),
        (changed(edges=lambda e: [*e[:-3], 9, *e[-2:]]), "an edge has an unknown type"),
        (changed(edges=lambda e: [*e[:-2], 99, e[-1]]), "an edge has a name that is not there"),
        (changed(edges=lambda e: e[:-3]), "edge_count is"),
        (changed(snapshot=with_header(node_count=3)), "node_count is 3, but"),
        (changed(snapshot=with_header(root_index=7)), "its root is not its first node"),
        (changed(snapshot=with_header(meta=1)), "its header has no 'meta'"),
        (changed(snapshot=lambda _: 1), "its header has no 'meta'"),
        (changed(snapshot=with_meta(node_fields=["type"])), "its node_fields lack 'name'"),
        (changed(snapshot=with_meta(node_fields=5)), "no list of texts 'node_fields'"),
        (changed(snapshot=with_meta(edge_types=[])), "no types in 'edge_types'"),
        (changed(strings=lambda _: 5), "it is not valid JSON"),
        (changed(strings=lambda _: []), "a node has a name that is not there"),
        ('{"snapshot":{"meta":', "truncated"),
        ('{"snapshot": {}}', "its header has no 'meta'"),
        (changed() [:-1] + ",", "truncated"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused(tmp_path, text, complaint):
    path = tmp_path / "x.heapsnapshot"
    path.write_text(text)
    with pytest.raises(SnapshotFileError, match=complaint) as caught:
        memlens.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "facts", [{"pid": -5}, {"timestamp": math.nan}, {"timestamp": 1e300}, {"language": 3}]
)
def test_facts_that_no_snapshot_could_have_are_refused(tmp_path, facts):
    file = shop().parts()
    file["snapshot"]["memlens"] = facts
    path = tmp_path / "x.heapsnapshot"
    path.write_text(json.dumps(file))
    with pytest.raises(SnapshotFileError, match=r"x\.heapsnapshot: the fact"):
        memlens.load(path)


def test_a_heap_of_v8_stays_one_when_it_is_written_and_read_again(load, tmp_path):
    snapshot = load(shop())
    memlens.export(snapshot, tmp_path / "again.heapsnapshot")
    assert memlens.load(tmp_path / "again.heapsnapshot").facts["language"] == "JavaScript"


@pytest.mark.parametrize("damage", ['"a" "b"', '"a",null', '"a",,"b"', '"a"}'])
def test_damaged_strings_are_refused_where_the_damage_is(damage):
    """Not at the end of the file: all of it would be read into memory before."""
    text = io.BytesIO(b'{"strings":[' + damage.encode() + b',"c"' * 2_000_000)
    stream = JsonStream(text, "x")
    with pytest.raises(SnapshotFileError, match="not valid JSON"):
        for _ in stream.members():
            stream.strings(lambda _: None)
    assert text.tell() < 4_000_000


def test_escapes_take_no_memory_of_their_own():
    text = b'{"strings":["' + b"\\n" * 1_000_000 + b'"]}'
    stream, found = JsonStream(io.BytesIO(text), "x"), []
    tracemalloc.start()
    try:
        for _ in stream.members():
            stream.strings(found.append)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [b"\n" * 1_000_000]
    assert peak < 20_000_000


@given(st.data())
@settings(max_examples=300)
def test_any_damage_is_our_error_or_harmless(tmp_path_factory, data):
    text = bytearray(json.dumps(shop().parts(), separators=(",", ":")).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / "damaged.heapsnapshot"
    path.write_bytes(text)
    try:
        snapshot = memlens.load(path)
    except MemlensError:
        return
    if isinstance(snapshot, HeapSnapshot):
        str(snapshot.summary())
        snapshot.dominators().tree()
        for node in snapshot.largest(5):
            snapshot.retention_paths(node)


@given(st.integers(0, 10_000))
def test_truncated_files_are_refused(tmp_path_factory, end):
    text = json.dumps(shop().parts()).encode()
    path = tmp_path_factory.getbasetemp() / "truncated.heapsnapshot"
    path.write_bytes(text[: end % (len(text) - 1)])
    with pytest.raises(SnapshotFileError):
        memlens.load(path)


def test_a_file_that_cannot_be_read(tmp_path):
    from memlens.formats.heapsnapshot.reader import read_heapsnapshot

    with pytest.raises(SnapshotFileError, match="cannot read"):
        read_heapsnapshot(str(tmp_path / "missing"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SnapshotFileError, match="not a regular file"):
        read_heapsnapshot(str(tmp_path / "pipe"))


def test_a_compact_file_of_five_fields(load):
    file = shop()
    file.node_fields = NODE_FIELDS[:5]
    assert load(file).object_count == 8
