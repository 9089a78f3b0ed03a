"""Native blocks in the graph: what retains them, what they print, what is no object of them."""

import ctypes
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memlens
from memlens import _core
from memlens._core.layout import LARGEST_STORED, NONE, EdgeKind, NodeFlag
from memlens.errors import NotInSnapshotError, SnapshotFileError
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.matching import match_graphs, unmatched_blocks
from memlens.heap.graph.native_blocks import NativeKind, parse_notes
from memlens.heap.graph.node import Node
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.native_growth import native_growth
from tests.heap.planted import Planter

MIB = 1 << 20


def frames():
    """Two tensors on one storage, one on a device, and a mapped file."""
    p = Planter()
    cache = p.node("list", 100, key="cache", length=2)
    first, second = p.node("torch.Tensor", 80, key=1), p.node("torch.Tensor", 80, key=2)
    p.edge(cache, first, EdgeKind.INDEX, position=0)
    p.edge(cache, second, EdgeKind.INDEX, position=1)
    p.native(30 * MIB, first, second, key="storage")
    on_device = p.node("torch.Tensor", 80, key=3)
    p.native(8 * MIB, on_device, device="cuda:0", key="storage of device")
    mapped = p.node("mmap.mmap", 60, key=4)
    p.native(5 * MIB, mapped, device="mapped", library="mmap", key="file")
    p.module("app", cache=cache, on_device=on_device, mapped=mapped)
    return p, cache, first, on_device, mapped


def test_a_shared_block_is_retained_by_what_holds_all_its_owners():
    p, cache, first, *_ = frames()
    graph = p.graph()
    assert Node(graph, cache).retained_native_bytes == 30 * MIB
    assert Node(graph, cache).retained_python_bytes == 260
    assert Node(graph, cache).retained_device_bytes == 0
    assert Node(graph, first).retained_native_bytes == 0


def test_memory_of_devices_is_apart_from_that_of_the_machine():
    p, _, _, on_device, mapped = frames()
    graph = p.graph()
    assert Node(graph, on_device).retained_device_bytes == 8 * MIB
    assert Node(graph, on_device).retained_native_bytes == 0
    assert Node(graph, mapped).retained_native_bytes == 5 * MIB
    assert graph.retained_native_bytes(0) == 35 * MIB


def test_an_object_says_how_much_of_its_retained_size_is_native():
    p, cache, first, on_device, _ = frames()
    graph = p.graph()
    assert str(Node(graph, cache)).endswith("retains 30.0 MiB (30.0 MiB native)")
    assert str(Node(graph, on_device)).endswith("retains 8.00 MiB (8.00 MiB on devices)")
    assert str(Node(graph, first)).endswith("retains 80 B")


def test_a_block_says_its_size_library_and_device_and_no_address():
    p, *_ = frames()
    graph = p.graph()
    texts = [str(Node(graph, node)) for node in graph.native.nodes]
    assert texts == [
        "30.0 MiB of torch memory on cpu",
        "8.00 MiB of torch memory on cuda:0",
        "5.00 MiB of mmap memory in a mapped file",
    ]
    block = Node(graph, graph.native.nodes[1])
    assert (block.is_native, block.device, block.library) == (True, "cuda:0", "torch")
    owner = Node(graph, 1)
    assert (owner.is_native, owner.device, owner.library) == (False, None, None)


def test_an_address_is_never_that_of_a_native_block():
    p = Planter()
    block = p.native(100, key="same")
    owner = p.node("array.array", 64, key="same")
    p.edge(owner, block, EdgeKind.INTERNAL, "buffer")
    alone = p.native(100, owner, key="alone")
    p.module("app", owner=owner)
    graph = p.graph()
    assert graph.node_address[block] == graph.node_address[owner]
    assert graph.find_address(graph.node_address[owner]) == owner
    assert graph.find_address(graph.node_address[alone]) is None


def test_blocks_are_not_counted_as_objects():
    p, *_ = frames()
    snapshot = p.snapshot()
    assert snapshot.object_count == snapshot.graph.node_count - 1 - 3
    assert snapshot.native_block_count == 3
    assert snapshot.total_bytes == sum(snapshot.graph.node_size)
    assert (snapshot.native_bytes, snapshot.device_bytes) == (35 * MIB, 8 * MIB)


def test_the_largest_objects_are_the_owners_of_blocks():
    p, cache, _, on_device, mapped = frames()
    shared = p.node("torch.Tensor", 80), p.node("torch.Tensor", 80)
    p.module("other", a=shared[0])
    p.module("third", b=shared[1])
    block = p.native(6 * MIB, *shared)
    snapshot = p.snapshot()
    largest = [node.index for node in snapshot.largest(1000)]
    natives = [node for node in largest if Node(snapshot.graph, node).is_native]
    assert natives == [block]  # no object retains it
    assert [node for node in largest if node in (cache, on_device, block, mapped)] == [
        cache, on_device, block, mapped,
    ]  # fmt: skip
    assert [node.index for node in snapshot.largest(2)] == largest[:2]


def test_a_file_keeps_native_blocks(tmp_path):
    p, cache, *_ = frames()
    p.notes = b'{"library": "torch", "state": "done", "objects": 3, "blocks": 2}'
    snapshot = p.snapshot()
    snapshot.save(tmp_path / "heap")
    loaded = HeapSnapshot.load(tmp_path / "heap")
    loaded.verify()
    assert Node(loaded.graph, cache).retained_native_bytes == 30 * MIB
    assert [str(n) for n in loaded.largest(9)] == [str(n) for n in snapshot.largest(9)]
    (note,) = loaded.graph.adapter_notes
    assert (note.library, note.objects, note.blocks, note.is_complete) == ("torch", 3, 2, True)


def test_more_blocks_than_a_file_ranks_leave_room_for_objects(tmp_path):
    p = Planter()
    owners = [p.node("torch.Tensor", 80, key=n) for n in range(LARGEST_STORED)]
    for number, owner in enumerate(owners):
        p.native(MIB + number, owner)
    p.module("app", **{f"t{n}": owner for n, owner in enumerate(owners)})
    p.snapshot().save(tmp_path / "heap")
    loaded = HeapSnapshot.load(tmp_path / "heap")
    found = loaded.largest(LARGEST_STORED)
    assert len(found) == LARGEST_STORED
    assert not any(node.is_native for node in found)


def test_a_heap_without_blocks_has_no_native_columns():
    p = Planter()
    p.module("app", x=p.node("dict", 10, length=0))
    graph = p.graph()
    assert graph.native is None
    assert graph.retained_native is graph.retained_device is None
    assert graph.retained_native_bytes(1) == graph.retained_device_bytes(1) == 0
    assert graph.adapter_notes == []


def test_a_heap_with_blocks_on_the_machine_alone_has_no_column_of_devices():
    p = Planter()
    owner = p.node("mmap.mmap", 60)
    p.native(4096, owner, library="mmap")
    p.module("app", x=owner)
    assert p.graph().retained_device is None


# -- the same block in two snapshots -----------------------------------------------------------------


def two_heaps():
    """The same objects twice; only the second heap has the third block."""
    planters = Planter(), Planter()
    for p in planters:
        owner = p.node("vendor.Blob", 64, key="blob")
        p.module("app", blob=owner)
        p.native(100, owner, library="vendor")
        p.native(100, owner, library="vendor")
        p.native(50, owner, key="known", library="vendor")
        p.native(10, owner, key="blob", library="vendor")  # at the address of the object
    planters[1].native(70, 1, library="vendor")
    return planters[0].graph(), planters[1].graph()


def test_blocks_of_unknown_address_are_recognised_by_their_owner():
    before, after = two_heaps()
    same = match_graphs(before, after)
    nodes = list(before.native.nodes)
    assert [same[node] for node in nodes] == nodes
    assert same[1] == 1
    assert same[after.native.nodes[-1]] not in range(before.node_count)


def test_a_block_of_another_size_at_the_same_address_is_another_block():
    first, second = Planter(), Planter()
    for p, size in ((first, 100), (second, 200)):
        owner = p.node("vendor.Blob", 64, key="blob")
        p.module("app", blob=owner)
        p.native(size, owner, key="block")
    before, after = first.graph(), second.graph()
    (block,) = after.native.nodes
    assert match_graphs(before, after)[block] not in range(before.node_count)


def test_memory_of_a_device_at_the_address_of_an_object_is_told_apart():
    """The addresses of blocks are known and ascend, so that they are compared as they are."""
    for at in ("blob", "elsewhere"):
        first, second = Planter(), Planter()
        for p in (first, second):
            owner = p.node("vendor.Blob", 64, key="blob")
            p.module("app", blob=owner)
            p.native(100, owner, key=at, device="npu:0")
        second.native(100, owner, key="new", device="npu:0")
        before, after = first.graph(), second.graph()
        same = match_graphs(before, after)
        assert same[owner] == owner
        old, *new = sorted(after.native.nodes)
        assert (same[old], [same[node] for node in new]) == (old, [NONE])


@st.composite
def heaps_with_blocks(draw):
    """Two heaps of the same owners, with some blocks of known and some of unknown addresses."""
    planters = Planter(), Planter()
    for p in planters:
        owners = [p.node("vendor.Blob", 64, key=("blob", number)) for number in range(3)]
        p.module("app", **{f"blob{number}": owner for number, owner in enumerate(owners)})
        known = st.sampled_from([None, "x", "y", "z", ("blob", 0)])
        row = st.tuples(known, st.sampled_from(owners), st.sampled_from([8, 16]))
        rows = draw(st.lists(row, max_size=8, unique_by=lambda row: row[0] or row))
        for key, owner, size in rows:
            p.native(size, owner, key=key, library="vendor")
    return planters[0].graph(), planters[1].graph()


@given(heaps_with_blocks())
def test_the_blocks_without_a_match_are_found_without_matching_all_objects(heaps):
    before, after = heaps
    same = match_graphs(before, after)
    blocks = [] if after.native is None else list(after.native.nodes)
    kind = NativeKind("cpu", "vendor")
    assert [*unmatched_blocks(before, after, kind)] == [n for n in blocks if same[n] == NONE]


# -- properties --------------------------------------------------------------------------------------


@st.composite
def shared_heaps(draw):
    """Objects with any references among them, and blocks that any of them share."""
    p = Planter()
    objects = [
        p.node("app.Thing", draw(st.integers(0, 100))) for _ in range(draw(st.integers(1, 12)))
    ]
    some = st.lists(st.sampled_from(objects), max_size=4)
    for one in objects:
        for target in draw(some):
            p.edge(one, target, draw(st.sampled_from([EdgeKind.ATTRIBUTE, EdgeKind.WEAK])))
    p.module("app", **{f"x{n}": one for n, one in enumerate(draw(some))})
    for _ in range(draw(st.integers(0, 6))):
        owners = draw(st.lists(st.sampled_from(objects), min_size=1, max_size=4))
        device = draw(st.sampled_from(["cpu", "mapped", "cuda:0"]))
        p.native(draw(st.integers(0, 1 << 40)), *owners, device=device)
    return p.graph()


@settings(max_examples=150, deadline=None)
@given(graph=shared_heaps())
def test_native_bytes_are_those_that_removing_a_node_would_free(graph):
    import networkx

    edges = [
        (source, edge.target)
        for source in range(graph.node_count)
        for edge in graph.edges(source)
        if edge.kind is not EdgeKind.WEAK
    ]
    whole = networkx.DiGraph(edges)
    whole.add_nodes_from(range(graph.node_count))
    reached = {0, *networkx.descendants(whole, 0)}
    kinds = {} if graph.native is None else dict(zip(graph.native.nodes, graph.native.kinds))
    for node in reached - {0}:
        rest = whole.copy()
        rest.remove_node(node)
        freed = reached - {0, *networkx.descendants(rest, 0)}
        native = sum(graph.node_size[n] for n in freed if n in kinds and kinds[n].is_host)
        device = sum(graph.node_size[n] for n in freed if n in kinds and not kinds[n].is_host)
        python = sum(graph.node_size[n] for n in freed if n not in kinds)
        handle = Node(graph, node)
        assert handle.retained_native_bytes == native
        assert handle.retained_device_bytes == device
        assert handle.retained_python_bytes == python
        assert python + native + device == handle.retained_bytes


# -- notes and damage --------------------------------------------------------------------------------


def test_the_last_note_of_a_library_counts():
    notes = parse_notes(
        b'{"library": "torch", "state": "started", "objects": 4}\n'
        b'{"library": "polars", "state": "started", "objects": 2}\n'
        b'{"library": "torch", "state": "done", "objects": 4, "blocks": 3, "failed": 1,'
        b' "error": "TypeError: no"}\n'
    )
    assert [note.library for note in notes] == ["polars", "torch"]
    assert str(notes[0]) == (
        "polars: the blocks of 2 objects are not complete: the adapter did not return in time"
    )
    assert str(notes[1]) == "torch: 4 objects, 1 failed (TypeError: no)"
    assert not notes[0].is_complete
    assert not notes[1].is_complete


def note_line(library="torch", state="done", part="", **counts):
    return json.dumps({"library": library, "state": state, "part": part, **counts}).encode() + b"\n"


def test_a_library_that_tells_in_two_parts_has_one_note():
    first = note_line(objects=5, blocks=4, failed=1, seconds=0.5)
    (note,) = parse_notes(
        first + note_line(part="later", objects=3, blocks=2, skipped=2, seconds=0.25, error="E")
    )
    assert (note.objects, note.blocks, note.failed, note.skipped) == (5, 6, 1, 2)
    assert (note.seconds, note.error, note.state) == (0.75, "E", "done")
    (note,) = parse_notes(first + note_line(part="later", state="started", objects=3))
    assert str(note).startswith("torch: the blocks of 3 objects are not complete: the adapter did")
    (note,) = parse_notes(
        note_line(state="started", objects=5) + note_line(part="later", objects=3)
    )
    assert str(note).startswith("torch: the blocks of 5 objects are not complete: the adapter did")
    done = note_line(objects=5) + note_line(part="later", objects=3) + note_line("lxml", objects=2)
    assert [str(one) for one in parse_notes(done)] == ["lxml: 2 objects", "torch: 5 objects"]
    assert all(one.is_complete for one in parse_notes(done))


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b'{"library": 3, "state": "done"}',
        b'{"state": "done"}',
        b'{"library": "torch"}',
        b'{"library": "torch", "state": "done", "objects": -1}',
        b'{"library": "torch", "state": "done", "objects": true}',
        b'{"library": "torch", "state": "done", "seconds": NaN}',
        b'{"library": "torch", "state": "done", "error": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_damaged_notes_are_a_damaged_file(text, tmp_path):
    p, *_ = frames()
    p.notes = text
    p.snapshot().save(tmp_path / "heap")
    loaded = HeapSnapshot.load(tmp_path / "heap")
    with pytest.raises(SnapshotFileError):
        loaded.verify()
    with pytest.raises(SnapshotFileError):
        _ = loaded.graph.adapter_notes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("native_node", 1 << 20), ("native_device", 1 << 20), ("native_library", 1 << 20)),
        *(("resident_node", 1 << 20), ("resident_bytes", 5 * MIB + 1)),
    ],
)
def test_numbers_out_of_range_are_a_damaged_file(name, value, tmp_path):
    p = partly_resident()[0]
    sections = p.sections()
    sections[name][-1] = value
    facts = p.graph().facts
    snapshot = HeapSnapshot(HeapGraph(p.sections(), facts))
    stored = snapshot.graph.stored_sections()
    stored[name] = (stored[name][0], sections[name])
    from memlens.heap.graph.snapshot_file import write_sections

    write_sections(tmp_path / "heap", stored, facts)
    loaded = HeapSnapshot.load(tmp_path / "heap")
    with pytest.raises(SnapshotFileError):
        str(loaded.summary(by="device"))


def partly_resident():
    """The same; of the mapped file 2 MiB are resident."""
    p, *_, mapped = frames()
    ((block, _),) = p.edges[mapped]
    p.residents[block] = 2 * MIB
    return p, block, mapped


def test_a_mapping_says_how_much_of_it_is_resident():
    p, block, mapped = partly_resident()
    graph = p.graph()
    assert Node(graph, block).resident_bytes == 2 * MIB
    assert Node(graph, mapped).resident_bytes is None  # no block
    assert Node(graph, mapped).retained_native_bytes == 5 * MIB
    assert Node(frames()[0].graph(), block).resident_bytes is None


def test_sizes_by_device_are_those_of_mappings_or_of_their_resident_part():
    snapshot = partly_resident()[0].snapshot()
    assert snapshot.native_by_device()["mapped"] == {"mmap": 5 * MIB}
    assert snapshot.native_by_device(resident=True) == {
        "cpu": {"torch": 30 * MIB},
        "mapped": {"mmap": 2 * MIB},
        "cuda:0": {"torch": 8 * MIB},
    }


def test_what_only_memlens_holds_is_in_no_size_by_device():
    p, *_ = frames()
    ours, both = (p.node("memlens.Own", 10, flags=NodeFlag.OWN) for _ in range(2))
    p.native(MIB, ours, device="mapped", library="mmap")
    owner = p.node("vendor.Blob", 10)
    p.native(2 * MIB, both, owner, library="vendor")
    p.module("more", ours=ours, both=both, owner=owner)
    by_device = p.snapshot().native_by_device(resident=True)
    assert by_device["mapped"] == {"mmap": 5 * MIB}
    assert by_device["cpu"] == {"torch": 30 * MIB, "vendor": 2 * MIB}


@pytest.mark.skipif(_core.fork_capture is None, reason="the pure core finds no mapping of ours")
def test_open_snapshots_are_no_native_memory_of_the_program(tmp_path):
    first = memlens.take_heap_snapshot()
    first.save(tmp_path / "heap")
    loaded = HeapSnapshot.load(tmp_path / "heap")
    assert loaded.object_count  # it is open
    last = memlens.take_heap_snapshot()
    size = (tmp_path / "heap").stat().st_size
    own = [n for n in last.graph.native.nodes if last.graph.has(n, NodeFlag.OWN)]
    assert size in [last.graph.node_size[node] for node in own]
    assert last.native_by_device().get("mapped", {}).get("mmap", 0) < size
    assert native_growth(first.graph, last.graph) == ()


def test_a_summary_by_device_tells_the_resident_part(tmp_path):
    p, *_ = partly_resident()
    p.snapshot().save(tmp_path / "heap")
    for snapshot in (p.snapshot(), HeapSnapshot.load(tmp_path / "heap")):
        summary = snapshot.summary(by="device")
        rows = {row.device: row for row in summary}
        assert (rows["mapped"].shallow_bytes, rows["mapped"].resident_bytes) == (5 * MIB, 2 * MIB)
        assert rows["cpu"].resident_bytes is rows["cuda:0"].resident_bytes is None
        assert "mapped files (2.00 MiB resident)" in str(summary)


def test_node_of_a_live_object_is_never_a_block(monkeypatch):
    import os

    obj = object()
    p = Planter()
    block = p.native(100, key="x")
    p.nodes[block] = (id(obj), *p.nodes[block][1:])
    owner = p.node("vendor.Blob", 10)
    p.edge(owner, block, EdgeKind.INTERNAL, "buffer")
    p.module("app", owner=owner)
    assert p.nodes[block][3] == NodeFlag.NATIVE
    with pytest.raises(NotInSnapshotError):
        p.snapshot(pid=os.getpid()).node_of(obj)


# -- views -------------------------------------------------------------------------------------------


def test_a_summary_by_device_names_the_holders_of_each_kind_of_memory():
    p, *_ = frames()
    summary = p.snapshot().summary(by="device")
    rows = {row.name: row for row in summary}
    assert [row.name for row in summary] == [
        "native (cpu)",
        "cuda:0",
        "mapped files",
        "Python heap",
    ]
    assert (rows["native (cpu)"].count, rows["native (cpu)"].shallow_bytes) == (1, 30 * MIB)
    assert [holder.path for holder in rows["native (cpu)"].holders] == ["app.cache"]
    assert [holder.path for holder in rows["cuda:0"].holders] == ["app.on_device"]
    assert [holder.path for holder in rows["mapped files"].holders] == ["app.mapped"]
    assert rows["mapped files"].holders[0].size_bytes == 5 * MIB
    assert sum(row.shallow_bytes for row in summary) == p.snapshot().total_bytes
    assert "30.0 MiB  app.cache" in str(summary)
    assert summary.to_dict()["rows"][0]["holders"][0]["path"] == "app.cache"


def test_the_holder_of_many_blocks_is_the_container_of_their_owners():
    p = Planter()
    tensors = [p.node("torch.Tensor", 80) for _ in range(9)]
    batches = p.node("list", 100, length=9)
    for position, one in enumerate(tensors):
        p.edge(batches, one, EdgeKind.INDEX, position=position)
        p.native(MIB, one)
    p.module("app", batches=batches, epoch=p.node("int", 28))
    (row,) = [row for row in p.snapshot().summary(by="device") if row.device == "cpu"]
    assert [(one.path, one.size_bytes) for one in row.holders] == [("app.batches", 9 * MIB)]


def test_memory_that_no_object_retains_is_named_by_one_of_its_owners():
    p = Planter()
    table, part = p.node("pyarrow.lib.Table", 64), p.node("pyarrow.lib.Table", 64)
    p.native(2 * MIB, table, part, library="pyarrow")
    p.native(MIB, table, part, library="pyarrow")
    p.module("app", table=table, part=part)
    (row,) = [row for row in p.snapshot().summary(by="device") if row.device == "cpu"]
    (holder,) = row.holders
    assert (holder.path, holder.size_bytes, holder.is_shared) == ("app.table", 3 * MIB, True)
    assert str(holder) == "3.00 MiB  app.table and others"


def test_the_title_counts_objects_and_blocks_apart():
    p, *_ = frames()
    snapshot = p.snapshot()
    objects = snapshot.object_count
    for by in ("type", "module", "size", "referrer", "device"):
        title = snapshot.summary(by=by).title
        assert f"{objects} objects, 43.0 MiB, 43.0 MiB of it in 3 native blocks" in title, by
    assert f"{objects} objects" in snapshot.statistics().title


def test_a_summary_by_device_says_which_adapters_did_not_see_all():
    p, *_ = frames()
    p.notes = b'{"library": "polars", "state": "started", "objects": 2}'
    assert "not complete: polars" in p.snapshot().summary(by="device").title


def test_a_summary_by_type_shows_native_memory_by_library():
    p, *_ = frames()
    rows = {row.name: row for row in p.snapshot().summary()}
    torch = rows["native memory (torch)"]
    assert (torch.count, torch.shallow_bytes, torch.retained_bytes) == (2, 38 * MIB, 38 * MIB)
    assert (torch.retained_native_bytes, torch.retained_device_bytes) == (30 * MIB, 8 * MIB)
    assert rows["list"].retained_native_bytes == 30 * MIB
    headers = str(p.snapshot().summary()).split("\n")[2].split()
    assert headers == ["count", "shallow", "retained", "native", "device", "type"]


def test_a_library_with_a_dotted_name_is_a_module_of_its_own():
    p = Planter()
    owner = p.node("vendor.Blob", 64)
    p.native(100, owner, library="vendor.Blob")
    p.module("vendor", blob=owner)
    names = {row.name for row in p.snapshot().summary(by="module")}
    assert "native memory (vendor.Blob)" in names


def test_statistics_have_a_kind_for_native_memory():
    p, *_ = frames()
    first = p.snapshot().statistics()[0]
    assert (first.kind, first.count, first.shallow_bytes) == ("native memory", 3, 43 * MIB)


def test_trees_show_blocks_and_the_native_part():
    p, cache, *_ = frames()
    snapshot = p.snapshot()
    below = snapshot.dominators(cache).to_dict()
    assert below["retained_native_bytes"] == 30 * MIB
    assert "torch memory on cpu" in str(snapshot.dominators(cache))
    whole = snapshot.dominators().to_dict()
    assert (whole["retained_native_bytes"], whole["retained_device_bytes"]) == (35 * MIB, 8 * MIB)
    contained = snapshot.containment().to_dict(depth=1)
    assert contained["retained_native_bytes"] == 35 * MIB
    assert contained["children"][0]["retained_device_bytes"] == 8 * MIB
    block = snapshot.graph.native.nodes[0]
    assert "torch.Tensor" in str(snapshot.referrers(block))
    path = str(snapshot.retention_paths(block)[0])
    assert path == "app.cache[0].buffer"
    drops = {drop.node.index for drop in snapshot.dominators().big_drops()}
    assert cache in drops
    assert drops.isdisjoint(snapshot.graph.native.nodes)


def test_a_comparison_and_a_selection_have_rows_for_native_memory():
    before, after = two_heaps()
    changes = HeapSnapshot(before).compare(HeapSnapshot(after))
    (change,) = [one for one in changes if one.type_name == "native memory (vendor)"]
    assert (change.count_delta, change.new_count, change.shallow_delta_bytes) == (1, 1, 70)
    blocks = HeapSnapshot(after).select("native memory*")
    assert blocks.count == 5
    assert "0x" not in str(blocks)


def test_garbage_with_a_block_is_counted():
    p = Planter()
    p.module("app")
    lost = p.node("torch.Tensor", 80, flags=NodeFlag.GARBAGE)
    block = p.native(MIB, lost)
    p.nodes[block] = (*p.nodes[block][:3], int(NodeFlag.NATIVE | NodeFlag.GARBAGE))
    garbage = p.snapshot().garbage()
    assert "1 objects and 1 native blocks, 1.00 MiB unreachable" in garbage.title
    assert {row.name: row.retained_native_bytes for row in garbage} == {
        "native memory (torch)": MIB, "torch.Tensor": 0,
    }  # fmt: skip


def test_the_retained_size_of_a_live_object_includes_its_native_memory():
    kept = [(ctypes.c_char * 100_000)() for _ in range(3)]
    assert 300_000 <= memlens.retained_size(kept) < 310_000  # with the class of the arrays


@pytest.mark.skipif(_core.fork_capture is None, reason="needs the C core")
def test_a_forked_capture_counts_objects_without_blocks():
    kept = (ctypes.c_char * 100_000)()
    task = memlens.start_heap_snapshot()
    snapshot = task.result(timeout=60)
    assert ctypes.sizeof(kept) == 100_000
    assert snapshot.native_block_count
    assert task.progress.object_count == snapshot.object_count
