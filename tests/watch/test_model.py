"""What the screen shows: readings, trend, which files are analysed, what a search finds."""

from dataclasses import replace

import pytest

from memlens._frame import Frame
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.leaks.leak_report import find_leaks
from memlens.watch.model import WatchModel
from memlens.watch.source import Reading, SourceState
from tests.watch.heaps import MIB, planted


def observed(sizes, *, seconds=1.0, limit=None):
    model = WatchModel()
    readings = [Reading(1000 + i * seconds, int(size), None, limit) for i, size in enumerate(sizes)]
    model.observe(SourceState(tuple(readings)))
    return model


def leaking():
    """A report with one suspect, which was allocated at a known place."""
    report = find_leaks(planted(4))
    path = (Frame("main", "/app/run.py", 3), Frame("open_session", "/app/sessions.py", 7))
    sites = (SiteShare(path, 30.0, 4096.0, 5),)
    return replace(report, suspects=(replace(report[0], sites=sites),))


def test_memory_names_the_change_and_the_share_of_the_limit():
    model = observed([100 * MIB, 120 * MIB], seconds=60, limit=480 * MIB)
    assert model.memory_text() == "RSS 120 MiB (+20.0 MiB in 1 min), limit 480 MiB (25 % used)"
    assert WatchModel().memory_text() == "no readings"


def test_steady_rise_is_a_trend_with_the_time_until_the_limit():
    model = observed([(100 + i) * MIB for i in range(60)], limit=219 * MIB)
    assert model.trend_text() == (
        "trend: rising, +60.0 MiB a minute, at this rate 1 min to the limit"
    )


def test_fall_is_a_trend_without_a_time():
    model = observed([(200 - i) * MIB for i in range(60)], limit=219 * MIB)
    assert model.trend_text() == "trend: falling, -60.0 MiB a minute"


def test_memory_after_the_end_of_a_program_is_not_its_own_and_there_is_no_forecast():
    model = observed([(100 + i) * MIB for i in range(60)], limit=219 * MIB)
    after = (Reading(1060, 400 * MIB, None, 219 * MIB),)
    model.observe(SourceState(after, program_ended_at=1059.5))
    assert model.memory_text().startswith("RSS 159 MiB (+59.0 MiB in 59.0 s)")
    assert model.trend_text() == "trend: rising, +60.0 MiB a minute until the end"


def test_a_process_that_has_ended_has_no_forecast():
    model = observed([(100 + i) * MIB for i in range(60)], limit=219 * MIB)
    model.observe(SourceState(is_ended=True))
    assert model.trend_text() == "trend: rising, +60.0 MiB a minute until the end"


def test_ups_and_downs_are_no_trend():
    model = observed([(100 + i * 7 % 5) * MIB for i in range(60)])
    assert model.trend_text() == "trend: none in 59.0 s"


@pytest.mark.parametrize("count", [0, 1, 7])
def test_few_readings_show_no_trend(count):
    """However steep they rise."""
    model = observed([(100 + 50 * i) * MIB for i in range(count)])
    assert model.trend_text() == "trend: more readings are needed"


def test_chart_shows_changes_but_no_noise():
    assert observed([1000 * MIB, 1003 * MIB, 1001 * MIB]).chart(10) == [0.0, 0.0, 0.0]
    assert observed([900 * MIB, 1000 * MIB, 950 * MIB]).chart(10) == [0.0, 20.0, 10.0]
    assert observed([1, 2, 3]).chart(2) == [0.0, 1.0]
    assert WatchModel().chart(10) == []


def test_readings_are_bounded_and_keep_the_first_and_the_last():
    model = WatchModel()
    for i in range(5000):
        model.observe(SourceState((Reading(i, i),)))
    assert len(model.readings) <= 601
    assert (model.readings[0].rss_bytes, model.readings[-1].rss_bytes) == (0, 4999)
    times = [reading.timestamp for reading in model.readings]
    assert times == sorted(times)


def test_files_are_analysed_once_there_are_three_and_again_when_more_come():
    model = WatchModel()
    model.observe(SourceState(files=("a", "b")))
    assert model.files_to_analyse() == ()
    assert model.verdict_text() == "2 of 3 snapshots that are needed to name a holder"
    model.observe(SourceState(files=("a", "b", "c")))
    assert model.files_to_analyse() == ("a", "b", "c")
    model.note_analysis(("a", "b", "c"), find_leaks(planted(3)), "")
    assert model.files_to_analyse() == ()
    model.observe(SourceState(files=("a", "c", "d")))
    assert model.files_to_analyse() == ("a", "c", "d")


def test_of_many_files_the_first_and_the_newest_are_analysed():
    model = WatchModel()
    files = tuple(f"{i:03}" for i in range(100))
    model.observe(SourceState(files=files))
    chosen = model.files_to_analyse()
    assert (len(chosen), chosen[0], chosen[-1]) == (16, "000", "099")
    assert list(chosen) == sorted(set(chosen))


def test_verdict_says_what_leaks_or_why_that_is_not_known():
    model = WatchModel()
    model.observe(SourceState(files=("a", "b"), is_ended=True))
    assert model.verdict_text() == "2 snapshots: 3 are needed to name a holder"
    model.note_analysis(("a",), leaking(), "")
    assert model.verdict_text() == ("Leak, confidence high: app.sessions (4 snapshots over 3 h)")
    model.note_analysis(("b",), None, "out of memory")
    assert model.verdict_text() == "not analysed: out of memory"
    assert model.report is not None, "what was found before is still shown"
    assert (model.analysed, model.reported) == (("b",), ("a",))


@pytest.mark.parametrize("text", ["", "SESSIONS", "app.Session", "unbounded", "sessions.py:7"])
def test_search_finds_holders_types_patterns_and_sites(text):
    model = WatchModel()
    model.note_analysis(("a",), leaking(), "")
    assert [suspect.holder for suspect in model.suspects(text)] == ["app.sessions"]
    assert [site.growth_bytes for site in model.sites(text)] == [4096.0]
    assert model.suspects(f"{text}?") == []
    assert model.sites(f"{text}?") == []


def test_growth_at_one_site_is_added_up_over_holders():
    report = leaking()
    other = replace(report[0], holder="app.other")
    model = WatchModel()
    model.note_analysis(("a",), replace(report, suspects=(report[0], other)), "")
    (site,) = model.sites()
    assert (site.growth_bytes, site.holder) == (8192.0, "app.sessions")
