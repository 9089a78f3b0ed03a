"""The timeline: readings and snapshots in one chart, with marks."""

from __future__ import annotations

from memlens._core.layout import NodeFlag
from memlens.leaks.unexplained import MALLOC_FACT
from memlens.process.history import Mark
from memlens.report.html.limits import Limits
from memlens.report.html.timeline import timeline_of
from tests.heap.planted import Planter
from tests.report.document_schema import _timeline as check_timeline
from tests.report.values import MIB, point

LIMITS = Limits()


def snapshot(timestamp, size=1000, **facts):
    planter = Planter()
    planter.root(planter.node("bytes", size), name="app")
    return planter.snapshot(timestamp=timestamp, **facts)


def series(timeline, key):
    return next(one["bytes"] for one in timeline["series"] if one["key"] == key)


def test_readings_and_snapshots_share_a_time():
    points = [point(0, 10 * MIB), point(20, 30 * MIB, 7 * MIB)]
    memory = {"rss_bytes": 20 * MIB}
    one = snapshot(5010.0, memory=memory, **{MALLOC_FACT: 5000})
    timeline = timeline_of(points, [one], [], LIMITS)
    check_timeline(timeline)
    assert timeline["start"] == 5000.0
    assert timeline["seconds"] == [0, 10, 20]
    assert series(timeline, "rss") == [10 * MIB, 20 * MIB, 30 * MIB]
    assert series(timeline, "heap") == [None, 1000, None]
    assert series(timeline, "native") == [None, 4000, None]  # beyond the object of 1,000 bytes
    assert series(timeline, "malloc") == [None, 5000, 7 * MIB]
    assert (timeline["limit_bytes"], timeline["limit_source"]) == (512 * MIB, "cgroup-v2")


def test_two_snapshots_alone_are_a_timeline_and_one_is_none():
    pair = [snapshot(10.0, 100), snapshot(70.0, 900)]
    timeline = timeline_of([], pair, [], LIMITS)
    check_timeline(timeline)
    assert [one["key"] for one in timeline["series"]] == ["heap"]
    assert timeline["limit_bytes"] is None
    assert timeline_of([], pair[:1], [], LIMITS) is None
    assert timeline_of([point(0)], [], [], LIMITS) is None


def test_what_memlens_itself_holds_is_no_part_of_the_program():
    planter = Planter()
    own = planter.node("memlens.x.Y", 50, flags=NodeFlag.OWN)
    planter.root(own, name="memlens")
    planter.edge(own, planter.node("bytes", 9000), name="copy")
    planter.native(70_000, own, library="mmap")
    planter.root(planter.node("bytes", 1000), name="app")
    facts = {MALLOC_FACT: 5000}
    taken = [planter.snapshot(timestamp=moment, **facts) for moment in (1.0, 2.0)]
    timeline = timeline_of([], taken, [], LIMITS)
    assert series(timeline, "heap") == [1000, 1000]
    assert series(timeline, "native") == [4000, 4000]
    assert [mark["label"] for mark in timeline["marks"]] == ["test: 1 objects"] * 2


def test_the_limit_of_the_user_comes_first_and_that_of_a_snapshot_last():
    points = [point(0), point(9)]
    assert timeline_of(points, [], [], LIMITS, limit_bytes=5)["limit_bytes"] == 5
    facts = {"memory": {"limit_bytes": 77, "limit_source": "physical"}}
    old = [snapshot(1.0, **facts), snapshot(2.0)]
    assert timeline_of([], old, [], LIMITS)["limit_bytes"] == 77
    without = [point(0, limit=None), point(9, limit=None)]
    assert timeline_of(without, [], [], LIMITS)["limit_bytes"] is None


def test_facts_of_a_strange_file_are_left_out():
    facts = {"memory": {"rss_bytes": "many", "limit_bytes": float("inf")}, MALLOC_FACT: True}
    timeline = timeline_of([], [snapshot(1.0, **facts), snapshot(2.0, memory=[])], [], LIMITS)
    check_timeline(timeline)
    assert [one["key"] for one in timeline["series"]] == ["heap"]
    assert timeline["limit_bytes"] is None


def test_full_collections_snapshots_and_deploys_are_marked():
    points = [
        point(0),
        point(10, collections=2),
        point(20, collections=2),
        point(30, collections=3),
    ]
    marks = [Mark(5015.0, "deploy", "version 2"), Mark(5001.0, "unheard of", "x")]
    timeline = timeline_of(points, [snapshot(5005.0)], marks, LIMITS)
    assert [(m["seconds"], m["kind"], m["label"]) for m in timeline["marks"]] == [
        (5, "snapshot", "test: 1 objects"),
        (10, "collection", "2 full collections"),
        (15, "deploy", "version 2"),
        (30, "collection", "1 full collection"),
    ]


def test_of_too_many_marks_the_collections_go_first():
    points = [point(second, collections=second) for second in range(900)]
    marks = [Mark(5000.0 + n, "deploy", f"version {n}") for n in range(450)]
    marks += [Mark(5000.5, "alert", "leak suspected"), Mark(5000.5, "alert", "leak suspected")]
    timeline = timeline_of(points, [], marks, LIMITS)
    check_timeline(timeline)
    kinds = [mark["kind"] for mark in timeline["marks"]]
    assert len(kinds) == 500
    assert kinds.count("deploy") == 450
    assert kinds.count("alert") == 1  # the same one twice
    assert max(mark["seconds"] for mark in timeline["marks"]) == 899  # the newest collections


def test_many_readings_are_thinned_and_the_peak_is_kept():
    points = [point(second, 10**9 if second == 7777 else MIB) for second in range(20_000)]
    timeline = timeline_of(points, [], [], LIMITS)
    check_timeline(timeline)
    assert max(series(timeline, "rss")) == 10**9
    assert timeline["seconds"][-1] == 19_999


def test_a_jump_of_the_wall_clock_does_not_turn_time_back():
    points = [point(0), point(10)._replace(timestamp=100.0), point(20)._replace(timestamp=110.0)]
    timeline = timeline_of(points, [], [], LIMITS)
    check_timeline(timeline)
    assert (timeline["start"], timeline["seconds"]) == (90.0, [0, 10, 20])
