"""Duplicates and sparse collections, in planted heaps and in real programs."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memlens
from memlens._core.layout import NodeFlag
from memlens.errors import OptionError
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.sparse_collections import _measure_dict, _measure_list, _measure_set
from tests.heap.planted import Planter

# -- duplicates ------------------------------------------------------------------------------------


def with_duplicates(**values):
    p = Planter()
    sizes = [100, 100, 140, 60, 60]
    nodes = [p.node("str", size) for size in sizes]
    lost = p.node("str", 100, flags=NodeFlag.GARBAGE)
    p.module("app", **{f"text{number}": node for number, node in enumerate(nodes)})
    p.equal([*nodes[:3], lost])
    p.equal(nodes[3:])
    for node, text in values.items():
        p.value(int(node[1:]), text)
    return p.snapshot()


def test_all_but_the_largest_of_equal_strings_are_waste():
    duplicates = with_duplicates().duplicates()
    assert [(d.count, d.total_bytes, d.wasted_bytes) for d in duplicates] == [
        (3, 340, 200),
        (2, 120, 60),
    ]
    assert duplicates.wasted_bytes == 260
    assert "app.text0" in str(duplicates)


def test_garbage_is_among_duplicates_on_request():
    assert with_duplicates().duplicates(include_garbage=True)[0].count == 4


def test_min_wasted_bytes_leaves_out_small_groups():
    assert len(with_duplicates().duplicates(min_wasted_bytes=100)) == 1
    with pytest.raises(OptionError, match="min_wasted_bytes"):
        with_duplicates().duplicates(min_wasted_bytes=-1)


def test_duplicates_show_the_text_if_values_were_stored():
    duplicates = with_duplicates(n1="hello\nworld").duplicates()
    assert duplicates[0].value == "hello\nworld"
    assert r"'hello\nworld'" in str(duplicates)


def without(snapshot, *names):
    sections = {n: s for n, s in snapshot.graph.sections.items() if n not in names}
    return HeapSnapshot(HeapGraph(sections, snapshot.facts))


def test_duplicates_are_found_by_stored_values_without_groups():
    p = Planter()
    nodes = [p.node("str", 100) for _ in range(4)]
    raw = p.node("bytes", 100)
    p.module("app", **{f"text{number}": node for number, node in enumerate([*nodes, raw])})
    for node, text in zip([*nodes, raw], ["a", "a", "z" * 200, "z" * 200, "a"], strict=True):
        p.value(node, text)
    duplicates = p.snapshot().duplicates()
    assert [(d.value, d.nodes) for d in duplicates] == [("a", tuple(nodes[:2]))]


def test_duplicates_of_a_snapshot_without_groups_and_values_are_refused():
    bare = without(with_duplicates(), "equal_node", "equal_group")
    with pytest.raises(OptionError, match="values=True"):
        bare.duplicates()


PROGRAM = """
import gc, json, sys, memlens
STRINGS = [f"{'secret' * 20}-{number % 3}" for number in range(12)]
BYTES = [bytes([65 + number % 2]) * 50 for number in range(6)]
WIDE = ["\\N{SNOWMAN}" * 40 + str(number % 2) for number in range(4)]
HALF = ["\\ud800" * 40 + str(number % 2) for number in range(4)]
SHED, DRAINED, FULL = dict.fromkeys(range(50_000)), set(range(50_000)), list(range(50_000))
for number in range(49_990):
    del SHED[number]
    DRAINED.discard(number)
snapshot = memlens.take_heap_snapshot(sys.argv[1])
members = lambda values: sorted({id(value) for value in values})
found = [sorted(snapshot.graph.node_address[n] for n in d.nodes) for d in snapshot.duplicates()]
expected = [members(v for v in vs if v == w) for vs in (STRINGS, BYTES, WIDE, HALF) for w in {*vs}]
print(json.dumps([all(group in found for group in expected), len(expected)]))
print(json.dumps([str(snapshot.sparse_collections()), snapshot.sparse_collections().to_dict()]))
"""


def test_duplicates_and_sparse_collections_of_a_real_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-bb", "-W", "error", "-c", PROGRAM, str(tmp_path / "x.memlens")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(memlens.__path__[0]).rpartition("/")[0], "MEMLENS_PURE": "1"},
    )
    duplicates, sparse = map(json.loads, done.stdout.splitlines())
    assert duplicates == [True, 3 + 2 + 2 + 2]
    assert "__main__.SHED" in sparse[0]
    assert "__main__.DRAINED" in sparse[0]
    assert "__main__.FULL" not in sparse[0]
    rows = {row["path"]: row for row in sparse[1]["rows"]}
    assert rows["__main__.SHED"]["length"] == rows["__main__.DRAINED"]["length"] == 10
    text = (tmp_path / "x.memlens").read_bytes()
    assert b"secretsecret" not in text  # groups do not store the contents


# -- sparse collections ----------------------------------------------------------------------------


def collections(*rows, **options):
    p = Planter()
    for kind, size, length in rows:
        p.root(p.node(kind, size, length=length))
    found = p.snapshot().sparse_collections(**options)
    return [(row.type_name, row.length, row.wasted_bytes > 0) for row in found]


def test_only_sparse_collections_are_listed():
    rows = [("list", 56 + 8 * 1000, 10), ("list", 56 + 8 * 1000, 999), ("tuple", 9000, 1)]
    assert collections(*rows) == [("list", 10, True)]
    assert collections(*rows, max_fill=1, min_wasted_bytes=1) == [
        ("list", 10, True),
        ("list", 999, True),
    ]
    assert collections(*rows, min_wasted_bytes=100_000) == []
    with pytest.raises(OptionError, match="max_fill is 2"):
        collections(*rows, max_fill=2)


@settings(max_examples=100, deadline=None)
@given(length=st.integers(0, 3000), kept=st.integers(0, 3000))
def test_computed_size_of_a_fresh_copy_agrees_with_cpython(length, kept):
    kept = min(kept, length)
    exact = sys.getsizeof([None] * kept)
    assert _measure_list(exact, kept) == (kept, exact)
    sets, dicts = set(range(length)), dict.fromkeys(range(length))
    for number in range(kept, length):
        sets.discard(number)
        del dicts[number]
    for measure, full in ((_measure_set, sets), (_measure_dict, dicts)):
        size = sys.getsizeof(full)
        capacity, needed = measure(size, kept)
        assert kept <= capacity or kept <= 4
        assert needed <= size
        assert needed <= 1.01 * sys.getsizeof(type(full)(full)) + 64


def test_capacity_of_a_dict_is_that_of_its_table():
    for bits in range(3, 20):
        full = dict.fromkeys(range((1 << bits) * 2 // 3))
        capacity, needed = _measure_dict(sys.getsizeof(full), len(full))
        assert capacity == len(full)
        assert needed <= sys.getsizeof(full) <= needed * 1.1 + 16


def test_dict_with_string_keys_is_measured():
    full = {f"k{number}": number for number in range(1000)}
    capacity, needed = _measure_dict(sys.getsizeof(full), len(full))
    assert capacity >= 1000
    assert needed == pytest.approx(sys.getsizeof(full), rel=0.05)
