"""Whole heaps in tables: the answers equal those of memlens in memory, and networkx."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
pytest.importorskip("networkx")
import networkx
from hypothesis import given, settings
from hypothesis import strategies as st

import memlens
from memlens._core.layout import KIND_MASK, EdgeKind, NodeFlag
from memlens.errors import OptionError
from memlens.fleet.heap_reach import TARGETS, find_reach, forget_reach
from memlens.fleet.whole_heaps import heap_answer
from tests.fleet.whole_heap_tables import duckdb_heaps, reach_of, write_heaps

REPOSITORY = Path(__file__).resolve().parents[2]
ORDER = "__main__.Order"
PROGRAM = """
import memlens

class Order:
    def __init__(self, follows=None):
        self.items = [bytearray(100)]
        self.follows = follows

orders = {number: Order() for number in range(300)}
orders[-1] = Order(follows=Order())
memlens.take_heap_snapshot().save("before.memlens")
orders.update({1000 + number: Order() for number in range(200)})
for number in range(50):
    del orders[number]
memlens.take_heap_snapshot().save("after.memlens")
"""


@pytest.fixture(scope="module")
def heaps(tmp_path_factory):
    """Two snapshots of a program in which orders come and go, as values and as tables."""
    folder = tmp_path_factory.mktemp("heaps")
    environment = dict(os.environ, PYTHONPATH=str(REPOSITORY))
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, check=True, env=environment)
    before, after = (memlens.load(folder / f"{name}.memlens") for name in ("before", "after"))
    return folder, write_heaps(folder, before, after), (before, after)


@pytest.fixture(scope="module")
def duckdb(heaps):
    with duckdb_heaps(heaps[0]) as engine:
        yield engine


def graph_of(snapshot):
    """Return the strong references of a snapshot for networkx."""
    heap = snapshot.graph
    graph = networkx.DiGraph()
    for node in range(heap.node_count):
        kind = heap.type_names[heap.node_type[node]]
        graph.add_node(node, type=kind, size=heap.node_size[node])
    for node in range(heap.node_count):
        for edge in range(heap.edge_offset[node], heap.edge_offset[node + 1]):
            if node == 0 or heap.edge_label[edge] & KIND_MASK != EdgeKind.WEAK:
                graph.add_edge(node, heap.edge_target[edge])
    return graph


def without_own(snapshot):
    """Return the types of which memlens itself has no objects in a heap."""
    graph = snapshot.graph
    own = {
        graph.type_names[kind]
        for kind, flags in zip(graph.node_type, graph.flags, strict=True)
        if flags & NodeFlag.OWN
    }
    return set(graph.type_names) - own


def test_types_are_those_of_the_summary(heaps, duckdb):
    _, names, (_, after) = heaps
    answer = heap_answer(duckdb, "heap-types", snapshot=names[1], limit=10_000)
    found = {row[0]: row[1:3] for row in answer.rows}
    comparable = without_own(after)
    expected = {
        row.name: (row.count, row.shallow_bytes)
        for row in after.summary(include_garbage=True)
        if row.name in comparable
    }
    assert len(expected) > 50
    assert {name: found[name] for name in expected} == expected
    assert answer.row_count == len(answer.rows)


def test_growth_is_that_of_the_comparison(heaps, duckdb):
    _, _, (before, after) = heaps
    answer = heap_answer(duckdb, "heap-growth", limit=10_000)
    rows = {row[0]: row for row in answer.rows}
    comparable = without_own(before) & without_own(after)
    checked = 0
    garbage = {row.name for heap in (before, after) for row in heap.garbage()}
    for change in before.compare(after):
        if change.type_name in comparable - garbage:
            checked += 1
            assert rows[change.type_name][1:6] == (
                change.count_before,
                change.count_after,
                change.new_count,
                change.deleted_count,
                change.shallow_delta_bytes,
            )
    assert checked > 50
    name = ORDER
    assert rows[name][1:5] == (302, 452, 200, 50)


def test_reach_of_a_real_heap_is_that_of_networkx(heaps, duckdb):
    _, names, (_, after) = heaps
    engine = duckdb
    graph = graph_of(after)
    for type_name in (ORDER, "list", "str"):
        expected = reach_of(graph, type_name)
        answer = heap_answer(
            engine, "heap-reach", snapshot=names[1], type_name=type_name, limit=10**6
        )
        assert sum(row[3] for row in answer.rows) == expected["reached"]
        assert f"{expected['kept']:,} objects alive" in answer.sentence
    assert engine.rows("select count(*) from duckdb_tables()") == [(0,)]  # all are dropped


def test_reach_tells_root_and_path_of_an_object(heaps, duckdb):
    _, names, _ = heaps
    name = ORDER
    answer = heap_answer(duckdb, "heap-reach", snapshot=names[1], type_name=name)
    root, path, _, count, _ = answer.rows[0]
    assert (root, path, count) == ("module __main__", f"module > dict > {name}", 451)
    assert any("1 more through other objects" in note for note in answer.notes)


def test_holders_are_the_types_of_referrers(heaps, duckdb):
    _, names, (_, after) = heaps
    graph = graph_of(after)
    name = "bytearray"
    targets = [node for node, kind in graph.nodes(data="type") if kind == name]
    expected = Counter(
        graph.nodes[source]["type"] for node in targets for source in graph.predecessors(node)
    )
    answer = heap_answer(duckdb, "heap-holders", snapshot=names[1], type_name=name, limit=10_000)
    found = {kind or "process": count for kind, _, _, count in answer.rows}
    assert found["list"] == expected["list"] >= 450
    assert set(found) - {"process"} == {kind for kind in expected if kind}


def test_questions_that_cannot_be_answered_say_what_to_do(heaps, duckdb):
    _, names, _ = heaps
    engine = duckdb
    with pytest.raises(OptionError, match="several snapshots are here: name one of pod-1"):
        heap_answer(engine, "heap-types")
    with pytest.raises(OptionError, match="no snapshot 'x' is here"):
        heap_answer(engine, "heap-types", snapshot="x")
    with pytest.raises(OptionError, match="needs a type"):
        heap_answer(engine, "heap-reach", snapshot=names[0])
    with pytest.raises(OptionError, match="no object of 'x'"):
        heap_answer(engine, "heap-reach", snapshot=names[0], type_name="x")
    with pytest.raises(OptionError, match="growth needs two snapshots"):
        heap_answer(engine, "heap-growth", snapshot=names[0])
    with pytest.raises(OptionError, match="it must be one of"):
        heap_answer(engine, "heap-size")


def tables_of(kinds, edges, roots):
    """Return DuckDB with a small heap whose node 0 is the process."""
    from memlens.fleet.duckdb_engine import DuckDBEngine
    from memlens.tables.listing import TableListing

    engine = DuckDBEngine(TableListing("", {}, ()), threads=1)
    connection = engine._connection
    connection.execute("drop view nodes; drop view edges")
    connection.execute(
        "create table nodes(snapshot text, node bigint, type text, size_bytes bigint, root text)"
    )
    connection.execute("create table edges(snapshot text, source bigint, target bigint)")
    rows = [("s", 0, "process", 0, None)]
    for number, kind in enumerate(kinds, 1):
        rows.append(("s", number, kind, number, f"module {number}" if number in roots else None))
    connection.executemany("insert into nodes values (?, ?, ?, ?, ?)", rows)
    for source, target in [*edges, *((0, root) for root in roots)]:
        connection.execute("insert into edges values ('s', ?, ?)", [source, target])
    return engine


@st.composite
def small_heaps(draw):
    count = draw(st.integers(1, 12))
    node = st.integers(1, count)
    kinds = draw(st.lists(st.sampled_from("TAB"), min_size=count, max_size=count))
    return (
        kinds,
        draw(st.lists(st.tuples(node, node), max_size=25)),
        draw(st.sets(node, max_size=3)),
    )


@settings(max_examples=40, deadline=None)
@given(small_heaps())
def test_reach_of_any_heap_is_that_of_networkx(heap):
    kinds, edges, roots = heap
    graph = networkx.DiGraph()
    graph.add_node(0, type="process", size=0)
    for number, kind in enumerate(kinds, 1):
        graph.add_node(number, type=kind, size=number)
    graph.add_edges_from(edges)
    graph.add_edges_from((0, root) for root in roots)
    expected = reach_of(graph, "T")
    with tables_of(kinds, edges, roots) as engine:
        engine.keep(TARGETS, "select node, size_bytes from nodes where type = 'T'")
        found = find_reach(engine, "s")
        counted = engine.rows("select distance, count(*) from heap_reached group by 1")
        assert Counter(dict(counted)) == expected.pop("distances")
        assert {name: getattr(found, name) for name in expected} == expected
        forget_reach(engine, found)
        assert engine.rows("select count(*) from duckdb_tables()") == [(2,)]


def test_long_chain_is_followed_to_its_end():
    length = 60
    kinds = ["A"] * length + ["T", "B"]
    edges = [(number, number + 1) for number in range(1, length + 2)]
    with tables_of(kinds, edges, {1}) as engine:
        answer = heap_answer_of_chain(engine)
    assert answer.rows == (("module 1", "A > T", length, 1, length + 1),)
    assert "they alone keep 2 objects alive" in answer.sentence


def test_search_that_stops_early_does_not_tell_what_a_type_keeps_alive():
    kinds = ["A", "T", "A", "A", "T"]
    edges = [(1, 2), (1, 3), (3, 4), (4, 5)]
    with tables_of(kinds, edges, {1}) as engine:
        answer = heap_answer_of_chain(engine, max_levels=2)
    assert answer.sentence == "s: roots reach 1 of 2 objects of T (7 B)."
    assert any("stopped after 2 references" in note for note in answer.notes)


def heap_answer_of_chain(engine, **options):
    engine._connection.execute("alter table nodes add column process text default 'p'")
    engine._connection.execute("alter table nodes add column uptime_seconds double default 0.0")
    return heap_answer(engine, "heap-reach", type_name="T", **options)


def test_command_answers_from_exported_snapshots(heaps, tmp_path, capsys):
    from memlens.cli.main import main

    files = [str(heaps[0] / f"{name}.memlens") for name in ("before", "after")]
    place = str(tmp_path / "tables")
    assert main(["tables", "heap", *files, place, "--service", "shop"]) == 0
    capsys.readouterr()
    assert main(["fleet", place, "heap-growth", "--limit", "3"]) == 0
    assert f"{ORDER}     302    452  200       50" in capsys.readouterr().out
    assert main(["fleet", place, "heap-reach", "--type", ORDER]) == 2
    assert "several snapshots are here: name one of" in capsys.readouterr().err
    assert main(["fleet", place, "growth", "--type", ORDER]) == 2
    assert "--type is an option of questions about whole heaps" in capsys.readouterr().err
