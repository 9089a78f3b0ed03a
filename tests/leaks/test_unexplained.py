"""Growth that no object explains is said, and never called no leak."""

import json

import pytest

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag as F
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import find_leaks
from memlens.leaks.unexplained import MALLOC_FACT, unexplained_growth
from tests.heap.planted import Planter
from tests.leaks.test_suspects import leaking_dict, series

MIB = 1 << 20
GROWTH = [10, 20, 22, 24, 26]  # MiB in use: the first interval is that in which a program starts


def snapshots_of(used, name="malloc", blocks=None, object_bytes=None):
    snapshots = []
    for step, size in enumerate(used):
        p = Planter()
        size_of_object = object_bytes[step] * MIB if object_bytes else 1000
        p.module("app", table=p.node("bytes", size_of_object, key="table"))
        memory = {"rss_bytes": 1 << 30, "allocated_blocks": blocks[step] if blocks else 1000}
        facts = {MALLOC_FACT: size * MIB} if name == "malloc" else {}
        if name == "resident":
            memory["rss_bytes"] = size * MIB
        reason = "periodic" if step else "startup"
        snapshots.append(p.snapshot(timestamp=60.0 * step, reason=reason, memory=memory, **facts))
    return snapshots


@pytest.mark.parametrize("series_name", ["malloc", "resident"])
def test_memory_that_grows_without_objects_is_said(series_name):
    report = find_leaks(snapshots_of(GROWTH, series_name))
    assert (report.verdict, report.confidence) == ("unexplained growth", "medium")
    assert (report.unexplained.series, report.unexplained.growth_bytes) == (series_name, 6 * MIB)
    assert "No leak" not in str(report)
    assert "+6.00 MiB in all" in str(report)
    assert "no holder found" in " ".join(str(report).split())
    assert json.loads(json.dumps(report.to_dict()))["verdict"] == "unexplained growth"


@pytest.mark.parametrize(
    "used",
    [
        [10, 20, 20, 20, 20],  # the start of the program
        [10, 20, 26, 26, 26],  # once
        [10, 20, 28, 31, 32],  # runs out
        [10, 20, 22, 21, 24],  # falls in between
        [10, 20, 21],  # one interval
        [10, 20, 24, 26],  # two that may be a start
    ],
)
def test_memory_that_settles_is_no_leak(used):
    report = find_leaks(snapshots_of(used))
    assert (report.verdict, report.unexplained) == ("no leak", None)
    assert "No leak" in str(report)


def ended(used, seconds):
    """Snapshots of a program whose main() returned at the last but one."""
    reasons = ["startup", *["periodic"] * (len(used) - 3), "return", "exit"]
    moments = [60.0 * step for step in range(len(used) - 1)]
    moments.append(moments[-1] + seconds)
    return [
        HeapSnapshot(
            HeapGraph(one.graph.sections, {**one.graph.facts, "reason": r, "timestamp": at})
        )
        for one, r, at in zip(snapshots_of(used), reasons, moments, strict=True)
    ]


def test_between_the_return_of_main_and_the_exit_nothing_need_grow():
    growth = find_leaks(ended([*GROWTH, 26], 20.0)).unexplained
    assert growth is not None
    assert growth.growth_bytes == 6 * MIB


@pytest.mark.parametrize(
    ("used", "seconds"),
    [
        pytest.param([*GROWTH, 26], 90.0, id="a long time in which nothing grew"),
        pytest.param([*GROWTH[:-1], 24, 24], 20.0, id="settled before the return"),
        pytest.param([*GROWTH[:-1], 20, 20], 20.0, id="freed at the return"),
    ],
)
def test_memory_that_settles_before_the_end_is_no_leak(used, seconds):
    assert find_leaks(ended(used, seconds)).verdict == "no leak"


def test_two_intervals_are_told_with_low_confidence():
    report = find_leaks(snapshots_of([10, 20, 22, 24]))
    assert (report.verdict, report.confidence) == ("unexplained growth", "low")


def test_what_objects_explain_is_not_unexplained():
    snapshots = snapshots_of(GROWTH, object_bytes=[1, 11, 13, 15, 17])
    assert unexplained_growth(snapshots) is None


def test_blocks_that_belong_to_no_object_are_counted():
    report = find_leaks(snapshots_of(GROWTH, blocks=[1000, 2000, 5000, 8000, 12_000]))
    assert report.unexplained.blocks == 10_000
    assert "10,000 more allocated blocks belong to no object seen" in " ".join(str(report).split())


def test_a_suspect_is_a_leak_with_a_confidence_that_grows_with_the_snapshots():
    told = [find_leaks(series(leaking_dict, rounds=rounds)) for rounds in (2, 3, 4)]
    assert [report.verdict for report in told] == ["leak"] * 3
    assert [report.confidence for report in told] == ["low", "medium", "high"]
    assert "Leak, confidence high." in str(told[-1])


def test_two_snapshots_without_a_suspect_decide_nothing():
    report = find_leaks(snapshots_of([10, 10]))
    assert (report.verdict, report.confidence) == ("unknown", "low")


def test_malloc_that_is_not_used_tells_nothing():
    """A program may begin with none, or have another allocator: then resident memory tells."""
    taken = snapshots_of([0, 0, 10, 20, 30])
    assert find_leaks(taken).verdict == "no leak"
    for used in ([10, 0, 10, 20, 30], [0, 0, 0, 0, 0]):
        both = zip(snapshots_of(used), snapshots_of(GROWTH, "resident"), strict=True)
        facts = [{**two.facts, MALLOC_FACT: one.facts[MALLOC_FACT]} for one, two in both]
        taken = [
            HeapSnapshot(HeapGraph(one.graph.sections, these))
            for one, these in zip(snapshots_of(used), facts, strict=True)
        ]
        assert find_leaks(taken).unexplained.series == "resident"


def objects_of(sizes, reasons):
    """Snapshots of a list that gets one heavy element or two in each interval: MiB at each."""
    snapshots = []
    for step, size in enumerate(sizes):
        p = Planter()
        attributes = {}
        if size is not None:
            attributes["models"] = models = p.node("list", 100, key="models", length=size)
        for number in range(size or 0):
            model = p.node("bytes", MIB, key=number)
            p.prefixes[model] = number
            p.edge(models, model, K.INDEX, position=number)
        p.module("app", **attributes)
        snapshots.append(p.snapshot(timestamp=60.0 * step, reason=reasons[step]))
    return snapshots


def with_own(sizes, own_bytes, used=None):
    """Snapshots of objects of the program, and of files that memlens has open: bytes at each."""
    snapshots = []
    for step, (size, own_size) in enumerate(zip(sizes, own_bytes, strict=True)):
        p = Planter()
        own = p.node("memlens.heap.graph.snapshot_file.SectionFile", 50, key="own", flags=F.OWN)
        p.edge(own, p.node("bytes", own_size, key=("copy", step)), name="copy")
        p.native(own_size, own, library="mmap", key=("map", step))
        p.module("app", table=p.node("bytes", size, key="table"), opened=own)
        memory = {"rss_bytes": 1 << 30, "allocated_blocks": 1000}
        facts = {MALLOC_FACT: used[step]} if used else {}
        snapshots.append(p.snapshot(timestamp=60.0 * step, memory=memory, **facts))
    return snapshots


def test_open_snapshots_are_no_growth_of_objects():
    report = find_leaks(with_own([MIB] * 3, [0, 10 * MIB, 20 * MIB]))
    assert (report.verdict, report.undecided_bytes) == ("no leak", 0)
    report = find_leaks(with_own([MIB, 4 * MIB, 7 * MIB], [0, 10 * MIB, 20 * MIB]))
    assert report.undecided_bytes == 6 * MIB


def test_open_snapshots_do_not_explain_what_the_program_has_in_use():
    used = [size * MIB for size in (20, 22, 24, 26, 28)]
    taken = with_own([1000] * 5, [step * 9 * MIB for step in range(5)], used)
    growth = unexplained_growth(taken)
    assert (growth.growth_bytes, growth.objects_bytes) == (8 * MIB, 0)


SHORT_RUN = ("startup", "periodic", "periodic", "return", "exit")


@pytest.mark.parametrize(
    ("sizes", "reasons"),
    [
        ([None, 2, 4, 6], ("startup", *["periodic"] * 3)),
        ([None, 2, 4, 6, 0], SHORT_RUN),
        ([None, 2, 4, 0], ("startup", "periodic", "return", "exit")),
    ],
)
def test_heavy_growth_in_too_few_intervals_is_not_called_no_leak(sizes, reasons):
    report = find_leaks(objects_of(sizes, reasons))
    grown = max(sizes[1:]) - sizes[1]
    assert (report.verdict, report.confidence) == ("unknown", "low")
    assert report.undecided_bytes == json.loads(json.dumps(report.to_dict()))["undecided_bytes"]
    assert report.undecided_bytes >= grown * MIB
    assert "No leak" not in str(report)
    assert f"+{grown}.00 MiB in all" in str(report)
    assert max(map(len, str(report).splitlines())) <= 100


@pytest.mark.parametrize(
    ("sizes", "reasons"),
    [
        pytest.param([0, 2, 4, 4], ("startup", *["periodic"] * 3), id="it stands still"),
        pytest.param([0, 9, 9, 9, 0], SHORT_RUN, id="loaded at the start"),
        pytest.param([0, 2, 4, 3, 0], SHORT_RUN, id="it shrinks"),
        pytest.param([0, 2, 4, 5, 6, 6], ("startup", *["periodic"] * 5), id="enough intervals"),
        pytest.param([0, 0, 0, 0, 0], SHORT_RUN, id="nothing grows"),
    ],
)
def test_what_settles_or_is_seen_for_long_enough_is_no_leak(sizes, reasons):
    report = find_leaks(objects_of(sizes, reasons))
    assert (report.verdict, report.undecided_bytes) == ("no leak", 0)
    assert "No leak" in str(report)
