"""AllocationSource: errors are logged and never reach the program."""

from __future__ import annotations

import logging
import tracemalloc

import pytest

from memlens.errors import OptionError
from memlens.profiler import allocation_source
from memlens.profiler.allocation_source import AllocationSource
from tests.sampler import need_sampler


@pytest.fixture(autouse=True)
def nothing_logged_before(monkeypatch):
    monkeypatch.setattr(allocation_source, "_said", set())


def test_without_the_core_it_is_off_and_logs_the_reason_once(monkeypatch, caplog):
    monkeypatch.setenv("MEMLENS_PURE", "1")
    with caplog.at_level(logging.WARNING, "memlens"):
        for _ in range(3):
            source = AllocationSource("sampling")
            source.start()
            source.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "allocations are not profiled: MEMLENS_PURE=1 asks for pure Python; the sampler is C only"
    ]
    assert source.profile() is None
    assert not tracemalloc.is_tracing()
    health = source.health()
    assert (health["is_running"], health["how"]) == (False, "sampling")
    assert "MEMLENS_PURE=1" in health["off_because"]


def test_options_are_checked_with_and_without_the_core(monkeypatch):
    for pure in ("", "1"):
        monkeypatch.setenv("MEMLENS_PURE", pure)
        with pytest.raises(OptionError, match="allocations='all'"):
            AllocationSource("all")
        with pytest.raises(OptionError, match="interval_bytes"):
            AllocationSource("sampling", 0)


def test_nothing_is_logged_if_allocations_are_off(caplog):
    source = AllocationSource(None)
    source.start()
    assert source.profile() is None
    assert source.health() == {
        "is_running": False,
        "how": None,
        "off_because": "not asked for",
        "failures": 0,
    }
    source.stop()
    assert not caplog.records


def test_last_profile_stays_after_other_code_stopped_tracemalloc(caplog):
    source = AllocationSource("tracemalloc")
    source.start()
    kept = [bytes(1000) for _ in range(100)]
    assert source.profile().total.live_bytes > 100_000
    assert source.health()["off_because"] is None
    tracemalloc.stop()
    assert source.profile().total.live_bytes > 100_000  # the last profile
    assert source.health()["failures"] == 1
    source.stop()
    assert len(caplog.records) == 1
    assert len(kept) == 100


def test_each_run_starts_empty_and_keeps_its_profile_after_stop():
    need_sampler()
    source = AllocationSource("sampling", 1)
    source.start()
    source.start()
    first = [bytes(1000) for _ in range(100)]
    source.stop()
    source.stop()
    assert source.profile().total.live_bytes > 100_000
    source.start()
    second = [bytes(1000) for _ in range(10)]
    assert source.profile().total.live_bytes < 50_000
    assert source.health()["backend"] == "sampling"
    source.stop()
    assert len(first) + len(second) == 110
