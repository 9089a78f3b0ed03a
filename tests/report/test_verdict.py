"""The verdict: one sentence that is right, or says what is not known."""

from __future__ import annotations

import pytest

from memlens._core.layout import NodeFlag
from memlens.leaks.stated_bounds import BoundedHolder
from memlens.leaks.suspects import OVERDUE
from memlens.leaks.unexplained import UnexplainedGrowth
from memlens.report.html.verdict import Headroom, verdict_of
from tests.heap.planted import Planter
from tests.report.test_flame import FRAMES, profile_of
from tests.report.values import HOUR, MIB, alert, detector, leaks, suspect

ROOM = Headroom(404 * MIB, 512 * MIB)


def sentence(*arguments, **options):
    return verdict_of(*arguments, **options)["sentence"]


def test_a_leak_says_what_holds_it_and_when_the_limit_is_reached():
    verdict = verdict_of(leaks(suspect()), headroom=ROOM)
    assert verdict["sentence"] == (
        "Leak: shop.store._sessions grows by 12.0 MiB an hour and reaches the limit of 512 MiB in"
        " about 9 h."
    )
    assert (verdict["state"], verdict["confidence"]) == ("leak", "high")
    assert verdict["details"] == [
        "Confidence is high: the suspects explain most of the growth over three intervals or more."
    ]


def test_the_rates_of_all_suspects_count_against_the_limit():
    report = leaks(suspect(), suspect("shop.other", growth_bytes_per_hour=24.0 * MIB))
    assert sentence(report, headroom=ROOM) == (
        "Leak: shop.store._sessions grows by 12.0 MiB an hour (1 more suspect) and reaches the limit"
        " of 512 MiB in about 3 h."
    )


def test_the_slope_of_resident_memory_is_used_where_it_is_certain():
    assert "in about 5 h 24 min" in sentence(
        leaks(suspect()), headroom=ROOM, detectors=[detector()]
    )
    for other in (
        detector("growing"),
        detector(series="blocks"),
        detector(interval=(-1.0, 30.0 * MIB)),
        detector(slope=None, interval=None),
    ):
        assert "in about 9 h" in sentence(leaks(suspect()), headroom=ROOM, detectors=[other])


def test_the_forecast_of_an_alert_comes_first():
    said = alert(limit_bytes=600.0 * MIB, seconds_to_limit=2 * HOUR)
    text = sentence(leaks(suspect(), alert=said), headroom=ROOM)
    assert "reaches the limit of 600 MiB in about 2 h." in text


@pytest.mark.parametrize(
    ("rss", "rate", "end"),
    [
        (512 * MIB, 12.0 * MIB, "an hour; the limit of 512 MiB is reached."),
        (600 * MIB, 12.0 * MIB, "an hour; the limit of 512 MiB is reached."),
        (0, 1024.0, "an hour; at this rate it does not reach the limit of 512 MiB within a year."),
    ],
)
def test_a_limit_that_is_reached_or_far_is_said(rss, rate, end):
    report = leaks(suspect(growth_bytes_per_hour=rate))
    assert sentence(report, headroom=Headroom(rss, 512 * MIB)).endswith(end)


def test_without_a_rate_there_is_no_forecast():
    report = leaks(suspect(growth_bytes_per_hour=None), seconds=30.0)
    assert sentence(report, headroom=ROOM) == (
        "Leak: shop.store._sessions grew by 12.0 MiB (+1,200 elements) in 30.0 s."
    )


def test_without_a_limit_there_is_no_forecast():
    assert sentence(leaks(suspect())) == "Leak: shop.store._sessions grows by 12.0 MiB an hour."


def test_two_snapshots_show_a_possible_leak_without_a_forecast():
    verdict = verdict_of(leaks(suspect(), snapshot_count=2), headroom=ROOM)
    assert verdict["sentence"].startswith("Possible leak: shop.store._sessions grows by")
    assert "limit" not in verdict["sentence"]
    assert verdict["confidence"] == "low"
    assert verdict["details"][0].startswith("Two snapshots cannot distinguish a leak")


def test_overdue_objects_are_no_rate():
    report = leaks(suspect(pattern=OVERDUE, count_growth=3), snapshot_count=1)
    assert "Possible leak: shop.store._sessions keeps 3 objects alive that should" in sentence(
        report
    )


def test_no_leak_says_of_how_much_that_was_seen():
    report = leaks(bounded=(BoundedHolder("app.cache", "dict", 90, 100),))
    verdict = verdict_of(report)
    assert verdict["state"] == "no leak"
    assert verdict["sentence"] == (
        "No leak: no holder without a bound grew in every interval of 6 snapshots in 1 h."
    )
    assert verdict["details"] == ["Not leaks: app.cache bounded at 100 (holds 90)."]


def test_growth_without_a_holder_is_no_leak_of_objects():
    growth = UnexplainedGrowth("malloc", 30 * MIB, 0, 0, 5)
    verdict = verdict_of(leaks(unexplained=growth), headroom=ROOM, detectors=[detector()])
    assert verdict["state"] == "unexplained growth"
    assert verdict["sentence"] == (
        "Unexplained growth: memory in use by malloc grew by 30.0 MiB in 1 h, and no Python object"
        " holds it; memory reaches the limit of 512 MiB in about 5 h 24 min."
    )
    assert any("Look at extension modules" in text for text in verdict["details"])


def test_blocks_are_no_bytes():
    growth = UnexplainedGrowth("blocks", 5000, 0)
    assert "Unexplained growth: +5,000 allocated blocks, and" in sentence(leaks(unexplained=growth))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"not_analysed": "No process can be started."},
            "Not known: the snapshots were not analysed, because no process can be started.",
        ),
        (
            {"undecided_bytes": 3 * MIB, "snapshot_count": 3},
            "Not known: objects grew by 3.00 MiB in 3 snapshots in 1 h, which is too short to"
            " distinguish a leak from a program that loads its data.",
        ),
        (
            {"snapshot_count": 2},
            "Not known: no holder grew, but there were only 2 snapshots in 1 h.",
        ),
    ],
)
def test_what_is_not_known_is_said(fields, text):
    verdict = verdict_of(leaks(**fields))
    assert verdict["sentence"] == text
    assert verdict["state"] == "unknown"


def test_a_trend_without_snapshots_is_growth_without_a_holder():
    verdict = verdict_of(None, detectors=[detector("stable", series="blocks"), detector()])
    assert verdict["state"] == "unexplained growth"
    assert verdict["sentence"] == (
        "Memory grows: resident memory +50.0 MiB; what holds it is not known from fewer than two"
        " snapshots."
    )
    stable = verdict_of(None, detectors=[detector("stable")])
    assert (stable["state"], stable["confidence"]) == ("unknown", None)


def test_one_snapshot_a_profile_or_nothing_tell_nothing_about_leaks():
    planter = Planter()
    planter.root(planter.node("dict", 2048), name="app")
    one = verdict_of(None, snapshots=[planter.snapshot()])
    assert one["sentence"].startswith("One snapshot: 1 objects with 2.00 KiB.")
    planter.root(planter.node("memlens.x.Y", 9000, flags=NodeFlag.OWN), name="memlens")
    planter.node("list", 700, flags=NodeFlag.GARBAGE)
    assert verdict_of(None, snapshots=[planter.snapshot()])["sentence"] == one["sentence"]
    profile = verdict_of(None, allocations=profile_of([([FRAMES[0]], 4096, 9000)]))
    assert profile["sentence"].startswith("Allocation profile: 4.00 KiB are still allocated")
    nothing = verdict_of(None)
    assert {one["state"], profile["state"], nothing["state"]} == {"none"}


def test_what_was_withdrawn_is_told():
    verdict = verdict_of(leaks(), withdrawn=[leaks(suspect()), leaks(alert=alert())])
    assert verdict["details"][0] == "Withdrawn, not confirmed later: shop.store._sessions."
    assert "growth" in verdict["details"][1] or "leak" in verdict["details"][1]


def test_a_very_long_holder_is_cut():
    text = sentence(leaks(suspect("x" * 10_000)))
    assert len(text) < 400
    assert "..." in text
