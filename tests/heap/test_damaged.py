"""Malformed files raise our errors only, whichever view reads them, and take no excessive memory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap
from array import array
from functools import cache

import pytest

import memlens
from memlens._core.layout import LABEL_BITS, EdgeKind
from memlens._rows import Rows
from memlens.errors import MemlensError, SnapshotFileError
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.node_set import NodeSet
from memlens.process.held_memory import held_memory
from tests.heap.damaged import mutate, stored, whole_heap, write_damaged

EXAMPLES = int(os.environ.get("MEMLENS_DAMAGED_FILES", "400"))


def nodes_of(snapshot):
    return list(snapshot.select("*"))[:12]


def every_node(snapshot):
    for node in nodes_of(snapshot):
        str(node), repr(node), node.location, node.value, node.bound, node.garbage
        node.allocated_at, node.shallow_bytes, node.address
        node.is_native, node.device, node.library
        node.retained_python_bytes, node.retained_native_bytes, node.retained_device_bytes
        for edge in snapshot.graph.edges(node.index):
            str(edge)
        snapshot.graph.targets(node.index), snapshot.graph.referrers(node.index)


def every_path(snapshot):
    for node in nodes_of(snapshot):
        for path in snapshot.retention_paths(node):
            str(path), path.tree(), json.dumps(path.to_dict())


def whole_tree(tree):
    str(tree), tree.tree(6, 20), json.dumps(tree.to_dict(6, 20)), tree.children()


def leaks_of(snapshot):
    """Look for leaks since two undamaged snapshots, in which the containers were shorter."""
    report = memlens.find_leaks([*shorter(), snapshot])
    str(report), json.dumps(report.to_dict())
    report = memlens.find_leaks([snapshot, *shorter()])
    str(report), json.dumps(report.to_dict())
    return report


@cache
def shorter():
    sections, facts = stored(whole_heap())
    found = []
    for share, timestamp in ((4, -20.0), (2, -10.0)):
        before = {name: (code, array(code, column)) for name, (code, column) in sections.items()}
        lengths = before["container_length"][1]
        lengths[:] = array(lengths.typecode, (length // share for length in lengths))
        for node in before["native_node"][1]:
            before["node_size"][1][node] //= share
        columns = {name: column for name, (_, column) in before.items()}
        found.append(HeapSnapshot(HeapGraph(columns, {**facts, "timestamp": timestamp})))
    return found


def native_memory(snapshot):
    graph = snapshot.graph
    [str(note) for note in graph.adapter_notes]
    for node in () if graph.native is None else graph.native.nodes:
        str(graph.kind_of(node)), str(Node(graph, node)), graph.has_owner(node)
    snapshot.native_by_device(), snapshot.native_bytes, snapshot.native_block_count
    return snapshot.device_bytes, str(held_memory(snapshot, snapshot.pid, 1 << 40, 1 << 40))


def stuck_in(snapshot):
    report = memlens.stuck_tasks(snapshot)
    str(report), json.dumps(report.to_dict())
    return report


VIEWS = {
    **{
        f"by {by}": lambda s, by=by: s.summary(by)
        for by in ("type", "module", "size", "referrer", "site", "device")
    },
    "with garbage": lambda s: s.summary(include_garbage=True),
    "garbage": lambda s: s.garbage(),
    "statistics": lambda s: s.statistics(),
    "containment": lambda s: whole_tree(s.containment(include_garbage=True)),
    "dominators": lambda s: whole_tree(s.dominators()),
    "below": lambda s: [whole_tree(s.dominators(node)) for node in nodes_of(s)],
    "by dominated type": lambda s: s.dominators().by_type(),
    "big drops": lambda s: s.dominators().big_drops(min_share=0.0001, ratio=1),
    "referrers": lambda s: [whole_tree(s.referrers(node)) for node in nodes_of(s)],
    "largest": lambda s: [str(node) for node in s.largest(5)],
    "largest of all": lambda s: [str(node) for node in s.largest(5, include_garbage=True)],
    "selection": lambda s: s.select("*", min_shallow_bytes=1, min_retained_bytes=1),
    "set": lambda s: (s.select("dict") | s.select("app.*")).by_type(),
    "native memory": native_memory,
    "duplicates": lambda s: s.duplicates(),
    "sparse": lambda s: s.sparse_collections(max_fill=1, min_wasted_bytes=1),
    "nodes": every_node,
    "paths": every_path,
    "lookup": lambda s: s.node_at("app.registry._sessions['ada']"),
    "find": lambda s: list(s.find(lambda node: bool(node.name))),
    "facts": lambda s: (s.timestamp, s.reason, s.pid, s.pause_seconds, s.total_bytes, repr(s)),
    "comparison": lambda s: s.compare(s),
    "verify": lambda s: s.verify(),
    "leaks": leaks_of,
    "stuck tasks": stuck_in,
    "what is saved": lambda s: s.graph.stored_sections(),
}


def look_at(value):
    """Print and export what a view returns."""
    if isinstance(value, (Rows, NodeSet)):
        str(value), repr(value), json.dumps(value.to_dict(20)), list(value)


def errors_of(path):
    """Yield the views that raise an error that is not ours, with the error."""
    for name, view in VIEWS.items():
        try:
            look_at(view(HeapSnapshot.load(path)))
        except MemlensError:
            pass
        except Exception as error:  # noqa: BLE001 - the test reports it
            yield name, error


@pytest.fixture(scope="module")
def parts():
    return stored(whole_heap())


def test_every_view_reads_the_undamaged_file(tmp_path, parts):
    write_damaged(tmp_path / "x", *parts)
    snapshot = HeapSnapshot.load(tmp_path / "x")
    for view in VIEWS.values():
        look_at(view(snapshot))
    report = leaks_of(snapshot)
    assert report  # a suspect, so that everything about one is asked for
    assert {one.device for one in report.native_growth} >= {"cpu", "cuda:0"}
    assert [note.is_complete for note in snapshot.graph.adapter_notes].count(False) == 2


def errors_of_damaged(path, parts, seeds, names=None):
    """Damage the file in ways that the seeds choose, and return what raised errors not of ours."""
    found = []
    for seed in seeds:
        sections, facts, what = mutate(*parts, random.Random(seed), names)
        write_damaged(path, sections, facts)
        found += [f"{seed} ({what}), {name}: {error!r}" for name, error in errors_of(path)]
    return "\n".join(found[:20])


NATIVE = ("native_node", "native_device", "native_library", "native_notes")
OF_NATIVE_NODES = ("node_flags", "node_address", "node_size", "node_type", "edge_label")


@pytest.mark.parametrize("part", range(4))
def test_damaged_native_columns_raise_only_our_errors(tmp_path, parts, part):
    names = (*NATIVE * 3, *OF_NATIVE_NODES)
    assert not errors_of_damaged(tmp_path / "x", parts, range(part, EXAMPLES // 2, 4), names)


@pytest.mark.parametrize("part", range(8))
def test_damaged_file_raises_only_our_errors(tmp_path, parts, part):
    assert not errors_of_damaged(tmp_path / "x", parts, range(part, EXAMPLES, 8))


def test_native_blocks_to_which_no_path_leads_are_read(tmp_path, parts):
    """Found by `scripts/fuzz_files.py`: the targets of the edges are those of another column."""
    sections = {name: (code, array(code, column)) for name, (code, column) in parts[0].items()}
    targets = [21, 21, 23, 25, 26] * 7 + [21]
    sections["edge_target"][1][:] = array(sections["edge_target"][0], targets)
    write_damaged(tmp_path / "x", sections, parts[1])
    assert not list(errors_of(tmp_path / "x"))


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, parts):
    sections = {name: (code, column[:]) for name, (code, column) in parts[0].items()}
    text = sections["string_bytes"][1]
    raw = text.tobytes()
    for name in (b"app.Session", b"registry", b"app.Registry", b"/app/work.py", b"work"):
        raw = raw.replace(name, b"\x1b[2J\x07"[: len(name)].ljust(len(name), b"x"))
    sections["string_bytes"] = "B", type(text)("B", raw)
    facts = {**parts[1], "reason": "\x1b[2Jevil\x07", "threads": {"7": "\x1bthread"}}
    write_damaged(tmp_path / "x", sections, facts)
    snapshot = HeapSnapshot.load(tmp_path / "x")
    shown = []
    for name, view in VIEWS.items():
        if name not in ("what is saved", "verify"):
            value = view(snapshot)
            shown += [str(value), repr(value)]
    for node in snapshot.select("*"):
        shown += [
            str(node),
            repr(node),
            str(snapshot.referrers(node)),
            str(snapshot.dominators(node)),
        ]
        for path in snapshot.retention_paths(node):
            shown += [str(path), path.tree()]
            if "__dict__" not in str(path):  # a lookup passes over namespaces
                assert snapshot.node_at(str(path)) is not None
    assert any("\\x1b[2J" in text for text in shown)
    for text in shown:
        assert text.replace("\n", "").isprintable(), text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("node_type", lambda column: column[:-1]),
        ("node_type", lambda column: [*column[:-1], 4000]),
        ("edge_target", lambda column: [*column[:-1], 4000]),
        ("edge_offset", lambda column: [0, *column[1:-1][::-1], column[-1]]),
        ("node_dominator", lambda column: [column[0], 2, 1, *column[3:]]),
        ("root_kind", lambda column: [*column[:-1], 0]),
        ("root_frame", lambda column: [*column[:-1], 77]),
        ("container_node", lambda column: column[::-1]),
        ("string_offset", lambda column: column[::-1]),
        ("site_stack", lambda column: [*column[:-1], 9]),
        ("site_weight", lambda column: [float("nan"), *column[1:]]),
        ("node_largest", lambda column: [*column[:-1], 4000]),
    ],
)
def test_verify_names_what_is_inconsistent(tmp_path, parts, name, values):
    sections, facts = dict(parts[0]), parts[1]
    code, column = sections[name]
    sections[name] = code, type(column)(code, values(column.tolist()))
    write_damaged(tmp_path / "x", sections, facts)
    with pytest.raises(SnapshotFileError, match=r"inconsistent|has \d+ items"):
        HeapSnapshot.load(tmp_path / "x").verify()


@pytest.mark.parametrize("name", ["pid", "timestamp", "reason", "pause_seconds"])
def test_file_without_a_fact_or_with_a_wrong_one_is_refused_at_once(tmp_path, parts, name):
    for wrong in (None, [], {}, True, float("nan")):
        write_damaged(tmp_path / "x", parts[0], {**parts[1], name: wrong})
        with pytest.raises(SnapshotFileError, match=f"the fact '{name}' is"):
            HeapSnapshot.load(tmp_path / "x")
    write_damaged(tmp_path / "x", parts[0], {k: v for k, v in parts[1].items() if k != name})
    with pytest.raises(SnapshotFileError, match=f"the fact '{name}' is missing"):
        HeapSnapshot.load(tmp_path / "x")


BOUNDED = """
import resource, sys
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.node import Node
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.node_set import NodeSet
import tests.heap.test_damaged as views
usage = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = usage()
for name, view in views.VIEWS.items():
    try:
        views.look_at(view(HeapSnapshot.load(sys.argv[1])))
    except views.MemlensError as error:
        pass
print(usage() - before)
"""


def with_types_of_one_long_name(parts):
    """Return a heap of 60,000 types, all with the same name of 500 KB."""
    sections = {name: (code, column[:]) for name, (code, column) in parts[0].items()}
    text, offsets = sections["string_bytes"][1], sections["string_offset"][1]
    text.frombytes(b"x" * 500_000)
    offsets.append(len(text))
    number = len(offsets) - 2
    for name, value in (("type_name", number), ("type_node", 0xFFFF_FFFF)):
        sections[name][1].extend([value] * 60_000)
    return sections, parts[1]


def with_edges_of_one_long_name(parts):
    """Return a chain of 20,000 objects whose references all have the same name of 500 KB."""
    sections = {name: (code, column[:]) for name, (code, column) in parts[0].items()}
    text, offsets = sections["string_bytes"][1], sections["string_offset"][1]
    text.frombytes(b"y" * 500_000)
    offsets.append(len(text))
    label = (len(offsets) - 2) << LABEL_BITS | EdgeKind.ATTRIBUTE
    first = len(sections["node_type"][1])
    count = 20_000
    for name in ("node_address", "node_type", "node_size", "node_flags"):
        column = sections[name][1]
        column.extend([column[5]] * count)
    sections["node_size"][1][first:] = type(text)("Q", range(100, 100 + count))
    targets, labels, rows = (sections[f"edge_{n}"][1] for n in ("target", "label", "offset"))
    for row in range(1, len(rows)):
        rows[row] += 1
    targets.insert(rows[1] - 1, first)  # the chain starts at a root
    labels.insert(rows[1] - 1, EdgeKind.INTERNAL)
    for name, value in (("kind", 1), ("name", 0), ("count", 0), ("frame", 0xFFFF_FFFF)):
        sections[f"root_{name}"][1].append(value)
    for node in range(first, first + count):
        if node + 1 < first + count:
            targets.append(node + 1)
            labels.append(label)
        rows.append(len(targets))
    for name in ("node_dominator", "node_retained", "node_largest"):
        del sections[name]
    return sections, parts[1]


@pytest.mark.parametrize("grow", [with_types_of_one_long_name, with_edges_of_one_long_name])
def test_small_file_does_not_take_excessive_memory(tmp_path, parts, grow):
    path = tmp_path / "x"
    write_damaged(path, *grow(parts))
    assert path.stat().st_size < 3 << 20
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BOUNDED), str(path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300, "MiB"
