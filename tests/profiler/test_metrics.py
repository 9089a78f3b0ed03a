"""The numbers for monitoring: read from a profiler that runs, has stopped, or sees a leak."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

import memlens
from memlens._core.sampler_api import why_unavailable
from memlens.allocations.profiler import AllocationProfiler
from memlens.errors import OptionError, ReadingError, TracingError
from memlens.process.limits import MemoryLimit
from memlens.profiler import metrics as module
from tests.profiler.planted import profiler_in

HOUR = 3600.0
MIB = 1 << 20


@pytest.fixture(scope="module")
def reading():
    return memlens.read_memory()


def leak_into(profiler, reading, *, hours=12, bytes_per_hour=50 * MIB, blocks_per_hour=0):
    """Give the detectors the readings of a leak."""
    for step in range(int(hours * HOUR / 10)):
        seconds = 10.0 * step
        profiler._detectors.observe(
            replace(
                reading,
                monotonic_seconds=seconds,
                rss_bytes=round(200 * MIB + bytes_per_hour * seconds / HOUR),
                allocated_blocks=round(1e6 + blocks_per_hour * seconds / HOUR),
            )
        )


def test_a_profiler_that_was_never_started_has_numbers(tmp_path):
    found = profiler_in(tmp_path).metrics()
    assert found.reading.rss_bytes > MIB
    assert found.small_object_bytes is None or found.small_object_bytes > MIB
    assert found.limit.limit_bytes is None or found.limit.limit_bytes > MIB
    assert found.sites is None
    assert found.untracked_bytes is None
    assert found.seconds_to_limit is None
    assert found.health["is_running"] is False
    assert found.gc_pauses == 0
    assert found.last_pause_seconds is None
    assert {report.series for report in found.detectors} == {"rss", "blocks"}
    assert repr(found).startswith("<ProfilerMetrics: RSS ")
    assert "rss warming" in repr(found)


def test_a_running_profiler_knows_its_sites_and_a_stopped_one_its_counters(planted, tmp_path):
    profiler = profiler_in(tmp_path, allocation_interval_bytes=1)
    with profiler:
        kept = [bytes(1000) for _ in range(100)]
        found = profiler.metrics(max_sites=3)
    assert kept
    assert found.health["is_running"]
    if why_unavailable() is None:
        assert 1 <= len(found.sites.sites) <= 3
        assert found.untracked_bytes == found.reading.rss_bytes - round(found.sites.live_bytes)
    after = profiler.metrics()
    assert after.health["snapshots_taken"] == 1
    assert after.last_pause_seconds is not None
    assert after.sites is None


def test_nothing_is_captured_or_analysed(tmp_path, monkeypatch):
    profiler = profiler_in(tmp_path)
    for name in ("take", "load"):
        monkeypatch.setattr(profiler._store, name, lambda *_: pytest.fail("a capture"))
    monkeypatch.setattr(profiler, "_lock", None)  # any use of it raises
    profiler.metrics()


def test_the_time_to_the_limit_is_known_while_a_leak_is_confirmed(tmp_path, reading):
    profiler = profiler_in(tmp_path, limit=1200 * MIB, sample_interval=10.0)
    assert profiler.metrics().seconds_to_limit is None
    leak_into(profiler, reading)  # 600 MiB in 12 hours: 400 MiB are left
    found = profiler.metrics()
    states = {report.series: report.verdict.state for report in found.detectors}
    assert states["rss"] == "leak"
    assert found.seconds_to_limit == pytest.approx(8 * HOUR, rel=0.05)


def test_a_rise_that_is_no_leak_has_no_time_to_the_limit(tmp_path, reading):
    profiler = profiler_in(tmp_path, limit=1200 * MIB, sample_interval=10.0)
    leak_into(profiler, reading, hours=2)
    assert profiler.metrics().seconds_to_limit is None


def test_a_leak_of_blocks_alone_has_no_time_to_a_limit_in_bytes(tmp_path, reading):
    profiler = profiler_in(tmp_path, limit=1200 * MIB, sample_interval=10.0)
    leak_into(profiler, reading, bytes_per_hour=0, blocks_per_hour=1e5)
    found = profiler.metrics()
    assert {one.series: one.verdict.state for one in found.detectors}["blocks"] == "leak"
    assert found.seconds_to_limit is None


def test_a_steep_rise_has_a_time_to_the_limit_at_once(tmp_path, reading):
    profiler = profiler_in(tmp_path, limit=1000 * MIB)
    leak_into(profiler, reading, hours=0.02, bytes_per_hour=36_000 * MIB)  # 10 MiB a second
    assert profiler.metrics().seconds_to_limit == pytest.approx(20.0, abs=15.0)


def test_the_limit_that_was_given_counts_the_resident_memory_of_this_process(tmp_path):
    found = profiler_in(tmp_path, limit=1 << 50).metrics()
    assert found.limit.source == "given"
    assert found.limit.headroom_bytes == (1 << 50) - found.reading.rss_bytes
    assert profiler_in(tmp_path, limit=1).metrics().limit.headroom_bytes == 0


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        (MemoryLimit(1000, "cgroup-v2", "/x", 400), 600),
        (MemoryLimit(1000, "cgroup-v2", "/x", 4000), 0),
        (MemoryLimit(1000, "cgroup-v2", "/x", None), None),
        (MemoryLimit(None, "unknown"), None),
    ],
)
def test_the_headroom_of_a_container(tmp_path, monkeypatch, limit, left):
    monkeypatch.setattr(module, "memory_limit", lambda: limit)
    assert profiler_in(tmp_path).metrics().limit == limit
    assert limit.headroom_bytes == left


def test_where_the_system_does_not_report_memory_the_rest_is_known(tmp_path, monkeypatch):
    def fail():
        raise ReadingError("no /proc")

    monkeypatch.setattr(module, "read_memory", fail)
    found = profiler_in(tmp_path, limit=1000).metrics()
    assert found.reading is None
    assert found.limit.headroom_bytes is None
    assert found.untracked_bytes is None
    assert found.health


def test_the_number_of_sites_is_checked(tmp_path):
    with pytest.raises(OptionError):
        profiler_in(tmp_path).metrics(max_sites=-1)


# -- profiles of intervals -------------------------------------------------------------------------


def test_a_profiler_without_allocations_or_that_does_not_run_has_no_interval(planted, tmp_path):
    with profiler_in(tmp_path, allocations=None) as profiler:
        assert profiler.interval_profile() is None
    assert profiler_in(tmp_path).interval_profile() is None


def test_an_interval_by_tracemalloc_has_live_memory_only(planted, tmp_path):
    with profiler_in(tmp_path, allocations="tracemalloc") as profiler:
        kept = [bytes(1000) for _ in range(100)]
        profile, start = profiler.interval_profile()
        again, _ = profiler.interval_profile(start)
    assert kept
    assert profile.total.live_bytes > 100_000
    assert profile.total.allocated_bytes is None
    assert again.facts.started_at > profile.facts.started_at


def test_tracemalloc_that_the_program_stopped_is_a_failure(planted, tmp_path):
    with profiler_in(tmp_path, allocations="tracemalloc") as profiler:
        tracemalloc.stop()
        assert profiler.interval_profile() is None
        assert profiler.health()["allocations"]["failures"] == 1


def test_a_profiler_that_stops_meanwhile_is_no_failure(planted, tmp_path, monkeypatch):
    def stop_meanwhile(self, since=None):
        self.stop()
        raise TracingError("stopped")

    with profiler_in(tmp_path, allocations="tracemalloc") as profiler:
        monkeypatch.setattr(AllocationProfiler, "interval_profile", stop_meanwhile)
        # The profile that stop() takes for itself would be made by the same method.
        monkeypatch.setattr(AllocationProfiler, "profile", lambda self: None)
        assert profiler.interval_profile() is None
        assert profiler.health()["allocations"]["failures"] == 0
