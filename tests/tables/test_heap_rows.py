"""Types and holders of a heap: what is left is accounted for, and no byte is in two rows."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memlens
from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag, RootKind
from memlens.heap.views.visibility import HIDDEN
from memlens.tables.heap_types import type_columns
from memlens.tables.holders import holder_columns
from memlens.tables.named_holders import named_holders
from memlens.tables.top_rows import largest_and_rest
from memlens.tables.whole_heap import edge_batches, node_batches
from tests.formats.random_heaps import heaps
from tests.heap.planted import Planter
from tests.tables.values import PROCESS, heap

TABLES = {"type": type_columns, "holder": holder_columns}


def native_bytes_of(snapshot):
    graph = snapshot.graph
    nodes = () if graph.native is None else graph.native.nodes
    return sum(graph.node_size[node] for node in nodes if not graph.flags[node] & HIDDEN)


@pytest.mark.parametrize("name", TABLES)
@given(snapshot=heaps(max_nodes=20), limit=st.integers(1, 6))
def test_rows_add_up_to_what_views_show(name, snapshot, limit):
    columns = TABLES[name](snapshot, PROCESS, limit=limit)
    summary = snapshot.summary()
    assert sum(columns["count"]) == summary.count
    assert sum(columns["size_bytes"]) == summary.shallow_bytes
    assert sum(columns["native_bytes"]) == native_bytes_of(snapshot)
    ranks = columns["rank"]
    named = [rank for rank in ranks if rank]
    assert named == list(range(1, len(named) + 1))
    assert len(ranks) <= limit + 2
    assert ranks[len(named) :] in ([], [0])
    assert [key is None for key in columns[name]] == [rank == 0 for rank in ranks]
    sizes = columns["size_bytes"][: len(named)]
    assert sizes == sorted(sizes, reverse=True)
    assert len({*columns[name]}) == len(ranks)


@given(snapshot=heaps(max_nodes=20))
def test_each_object_is_named_at_most_once(snapshot):
    nodes = [holder.node for holder in named_holders(snapshot.graph)]
    assert len({*nodes}) == len(nodes)
    assert 0 not in nodes


@pytest.mark.small_process  # in that of the suite most objects have no holder with a name
@pytest.mark.parametrize("name", TABLES)
def test_rows_of_this_process_add_up(name):
    snapshot = memlens.take_heap_snapshot()
    summary = snapshot.summary()
    for limit in (1, 200):
        columns = TABLES[name](snapshot, PROCESS, limit=limit)
        assert len(columns["rank"]) in (limit + 1, limit + 2)
        assert sum(columns["count"]) == summary.count
        assert sum(columns["size_bytes"]) == summary.shallow_bytes
    largest = dict(zip(columns[name], columns["size_bytes"]))
    assert largest[None] < summary.shallow_bytes / 2  # the rest is not most of it


def sizes_of(snapshot):
    columns = holder_columns(snapshot, PROCESS)
    return dict(zip(columns["holder"], columns["size_bytes"]))


def test_data_belongs_to_its_holder_and_code_to_its_module():
    p = Planter()
    function = p.node("function", 100)
    code = p.node("code", 200)
    p.edge(function, code, K.INTERNAL, "__code__")
    closure, cell, memo = p.node("tuple", 24), p.node("cell", 8), p.node("dict", 90, length=0)
    p.edge(function, closure, K.INTERNAL, "__closure__")
    p.edge(closure, cell, K.CELL, "memo")
    p.edge(cell, memo, K.INTERNAL, "cell_contents")
    cls = p.node("type", 1000, flags=NodeFlag.HEAP_TYPE)
    registry = p.node("list", 60)
    p.edge(cls, registry, K.ATTRIBUTE, "registry")
    service = p.node("app.Service", 48)
    cache = p.node("dict", 70, length=1)
    p.edge(cache, p.node("app.Session", 5000), K.KEY, "<str>")
    p.edge(service, cache, K.ATTRIBUTE, "cache")
    p.edge(service, p.node("str", 40), K.ATTRIBUTE, "title")
    module = p.module("app", handler=function, Model=cls, service=service, NAME=p.node("str", 44))
    snapshot = p.snapshot()
    names = snapshot.graph.node_size[module] + 232  # the module and its namespace
    assert sizes_of(snapshot) == {
        "app": names + 100 + 200 + 24 + 8 + 1000 + 44,
        "app.Model.registry": 60,
        "app.handler <closure 'memo'>": 90,
        "app.service": 48 + 40,
        "app.service.cache": 5070,
    }
    columns = holder_columns(snapshot, PROCESS)
    types = dict(zip(columns["holder"], columns["type"]))
    assert types["app"] == "module"
    assert types["app.handler <closure 'memo'>"] == "dict"


def test_local_variables_of_threads_in_one_function_are_one_holder():
    p = Planter()
    for line in (5, 9):
        frame = p.node("frame", 10)
        p.edge(frame, p.node("list", 100), K.LOCAL, "jobs")
        p.root(frame, RootKind.FRAME, frame=(line, "work", "/srv/a/main.py", line))
    sizes = sizes_of(p.snapshot(threads={"5": "Thread-1 (work)", "9": "Thread-8 (work)"}))
    assert sizes == {
        "thread * work() (main.py)": 20,
        "thread * work() (main.py) local 'jobs'": 200,
    }


def test_suspended_function_is_a_holder_wherever_it_is_kept():
    p = Planter()
    tasks = p.node("dict", 64, length=1)
    task = p.node("_asyncio.Task", 30)
    coroutine = p.node("coroutine", 20)
    code = p.node("code", 5)
    p.names[code] = (p.text("session"), p.text("/srv/app.py"), 1)
    p.edge(tasks, task, K.KEY, "<str>")
    p.edge(task, coroutine, K.INTERNAL, "_coro")
    p.edge(coroutine, code, K.INTERNAL, "cr_code")
    p.edge(coroutine, p.node("list", 700), K.LOCAL, "history")
    p.module("app", tasks=tasks)
    sizes = sizes_of(p.snapshot())
    assert sizes["task session() local 'history'"] == 700
    assert sizes["task session()"] == 25
    assert sizes["app.tasks"] == 94


def test_linked_objects_belong_to_the_first_of_them():
    p = Planter()
    nodes = [p.node("app.Node", 10) for _ in range(50)]
    for first, second in pairwise(nodes):
        p.edge(first, second, K.ATTRIBUTE, "next")
    p.module("app", head=nodes[0])
    sizes = sizes_of(p.snapshot())
    assert sizes["app.head"] + sizes["app.head.next"] == 500
    assert set(sizes) == {"app", "app.head", "app.head.next"}


def test_names_go_eight_deep():
    p = Planter()
    nodes = [p.node("app.Part", 10) for _ in range(12)]
    for number, (outer, inner) in enumerate(pairwise(nodes), start=1):
        namespace = p.node("dict", 1, flags=NodeFlag.NAMESPACE)
        p.edge(outer, namespace, K.INTERNAL, "__dict__")
        p.edge(namespace, inner, K.ATTRIBUTE, "abcdefghijkl"[number])
    p.module("app", a=nodes[0])
    sizes = sizes_of(p.snapshot())
    assert max(sizes, key=len) == "app.a.b.c.d.e.f.g.h"
    assert sizes["app.a.b.c.d.e.f.g.h"] == 5 * 10 + 4


def test_what_two_holders_share_belongs_to_none_of_them():
    p = Planter()
    first, second = p.node("dict", 64, length=1), p.node("dict", 64, length=1)
    shared = p.node("app.Session", 9000)
    p.edge(first, shared, K.KEY, "<str>")
    p.edge(second, shared, K.KEY, "<str>")
    p.module("app", a=first)
    p.module("lib", b=second)
    sizes = sizes_of(p.snapshot())
    assert sizes["app.a"] == sizes["lib.b"] == 64
    assert sizes[None] == 9000


def test_numbers_of_generated_names_are_left_out():
    p = Planter()
    first, second = (p.node("dict", 64, length=0) for _ in range(2))
    p.module("app", cache_1234=first, cache_5678=second)
    assert sizes_of(p.snapshot())["app.cache_#"] == 128


def test_native_memory_is_told_apart():
    columns = holder_columns(heap(), PROCESS)
    row = columns["holder"].index("app.sessions")
    assert columns["size_bytes"][row] == 1150
    assert columns["native_bytes"][row] == 1000
    types = type_columns(heap(), PROCESS)
    row = types["type"].index("native memory (torch)")
    assert types["native_bytes"][row] == types["size_bytes"][row] == 1000


def test_one_row_over_the_limit_is_not_summed_up():
    assert largest_and_rest([5, 4, 3], 2) == ([5, 4, 3], ())
    assert largest_and_rest([5, 4, 3, 2], 2) == ([5, 4], [3, 2])


# -- whole heaps


def rows_of(batches):
    joined = {}
    sizes = []
    for columns in batches:
        sizes.append(len(columns["time"]))
        for name, values in columns.items():
            joined.setdefault(name, []).extend(values)
    return joined, sizes


@given(snapshot=heaps(max_nodes=20), batch=st.integers(1, 7))
def test_batches_have_all_nodes_and_strong_references(snapshot, batch):
    graph = snapshot.graph
    nodes, sizes = rows_of(node_batches(snapshot, PROCESS, batch_rows=batch))
    assert max(sizes) <= batch
    assert nodes["node"] == list(range(graph.node_count))
    assert sum(nodes["size_bytes"]) == snapshot.total_bytes
    assert sum(nodes["is_native"]) == snapshot.native_block_count
    edges, sizes = rows_of(edge_batches(snapshot, PROCESS, batch_rows=batch))
    assert all(size <= batch for size in sizes)
    expected = [
        (node, target) for node in range(graph.node_count) for target in graph.strong_targets(node)
    ]
    found = zip(edges["source"], edges["target"], strict=True) if edges else ()
    assert list(found) == expected


def test_nodes_and_edges_say_what_paths_say():
    snapshot = heap()
    nodes, _ = rows_of(node_batches(snapshot, PROCESS))
    assert nodes["type"][0] == "process"
    assert nodes["retained_bytes"][0] == snapshot.graph.dominators.retained[0]
    assert {*nodes["root"]} == {None, "module app", "frame main"}
    assert {*nodes["snapshot"]} == {"pod-1/9-abc/1000000000"}
    edges, _ = rows_of(edge_batches(snapshot, PROCESS))
    labels = {(nodes["type"][s], nodes["type"][t]): label for s, t, label in zip(
        edges["source"], edges["target"], edges["label"], strict=True)}  # fmt: skip
    assert labels["process", "module"] is None
    assert labels["dict", "str"] == ".NAME"
    assert labels["frame", "list"] == " local 'jobs'"
    assert labels["list", "app.Job"] == "[0]"
    assert labels["dict", "app.Session"] == "[<str>]"
    assert ("list", "app.Cache") not in labels  # a weak reference


def test_garbage_retains_an_unknown_amount():
    p = Planter()
    p.module("app")
    lost = p.node("dict", 64, flags=NodeFlag.GARBAGE)
    nodes, _ = rows_of(node_batches(p.snapshot(), PROCESS))
    assert [n for n, size in enumerate(nodes["retained_bytes"]) if size is None] == [lost]


def test_values_of_keys_are_not_told():
    secret = {"the secret key": ["the secret value"]}
    snapshot = memlens.take_heap_snapshot()
    texts = {
        text
        for batches in (node_batches(snapshot, PROCESS), edge_batches(snapshot, PROCESS))
        for columns in batches
        for name in ("label", "root", "type")
        for text in columns.get(name, ())
        if text
    }
    holders = {text for text in holder_columns(snapshot, PROCESS, limit=10**6)["holder"] if text}
    assert not [text for text in texts | holders if "the secret" in text]
    assert len(secret) == 1
