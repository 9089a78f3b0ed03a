"""Public classes of the process and profiler packages have a short one-line ``repr``."""

from __future__ import annotations

import memlens
from memlens.process import MemorySampler, SamplerHealth, Verdict, breakdown, memory_limit


def check(value, *expected):
    text = repr(value)
    assert "\n" not in text
    assert " at 0x" not in text
    assert len(text) < 400
    for part in (type(value).__name__, *expected):
        assert part in text


def test_values_of_the_process_package():
    check(memlens.read_memory(), "RSS", "blocks")
    limit = memory_limit()
    check(limit, str(limit))
    check(breakdown(), "resident (RSS)")
    check(breakdown().rss, "resident (RSS): ")
    check(Verdict("stable", reason="no trend"), "stable (no trend)")
    assert "slope +2" in repr(Verdict("leak", 2.0, (1.0, 3.0), 0.0, 10.0, 0.999))


def test_sampler_and_detector():
    sampler = MemorySampler(sample_interval=10.0)
    check(sampler, "every 10 s", "0 readings", "stopped")
    health = sampler.health()
    assert isinstance(health, SamplerHealth)
    check(health, "0 readings, 0 errors, stopped")
    detector = memlens.MemoryLeakDetector()
    for number in range(100):
        detector.observe(1e6 + 10 * number)
    check(detector, "rss leak", "100 readings")
    check(detector.verdict, "leak, slope +10")
    check(detector.report(), "rss leak", "1 alerts")
    check(detector.last_alert, "unknown growth in rss, +10 B/reading")


def test_profiler_and_its_results(tmp_path, planted):
    profiler = memlens.MemoryProfiler(tmp_path)
    record = profiler.take_snapshot()
    check(profiler, str(tmp_path), "1 snapshots", "stopped")
    check(record, "objects", record.path)
    check(profiler.report(), "1 snapshots", "no leak analysis")
    profiler.take_snapshot()
    check(profiler.report(), "2 snapshots", "suspects")
