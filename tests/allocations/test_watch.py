"""AllocationSource: the allocation side of a profiler, which never takes the program down."""

from __future__ import annotations

import logging
import tracemalloc

import pytest

from memlens.errors import OptionError
from memlens.profiler import allocation_source as watch
from memlens.profiler.allocation_source import AllocationSource
from tests.sampler import need_sampler


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(watch, "_said", set())


def test_without_the_core_it_is_off_says_so_once_and_its_health_tells_why(monkeypatch, caplog):
    monkeypatch.setenv("MEMLENS_PURE", "1")
    with caplog.at_level(logging.WARNING, "memlens"):
        for _ in range(3):
            watched = AllocationSource("sampling")
            watched.start()
            watched.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "allocations are not profiled: MEMLENS_PURE=1 asks for pure Python; the sampler is C only"
    ]
    assert watched.profile() is None
    assert not tracemalloc.is_tracing()
    health = watched.health()
    assert (health["is_running"], health["how"]) == (False, "sampling")
    assert "MEMLENS_PURE=1" in health["off_because"]


def test_options_are_checked_with_and_without_the_core(monkeypatch):
    for pure in ("", "1"):
        monkeypatch.setenv("MEMLENS_PURE", pure)
        with pytest.raises(OptionError, match="allocations='all'"):
            AllocationSource("all")
        with pytest.raises(OptionError, match="sample_interval"):
            AllocationSource("sampling", 0)


def test_off_is_off_without_a_word(caplog):
    watched = AllocationSource(None)
    watched.start()
    assert watched.profile() is None
    assert watched.health() == {
        "is_running": False,
        "how": None,
        "off_because": "not asked for",
        "failures": 0,
    }
    watched.stop()
    assert not caplog.records


def test_tracemalloc_where_it_is_asked_for_and_stopped_by_somebody_else(caplog):
    watched = AllocationSource("tracemalloc")
    watched.start()
    kept = [bytes(1000) for _ in range(100)]
    assert watched.profile().total.live_bytes > 100_000
    assert watched.health()["off_because"] is None
    tracemalloc.stop()
    assert watched.profile().total.live_bytes > 100_000  # the last one that there was
    assert watched.health()["failures"] == 1
    watched.stop()
    assert len(caplog.records) == 1
    assert len(kept) == 100


def test_a_run_begins_empty_and_its_profile_stays_after_the_end():
    need_sampler()
    watched = AllocationSource("sampling", 1)
    watched.start()
    watched.start()
    first = [bytes(1000) for _ in range(100)]
    watched.stop()
    watched.stop()
    assert watched.profile().total.live_bytes > 100_000
    watched.start()
    second = [bytes(1000) for _ in range(10)]
    assert watched.profile().total.live_bytes < 50_000
    assert watched.health()["backend"] == "sampling"
    watched.stop()
    assert len(first) + len(second) == 110
