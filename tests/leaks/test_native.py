"""Leaks of native memory: right in holder and bytes, said by library and device, never a block."""

import json

import pytest

from memlens._core.layout import EdgeKind as K
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.cases import find_cases
from memlens.leaks.detectors.members import elements_of
from memlens.leaks.growth import Growth
from memlens.leaks.leak_report import find_leaks
from memlens.leaks.native_growth import native_growth
from memlens.leaks.unexplained import MALLOC_FACT
from memlens.process.detector.alert import LeakAlert
from memlens.profiler.plain_values import from_plain, to_plain
from tests.heap.planted import Planter
from tests.leaks.test_suspects import series, table_of
from tests.leaks.test_unexplained import MIB


def tensors(p, n, name="batches", size=MIB, **kind):
    """A list of n tensors with a block each."""
    table = p.node("list", 64 + 8 * n, key=name, length=n)
    for position in range(n):
        tensor = p.node("torch.Tensor", 80, key=(name, position))
        p.edge(table, tensor, K.INDEX, position=position)
        p.native(size, tensor, key=(name, position, "storage"), **kind)
    return table


def leaking_tensors(p, n):
    p.module("app", batches=tensors(p, n), small=table_of(p, n))


def tensors_with_two_blocks(p, n, first, second):
    table = p.node("list", 64 + 8 * n, key="kept", length=n)
    for position in range(n):
        tensor = p.node("torch.Tensor", 80, key=position)
        p.edge(table, tensor, K.INDEX, position=position)
        p.native(first, tensor, key=(position, "own"))
        p.native(second, tensor, key=(position, "other"))
    p.module("app", kept=table)


def leaking_losses(p, n):
    tensors_with_two_blocks(p, n, 4, MIB)


def leaking_gradients(p, n):
    tensors_with_two_blocks(p, n, MIB, MIB)


def test_a_leak_of_tensors_is_ranked_by_its_native_bytes():
    first, second = find_leaks(series(leaking_tensors))
    assert (first.holder, second.holder) == ("app.batches", "app.small")
    assert first.count_growth == 30
    assert first.retained_growth_bytes == 30 * (MIB + 88)
    (native,) = first.native_growth
    assert (native.library, native.device, native.growth_bytes) == ("torch", "cpu", 30 * MIB)
    assert first.growing_types == ("torch.Tensor", "native memory (torch)")
    assert "(of it +30.0 MiB native (torch, cpu))" in " ".join(str(first).split())
    assert second.native_growth == ()
    plain = json.loads(json.dumps(first.to_dict()))
    assert plain["native_growth"] == [
        {"library": "torch", "device": "cpu", "growth_bytes": 30 * MIB, "holder": ""}
    ]


def test_tensors_that_keep_what_autograd_saved_are_told_apart():
    (suspect,) = find_leaks(series(leaking_losses))
    assert suspect.suggestion.endswith("store tensor.item() or tensor.detach().")


@pytest.mark.parametrize("plant", [leaking_tensors, leaking_gradients])
def test_tensors_with_their_own_memory_get_no_advice_on_autograd(plant):
    assert not [one for one in find_leaks(series(plant)) if "autograd" in one.suggestion]


def test_a_threshold_counts_native_bytes():
    (suspect,) = find_leaks(series(leaking_tensors), min_growth_bytes=MIB)
    assert suspect.holder == "app.batches"


def test_memory_of_a_device_is_named():
    (suspect,) = find_leaks(
        series(lambda p, n: p.module("app", batches=tensors(p, n, device="cuda:0")))
    )
    assert "+30.0 MiB native (torch, cuda:0)" in " ".join(str(suspect).split())


def test_a_mapped_file_is_named_as_such():
    (suspect,) = find_leaks(
        series(lambda p, n: p.module("app", b=tensors(p, n, device="mapped", library="mmap")))
    )
    assert "+30.0 MiB native (mmap, mapped file)" in " ".join(str(suspect).split())


def test_a_block_that_two_holders_reach_counts_half_for_each():
    def twice(p, n):
        left, right = (p.node("list", 64, key=side, length=n) for side in ("left", "right"))
        for position in range(n):
            for side in (left, right):
                tensor = p.node("torch.Tensor", 80, key=(side, position))
                p.edge(side, tensor, K.INDEX, position=position)
            block = p.native(MIB, tensor, tensor - 1, key=position)
            assert block
        p.module("app", left=left, right=right)

    report = find_leaks(series(twice))
    assert [one.native_growth[0].growth_bytes for one in report] == [15 * MIB, 15 * MIB]


def test_a_cache_that_is_bounded_is_no_leak():
    assert list(find_leaks(series(lambda p, n: p.module("app", b=tensors(p, 20))))) == []


def test_blocks_are_no_elements_of_what_owns_many():
    def table(p, n):
        owner = p.node("pyarrow.lib.Table", 64, key="table")
        for number in range(n):
            p.native(100, owner, key=("chunk", number), library="pyarrow")
        p.module("app", table=owner)

    assert list(find_leaks(series(table))) == []


def test_the_elements_of_a_container_are_its_objects():
    p = Planter()
    owner = p.node("polars.Frame", 64)
    columns = [p.node("polars.Series", 64) for _ in range(3)]
    for column in columns:
        p.edge(owner, column)
    p.native(100, owner, library="polars")
    p.module("app", frame=owner)
    growth = Growth([p.graph(), p.graph()], [0.0, 1.0])
    for step in (0, 1):
        assert elements_of(growth, step, [owner]) == set(columns)


def test_rules_see_the_types_of_objects_only():
    (case, _), _ = find_cases(series(leaking_tensors))
    assert set(case.gained_types) == {"torch.Tensor"}
    assert set(case.value_types) == {"torch.Tensor"}


def test_a_block_that_grows_under_one_name_is_named_by_its_owner():
    def growing(p, n):
        owner = p.node("vendor.Buffer", 64, key="buffer")
        p.native(n * MIB, owner, key=("block", n), library="vendor")
        p.module("app", buffer=owner)

    (suspect,) = find_leaks(series(growing, rounds=6))
    assert (suspect.holder, suspect.holder_type) == ("app.buffer", "vendor.Buffer")
    assert suspect.count_growth == 0
    assert [one.growth_bytes for one in suspect.native_growth] == [50 * MIB]


# -- growth without a suspect ------------------------------------------------------------------------


def resident(native_sizes, used):
    """Snapshots with a block that is as large as said, and memory in use by malloc, in MiB."""
    snapshots = []
    for step, (size, total) in enumerate(zip(native_sizes, used, strict=True)):
        p = Planter()
        pool = p.node("vendor.Pool", 64, key="pool")
        p.native(size * MIB, pool, key="block", library="vendor")
        p.module("app", pool=pool)
        memory = {"rss_bytes": 1 << 30, "allocated_blocks": 1000}
        facts = {MALLOC_FACT: total * MIB}
        reason = "periodic" if step else "startup"
        snapshots.append(p.snapshot(timestamp=60.0 * step, reason=reason, memory=memory, **facts))
    return snapshots


def said(report):
    return " ".join(str(report).split())


def test_growth_without_a_holder_says_that_no_known_native_memory_grew():
    report = find_leaks(resident([5] * 5, [10, 20, 22, 24, 26]))
    assert report.verdict == "unexplained growth"
    assert report.native_growth == ()
    assert "None of the native memory with known holders grew." in said(report)
    assert report.to_dict()["native_growth"] == []


def test_native_memory_that_a_holder_is_known_of_is_not_unexplained():
    # The block grows once more than what malloc has beside it: too uneven for a suspect.
    report = find_leaks(resident([5, 9, 10, 13, 15], [10, 20, 22, 24, 26]))
    assert report.unexplained is None


def test_native_memory_that_shrinks_makes_no_growth_where_malloc_has_none():
    report = find_leaks(resident([9, 8, 6, 4, 2], [20] * 5))
    assert report.unexplained is None


@pytest.mark.parametrize("grown", [True, False])
def test_a_report_for_an_alert_says_whether_known_native_memory_grew(grown, alert):
    sizes = [5, 5, 9, 9, 9] if grown else [5] * 5
    report = find_leaks(resident(sizes, [10] * 5), alert=alert)
    expected = (
        "Native memory with known holders: +4.00 MiB native (vendor, cpu), held by app.pool."
        if grown
        else "None of the native memory with known holders grew."
    )
    assert expected in said(report)


def test_a_report_says_nothing_of_native_memory_that_nothing_is_known_of(alert):
    report = find_leaks(series(lambda p, n: p.module("app", x=p.node("dict", 10))), alert=alert)
    assert report.native_growth is None
    assert "ative memory" not in said(report)
    assert report.to_dict()["native_growth"] is None


def test_a_report_with_native_growth_travels_from_the_process_that_made_it():
    report = find_leaks(series(leaking_tensors))
    assert from_plain(json.loads(json.dumps(to_plain(report)))) == report


def test_growth_names_the_object_that_most_of_it_hangs_on():
    before, after = (HeapSnapshot(one.graph) for one in series(leaking_tensors, rounds=2))
    (growth,) = native_growth(before.graph, after.graph)
    assert (growth.growth_bytes, growth.holder) == (10 * MIB, "app.batches")


def grown(*rounds):
    """The growth between heaps; a round is the name, key and size of each block that is there."""
    graphs = []
    for blocks in rounds:
        p = Planter()
        holders = {name: p.node("list", 64, key=name, length=5) for name, _, _ in blocks}
        for position, (name, key, size) in enumerate(blocks):
            tensor = p.node("torch.Tensor", 80, key=key)
            p.edge(holders[name], tensor, K.INDEX, position=position)
            p.native(size * MIB, tensor, key=(key, "storage"))
        p.module("app", **holders)
        graphs.append(p.graph())
    (growth,) = native_growth(*graphs)
    assert not any(graph.has_paths for graph in graphs)
    return growth.growth_bytes // MIB, growth.holder


KEPT = [("kept", ("kept", number), 1) for number in range(5)]


def test_a_buffer_that_was_replaced_has_not_grown():
    frame = ("frame", "first", 200), ("frame", "second", 200)
    assert grown([frame[0], KEPT[0]], [frame[1], *KEPT]) == (4, "app.kept")
    assert grown([frame[0], KEPT[0]], [frame[0], *KEPT]) == (4, "app.kept")


def test_a_buffer_that_was_replaced_by_a_larger_one_has_grown():
    first, second = ("frame", "first", 200), ("frame", "second", 300)
    assert grown([first, *KEPT], [second, *KEPT]) == (100, "app.frame[0]")


def test_nobody_is_named_where_as_much_went_elsewhere():
    """It may have moved: nothing tells what has."""
    there, here = ("old", "first", 200), ("new", "second", 200)
    assert grown([there, KEPT[0]], [here, *KEPT]) == (4, "")


@pytest.fixture
def alert():
    return LeakAlert("rss", 10.0, 0.0, 9.0, 5.0, 1.0, (1.0, 2.0), 0.999, False, "native")


def test_a_report_says_what_adapters_could_not_see(alert):
    snapshots = []
    for step in range(4):
        p = Planter()
        owner = p.node("vendor.Pool", 64, key="pool")
        p.native(MIB, owner, key="block", library="vendor")
        p.module("app", pool=owner)
        p.notes = b'{"library": "torch", "state": "started", "objects": 3}'
        snapshots.append(p.snapshot(timestamp=60.0 * step))
    report = find_leaks(snapshots, alert=alert)
    assert "holders grew. Not complete: torch: the blocks of 3 objects" in said(report)
    assert len(report.to_dict()["native_incomplete"]) == 1


def test_a_report_says_that_a_library_was_not_asked(alert):
    snapshots = []
    for step in range(4):
        p = Planter()
        owner = p.node("vendor.Pool", 64, key="pool")
        p.native(MIB, owner, key="block", library="vendor")
        p.module("app", pool=owner)
        p.notes = (
            b'{"library": "lzma", "state": "done", "objects": 9}\n'
            b'{"library": "lzma", "state": "not asked", "part": "later", "objects": 9}'
        )
        snapshots.append(p.snapshot(timestamp=60.0 * step))
    report = find_leaks(snapshots, alert=alert)
    (note,) = report.native_incomplete
    assert note.endswith(
        "the blocks of 9 objects are not complete: other threads may be using them"
    )
    assert note in said(report)
