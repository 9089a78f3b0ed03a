"""The modes of AllocationSource, and what happens when allocations cannot be profiled."""

from __future__ import annotations

import logging
import tracemalloc

import pytest

from memlens.errors import OptionError
from memlens.profiler.allocation_source import AllocationSource
from tests.sampler import need_sampler


@pytest.fixture(autouse=True)
def no_warnings_given_yet(monkeypatch):
    monkeypatch.setattr("memlens._log._warned", set())


def test_without_the_sampler_it_is_off_and_the_reason_is_logged_once_and_in_health(
    monkeypatch, caplog
):
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
    assert (health["is_running"], health["mode"]) == (False, "sampling")
    assert "MEMLENS_PURE=1" in health["off_reason"]


def test_options_are_checked_with_and_without_the_core(monkeypatch):
    for pure in ("", "1"):
        monkeypatch.setenv("MEMLENS_PURE", pure)
        with pytest.raises(OptionError, match="allocations must be one of"):
            AllocationSource("all")
        with pytest.raises(OptionError, match="interval"):
            AllocationSource("sampling", 0)


def test_mode_none_is_off_and_logs_nothing(caplog):
    source = AllocationSource(None)
    source.start()
    assert source.profile() is None
    assert source.health() == {
        "is_running": False,
        "mode": None,
        "off_reason": "not requested",
        "failures": 0,
    }
    source.stop()
    assert not caplog.records


def test_last_profile_is_kept_if_the_program_stops_tracemalloc(caplog):
    source = AllocationSource("tracemalloc")
    source.start()
    kept = [bytes(1000) for _ in range(100)]
    assert source.profile().total.live_bytes > 100_000
    assert source.health()["off_reason"] is None
    tracemalloc.stop()
    assert source.profile().total.live_bytes > 100_000
    assert source.health()["failures"] == 1
    source.stop()
    assert len(caplog.records) == 1
    assert len(kept) == 100


def test_each_run_starts_empty_and_its_profile_is_kept_after_stop():
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
