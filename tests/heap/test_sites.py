"""Allocation sites of a snapshot: the join of the sampler's table with the heap."""

from __future__ import annotations

import json
import os
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memlens
from memlens import _core
from memlens._core.layout import SITE_SECTIONS, NodeFlag
from memlens._core.sampler_api import read_samples
from memlens._frame import Frame
from memlens.errors import NotInSnapshotError
from memlens.heap.graph.allocation_sites import (
    AllocationSites,
    lost_samples,
    site_sections,
)
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from tests.core.sampler_child import run
from tests.heap.planted import Planter
from tests.heap.sampled import MEM, OBJECT, tables
from tests.sampler import need_sampler

PUT = ("Store.put", "/app/shop/store.py", 12)
SERVE = ("serve", "/app/shop/main.py", 40)
LOAD = ("load", "/app/shop/main.py", 7)


def planted_snapshot(samples, **facts):
    """A heap of five blobs of 100 bytes, the first held by the second; ``samples(addresses)``."""
    planter = Planter()
    blobs = [planter.node("app.Blob", 100, key=("blob", i)) for i in range(5)]
    planter.module("app", **{f"b{i}": blob for i, blob in enumerate(blobs) if i})
    planter.edge(blobs[1], blobs[0])
    graph = planter.graph(**facts)
    addresses = [graph.node_address[blob] for blob in blobs]
    sections = {**graph.sections, **site_sections(tables(samples(addresses)))}
    return HeapSnapshot(HeapGraph(sections, graph.facts)), blobs


def test_object_is_found_after_its_header_in_the_block():
    snapshot, blobs = planted_snapshot(
        lambda at: [
            (at[0], 100, 1.0, OBJECT, [PUT]),
            (at[1] - 16, 116, 1.0, OBJECT, [PUT]),
            (at[2] - 32, 132, 1.0, OBJECT, [PUT, SERVE]),
            (at[3] - 48, 148, 1.0, OBJECT, [LOAD]),
            (at[4] - 8, 200, 1.0, OBJECT, [LOAD]),
        ]
    )
    sites = snapshot.graph.sites
    assert [sites.site_of(blob) for blob in blobs[:4]] == [
        *[Frame(*PUT)] * 3,
        Frame(*LOAD),
    ]
    assert sites.site_of(blobs[4]) is None
    node = next(node for node in snapshot.find(lambda node: node.index == blobs[2]))
    assert node.allocated_at == (Frame(*SERVE), Frame(*PUT))


def test_object_after_the_end_of_a_block_is_not_matched():
    snapshot, blobs = planted_snapshot(lambda at: [(at[0] - 32, 32, 1.0, OBJECT, [PUT])])
    assert snapshot.graph.sites.path_of(blobs[0]) is None


def test_the_buffers_of_an_object_count_with_it():
    def samples(at):
        buffers = [(1 << 40, 4000, 0.5, MEM, [LOAD]), (2 << 40, 50, 1.0, MEM, [SERVE])]
        return [(at[1], 100, 1.0, OBJECT, [PUT]), *buffers]

    snapshot, blobs = planted_snapshot(samples)
    sections = dict(snapshot.graph.sections)
    sections["block_node"] = array("I", [blobs[0], blobs[1], blobs[1]])
    sections["block_address"] = array("Q", [1 << 40, 2 << 40, 3 << 40])
    snapshot = HeapSnapshot(HeapGraph(sections, snapshot.graph.facts))
    sites = snapshot.graph.sites
    shares = {share.call_path[-1]: share for share in sites.shares(blobs, 1)}
    assert (shares[Frame(*LOAD)].count, shares[Frame(*LOAD)].shallow_bytes) == (0, 8000)
    assert (shares[Frame(*SERVE)].count, shares[Frame(*SERVE)].shallow_bytes) == (0, 50)
    assert (shares[Frame(*PUT)].count, shares[Frame(*PUT)].shallow_bytes) == (1, 100)
    assert "about buffers of 7.81 KiB, from 1 sample" in str(shares[Frame(*LOAD)])
    assert (sites.site_of(blobs[0]), sites.site_of(blobs[1])) == (Frame(*LOAD), Frame(*PUT))
    rows = {row.name: row for row in snapshot.summary(by="site")}
    assert rows["load (shop/main.py:7)"].shallow_bytes == 8000
    assert rows["load (shop/main.py:7)"].retained_bytes == 100


def test_freed_blocks_belong_to_no_object():
    def samples(at):
        return [(at[1], 100, 1.0, OBJECT, [PUT])]

    snapshot, blobs = planted_snapshot(samples)
    assert [*snapshot.graph.sites.samples] == [blobs[1]]
    address = snapshot.graph.node_address[blobs[1]]
    snapshot, blobs = planted_snapshot(samples, lost_samples=[address])
    assert not snapshot.graph.sites.samples


def test_freed_and_reused_blocks_are_lost_samples():
    before = tables([(16, 50, 1.0, OBJECT, [PUT]), (32, 50, 1.0, OBJECT, [PUT])])
    again = tables([(99, 50, 1.0, OBJECT, []), (64, 9, 1.0, OBJECT, []), (32, 50, 1.0, OBJECT, [])])
    assert lost_samples(before, before) == []
    assert lost_samples(before, again) == [16, 32]
    assert lost_samples(before, None) == [16, 32]


def test_allocation_without_a_python_frame_has_a_native_frame():
    snapshot, blobs = planted_snapshot(lambda at: [(at[0], 100, 1.0, OBJECT, [])])
    assert str(snapshot.graph.sites.site_of(blobs[0])).startswith("<native>")


def test_summary_by_site_weights_samples():
    snapshot, _ = planted_snapshot(
        lambda at: [
            (at[0], 100, 0.5, OBJECT, [PUT]),
            (at[1], 100, 0.25, OBJECT, [PUT, SERVE]),
            (at[2], 100, 0.1, OBJECT, [LOAD]),
        ]
    )
    summary = snapshot.summary(by="site")
    rows = {row.name: row for row in summary}
    assert list(rows) == ["load (shop/main.py:7)", "Store.put (shop/store.py:12)"]
    put = rows["Store.put (shop/store.py:12)"]
    assert (put.count, put.shallow_bytes) == (6, 600)
    assert put.retained_bytes == 200  # the second holds the first: not 300
    assert "about 16 objects" in str(summary)
    assert "from 3 sampled objects" in str(summary)
    assert "allocated at" in str(summary)
    assert all(len(line) <= 100 for line in str(summary).splitlines())


def test_garbage_and_objects_of_memlens_are_left_out():
    planter = Planter()
    blob = planter.node("memlens.Own", 100, key="own", flags=NodeFlag.OWN)
    planter.module("app", one=blob)
    graph = planter.graph()
    samples = [(graph.node_address[blob], 100, 1.0, OBJECT, [PUT])]
    sections = {**graph.sections, **site_sections(tables(samples))}
    assert len(HeapSnapshot(HeapGraph(sections, graph.facts)).summary(by="site")) == 0


def test_snapshot_without_sites_explains_how_to_record_them():
    snapshot = Planter().snapshot()
    assert snapshot.graph.sites is None
    with pytest.raises(NotInSnapshotError, match="MemoryProfiler or an AllocationProfiler"):
        snapshot.summary(by="site")


def test_sites_are_saved_and_loaded(tmp_path):
    snapshot, blobs = planted_snapshot(
        lambda at: [(at[0], 100, 0.5, OBJECT, [PUT, SERVE]), (at[3], 100, 0.2, OBJECT, [LOAD])]
    )
    snapshot.save(tmp_path / "heap.memlens")
    loaded = memlens.load(tmp_path / "heap.memlens")
    assert loaded.graph.sites.shares(blobs, 2) == snapshot.graph.sites.shares(blobs, 2)
    assert loaded.summary(by="site").to_dict() == snapshot.summary(by="site").to_dict()


calls = st.tuples(
    st.text(st.characters(codec=None), max_size=5), st.text(max_size=5), st.integers(0, 2**31)
)
blocks = st.tuples(
    st.integers(1, 2**40).map(lambda n: n * 16),
    st.integers(16, 2**40),
    st.floats(1e-6, 1.0),
    st.sampled_from([MEM, OBJECT]),
    st.lists(calls, max_size=4),
)


@given(st.lists(blocks, max_size=30, unique_by=lambda block: block[0]))
def test_site_sections_have_the_samples_of_the_sampler(samples):
    sections = site_sections(tables(samples))
    assert {name: column.typecode for name, column in sections.items()} == SITE_SECTIONS
    wanted = sorted(samples)
    assert list(sections["site_address"]) == [block[0] for block in wanted]
    sites = AllocationSites(sections, [0, *(block[0] for block in wanted)])
    for address, size, probability, _, path in wanted:
        node = 1 + [block[0] for block in wanted].index(address)
        row = sites.samples[node]
        if sections["site_address"][row] == address:  # not within a neighbour, which overlaps here
            assert sections["site_size"][row] == size
            assert sections["site_weight"][row] == 1 / probability
            named = [Frame(*call) for call in reversed(path)]
            assert list(sites.path_of(node)) == (named or [Frame("<native>", "", 0)])


# -- with the sampler of this process --------------------------------------------------------------

PROGRAM = """
import json, os, sys
import memlens
from memlens.allocations.profiler import AllocationProfiler

class Session:
    def __init__(self, number):
        self.number = number
class Slotted:
    __slots__ = ("one",)
class Plain(list):
    pass

KEPT = []
def make_sessions(): KEPT.extend(Session(i) for i in range(50))
def make_slotted(): KEPT.extend([Slotted() for _ in range(50)])
def make_bytes(): KEPT.extend([bytes(100 + i) for i in range(50)])
def make_complexes(): KEPT.extend([complex(i, 1) for i in range(50)])  # floats have a free list
def make_lists(): KEPT.extend([Plain() for _ in range(50)])
def make_functions(): KEPT.extend([(lambda: i) for i in range(50)])
MAKERS = (make_sessions, make_slotted, make_bytes, make_complexes, make_lists, make_functions)

def check(snapshot):
    for number, maker in enumerate(MAKERS):
        for obj in KEPT[50 * number : 50 * (number + 1)]:
            path = snapshot.node_of(obj).allocated_at
            assert path is not None, (maker, obj)
            assert any(maker.__name__ in site.function for site in path), (maker, path)

with AllocationProfiler(1) as profiler:
    for maker in MAKERS:
        maker()
    snapshot = memlens.take_heap_snapshot("heap.memlens", mode=MODE)
    check(snapshot)
    check(memlens.load("heap.memlens"))
    names = {row.name.split(" ")[0] for row in snapshot.summary(by="site")}
    assert any("make_functions" in name for name in names), names
with AllocationProfiler(1) as profiler:
    memlens.take_heap_snapshot(mode=MODE)
    profile = profiler.profile()  # what captures is left out of it
assert profile.total.allocated_bytes < 100_000, str(profile)
assert memlens.take_heap_snapshot(mode=MODE).graph.sites is None
print(json.dumps([memlens._core.IMPLEMENTATION, snapshot.facts["mode"]]))
"""


@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_every_kind_of_object_has_its_allocation_site(mode, tmp_path):
    need_sampler()
    if mode == "fork" and _core.fork_capture is None:
        pytest.skip("only the native core forks")
    source = f"import os; os.chdir({os.fspath(tmp_path)!r}); MODE = {mode!r}\n{PROGRAM}"
    assert json.loads(run(source)) == [_core.IMPLEMENTATION, mode]


BUFFERS = """
import array, collections, json, os
import memlens
from memlens.allocations.profiler import AllocationProfiler

class Session:
    def __init__(self, number):
        self.number = self.name = number

KEPT = []
def make_lists(): KEPT.extend([None] * 50 + [i] for i in range(20))
def make_dicts(): KEPT.extend({j: i for j in range(30)} for i in range(20))
def make_bytearrays(): KEPT.extend(bytearray(1000) for i in range(20))
def make_sets(): KEPT.extend(set(range(100 + i)) for i in range(20))
def make_deques(): KEPT.extend(collections.deque(range(500)) for i in range(20))
def make_arrays(): KEPT.extend(array.array("d", range(200)) for i in range(20))
def make_instances(): KEPT.extend(Session(i) for i in range(20))
MAKERS = (make_lists, make_dicts, make_bytearrays, make_sets, make_deques, make_arrays)
MAKERS += (make_instances,)
for i in range(40): Session(i)  # the room that is made for attributes settles

with AllocationProfiler(1) as profiler:
    for maker in MAKERS:
        maker()
    snapshot = memlens.take_heap_snapshot("heap.memlens", mode=MODE)
    for snapshot in (snapshot, memlens.load("heap.memlens")):
        for number, maker in enumerate(MAKERS):
            nodes = [snapshot.node_of(kept) for kept in KEPT[20 * number : 20 * (number + 1)]]
            shares = snapshot.graph.sites.shares([node.index for node in nodes], 30)
            sampled = sum(share.shallow_bytes for share in shares)
            owned = sum(node.shallow_bytes for node in nodes)
            headers = 72 * len(nodes)  # some objects are reused ones, which were not allocated
            assert 0.95 * (owned - headers) <= sampled <= 1.1 * owned, (maker, sampled, owned)
            for share in shares:
                assert any(frame.function == maker.__name__ for frame in share.call_path), share
print("right")
"""


@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_the_buffers_of_every_kind_of_object_have_a_site(mode, tmp_path):
    need_sampler()
    source = f"import os; os.chdir({os.fspath(tmp_path)!r}); MODE = {mode!r}\n{BUFFERS}"
    assert run(source).strip() == "right"


@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_the_copied_samples_are_not_objects_of_the_program(mode):
    need_sampler()
    said = run(f"""
        import memlens
        from memlens.allocations.profiler import AllocationProfiler
        with AllocationProfiler(1) as profiler:
            kept = [[number] for number in range(20_000)]
            snapshot = memlens.take_heap_snapshot(mode={mode!r})
        for kind in ("bytes", "array.array", "tuple", "dict"):
            found = snapshot.select(type=kind, min_retained_bytes=100_000).largest(20)
            for node in found:
                path = str(snapshot.path_to(node))
                if "native code" in path:
                    print(node, path)
    """)
    assert said == ""


def test_no_samples_are_read_without_a_sampler():
    assert read_samples() is None


def test_sites_are_right_while_other_threads_allocate(tmp_path):
    need_sampler()
    run(
        """
import collections, memlens, threading, sys
from memlens.allocations.profiler import AllocationProfiler
sys.setswitchinterval(1e-4)
class Red: __slots__ = ("a", "b")
class Blue: __slots__ = ("a", "b")
done = False
def red():
    return Red()
def blue():
    return Blue()
def churn(kept):
    number = 0
    while not done:
        number += 1
        if number == 20_000: begun.release()
        kept.append(red() if number * 2654435761 & 4096 else blue())  # the oldest one goes
kept = [collections.deque(maxlen=40_000) for _ in range(3)]
begun = threading.Semaphore(0)
threads = [threading.Thread(target=churn, args=(part,)) for part in kept]
with AllocationProfiler(2000):
    for thread in threads: thread.start()
    for thread in threads: begun.acquire()
    wrong = seen = taken = 0
    # On a busy machine, all that was sampled may be replaced while a snapshot is begun.
    while taken < 3 or (seen <= 20 and taken < 40):
        taken += 1
        graph = memlens.take_heap_snapshot(collect=False).graph
        for node in graph.sites.samples:
            name = graph.type_of(node).split(".")[-1].lower()
            if name in ("red", "blue"):
                seen += 1
                wrong += graph.sites.site_of(node).function != name
    done = True
    for thread in threads: thread.join()
assert seen > 20, seen
assert wrong == 0, (wrong, seen)
"""
    )
