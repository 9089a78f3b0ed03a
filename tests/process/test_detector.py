"""The leak detector on series whose truth is known, and on clocks that misbehave."""

from __future__ import annotations

import json
import logging
import math
import random
import sys

import pytest

import memlens.process.detector.leak_detector as detector_module
from memlens.errors import OptionError
from memlens.process.detector.leak_detector import MemoryLeakDetector, check_iterations

MIB = 1024 * 1024
HOUR = 3600


def feed(detector, shape, hours, start=0.0, step=10.0, seed=1, noise=1.0):
    """Feed ``shape(seconds)`` in MiB with noise; return the verdicts, with when they changed."""
    rng, verdicts = random.Random(seed), []
    for i in range(int(hours * HOUR / step)):
        t = i * step
        verdict = detector.observe((shape(t) + rng.gauss(0, noise)) * MIB, start + t)
        if not verdicts or verdicts[-1][1] is not verdict:
            verdicts.append((start + t, verdict))
    return verdicts


def leak_at(verdicts):
    return next((t for t, verdict in verdicts if verdict.state == "leak"), None)


def line(rate=20.0, base=200.0):
    return lambda t: base + rate * t / HOUR


@pytest.mark.parametrize("epoch", [0.0, -5e5, 1.7e9])
def test_linear_leak_is_found_in_time_with_its_slope_and_start(epoch):
    alerts = []
    verdicts = feed(MemoryLeakDetector(on_alert=alerts.append), line(), 4, start=epoch)
    assert verdicts[0][1].state == "warming"
    assert leak_at(verdicts) - epoch <= 900 + 1.25 * 7200
    (alert,) = alerts
    low, high = alert.interval_bytes_per_hour
    assert low <= 20 * MIB <= high
    assert alert.slope_bytes_per_hour == pytest.approx(20 * MIB, rel=0.1)
    assert alert.since - epoch == pytest.approx(900, abs=1200)
    assert alert.confidence > 0.999
    json.dumps(alert.to_dict())
    assert "memory leak suspected in rss: +" in str(alert)


@pytest.mark.parametrize(
    "shape",
    [
        lambda t: 200,
        lambda t: 200 + 40 * (t % 240) / 240,
        lambda t: 200 + 150 * (1 - math.exp(-t / 1800)),
        lambda t: 200 + 150 * min(t / 6000, 1),
        lambda t: 200 + (100 if t > 9000 else 0),
        lambda t: 200 + sum(30 for at in (4000, 9000, 13000, 18000) if t > at),
        lambda t: 200 + 40 * math.sin(t / 800),
        lambda t: 200 + 60 * (t % 5400) / 5400,
        lambda t: 400 - 30 * t / HOUR,
        lambda t: 200 + 20 * math.log1p(t / 60),
    ],
    ids=[
        "flat",
        "saw",
        "warm-up",
        "cache",
        "step",
        "steps",
        "season",
        "slow-saw",
        "falling",
        "logarithm",
    ],
)
def test_growth_that_is_not_a_leak_gives_no_alert(shape):
    detector = MemoryLeakDetector()
    assert leak_at(feed(detector, shape, 8)) is None
    assert detector.verdict.state in ("stable", "growing")


def test_leak_that_begins_after_days_is_found_within_hours():
    onset = 60 * HOUR
    verdicts = feed(
        MemoryLeakDetector(), lambda t: 200 + 30 * max(t - onset, 0) / HOUR, 65, step=30.0
    )
    assert onset < leak_at(verdicts) <= onset + 900 + 1.25 * 7200


def test_leak_that_stops_is_withdrawn_and_a_new_leak_is_a_new_alert():
    def shape(t):
        return 200 + 30 * (min(t, 4 * HOUR) + max(t - 12 * HOUR, 0)) / HOUR

    alerts = []
    detector = MemoryLeakDetector(on_alert=alerts.append)
    verdicts = feed(detector, shape, 17)
    at = {t: verdict.state for t, verdict in verdicts}
    assert any(state == "stable" for t, state in at.items() if 5 * HOUR < t < 12 * HOUR)
    assert len(alerts) == detector.alerts == 2
    assert alerts[1].time > 12 * HOUR
    assert alerts[1].since == pytest.approx(12 * HOUR, abs=HOUR)


def test_rise_too_short_for_an_alert_is_growing():
    verdicts = feed(MemoryLeakDetector(), line(60), 1.6)
    assert leak_at(verdicts) is None
    assert verdicts[-1][1].state == "growing"
    assert verdicts[-1][1].slope_bytes_per_hour == pytest.approx(60 * MIB, rel=0.1)


def test_time_of_a_suspended_process_is_ignored():
    """The slope is per hour of running, and instants are on the caller's clock."""
    alerts = []
    detector = MemoryLeakDetector(on_alert=alerts.append)
    rng = random.Random(5)
    for i in range(1400):
        t = i * 10.0 + (5 * HOUR if i >= 500 else 0)
        detector.observe((200 + 20 * i / 360 + rng.random()) * MIB, t)
    assert detector.report().gaps == 1
    assert alerts[0].slope_bytes_per_hour == pytest.approx(20 * MIB, rel=0.1)
    assert alerts[0].since == pytest.approx(900, abs=600)
    assert alerts[0].time > 5 * HOUR


def test_backward_clocks_and_invalid_readings_are_counted_and_ignored():
    detector = MemoryLeakDetector()
    rng = random.Random(2)
    for i in range(1200):
        t = 1e6 + i * 10.0 - (50_000 if i >= 600 else 0)  # set back by hours
        detector.observe((200 + 20 * i / 360 + rng.random()) * MIB, t)
        if i % 50 == 20:
            detector.observe((200 + 20 * i / 360) * MIB, t - 15)  # a little late
        for bad in (float("nan"), -1.0, float("inf")):
            detector.observe(bad, t)
        detector.observe(1.0, float("nan"))
    assert detector.verdict.state == "leak"
    assert detector.verdict.slope_bytes_per_hour == pytest.approx(20 * MIB, rel=0.1)
    report = detector.report()
    assert report.rejected_readings == 4 * 1200
    assert report.backward_timestamps == 24 + 1
    assert report.readings == 1200 + 24


def test_readings_far_apart_are_not_gaps():
    detector = MemoryLeakDetector()
    verdicts = feed(detector, line(), 30, step=900.0)
    assert detector.report().gaps <= 1
    assert leak_at(verdicts) is not None
    assert detector.verdict.slope_bytes_per_hour == pytest.approx(20 * MIB, rel=0.1)


def test_window_size_overrides_the_minimum_window():
    detector = MemoryLeakDetector(window_size=120, warmup_seconds=300.0)
    assert leak_at(feed(detector, line(300), 1)) <= 300 + 1.3 * 1200
    patient = MemoryLeakDetector(min_window_seconds=26 * HOUR)
    assert leak_at(feed(patient, line(), 20, step=60.0)) is None


def test_growth_below_the_threshold_gives_no_alert():
    assert leak_at(feed(MemoryLeakDetector(growth_threshold=0.2), line(8), 5, noise=0.1)) is None
    assert leak_at(feed(MemoryLeakDetector(growth_threshold=0.01), line(8), 5, noise=0.1))


def test_time_to_limit_uses_the_peaks_and_the_current_limit():
    limits = iter([2048 * MIB])
    detector = MemoryLeakDetector(limit=lambda: next(limits))
    feed(detector, lambda t: 200 + 60 * t / HOUR + 100 * (t % 100) / 100, 3)
    alert = detector.last_alert
    truth = (2048 * MIB - alert.level_bytes) / (60 * MIB) * HOUR
    assert alert.seconds_to_limit == pytest.approx(truth, rel=0.1)
    soon, late = alert.seconds_to_limit_interval
    assert soon <= alert.seconds_to_limit <= late
    assert "the limit of 2.00 GiB is" in str(alert)


def test_failing_limit_and_callback_are_logged_once_each_and_counted(caplog):
    def fail(*_):
        raise RuntimeError("broken")

    detector = MemoryLeakDetector(limit=fail, on_alert=fail)
    with caplog.at_level(logging.WARNING, "memlens"):
        feed(detector, line(), 4)
    assert detector.verdict.state == "leak"
    assert detector.last_alert.seconds_to_limit is None
    assert detector.report().callback_errors == 2
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "limit of the leak detector failed",
        "on_alert of the leak detector failed",
    ]


@pytest.mark.parametrize(
    ("python", "malloc", "kind"),
    [
        (20, 20, "python"),
        (0, 20, "native"),
        (0, 0, "fragmentation"),
        (0, None, "native or fragmentation"),
        (None, None, "unknown"),
    ],
)
def test_related_series_distinguish_python_from_native_growth(python, malloc, kind):
    rates = {"python": python, "malloc": malloc}
    related = {name: MemoryLeakDetector() for name, rate in rates.items() if rate is not None}
    detector = MemoryLeakDetector(related=related)
    for i in range(1000):
        for name, other in related.items():
            other.observe((100 + rates[name] * i / 360) * MIB, i * 10.0)
        detector.observe((300 + 20 * i / 360) * MIB, i * 10.0)
    assert detector.last_alert.kind == kind


def test_block_counts_are_compared_by_relative_growth():
    blocks = MemoryLeakDetector(series="blocks", min_growth_bytes=100)
    detector = MemoryLeakDetector(related={"blocks": blocks})
    for i in range(1000):
        blocks.observe(100_000 + 40 * i, i * 10.0)
        detector.observe((300 + 20 * i / 360) * MIB, i * 10.0)
    assert detector.last_alert.kind == blocks.last_alert.kind == "python"


def test_64_readings_without_timestamps_are_enough():
    leaking, flat = MemoryLeakDetector(), MemoryLeakDetector()
    rng = random.Random(9)
    for i in range(64):
        leaking.observe(100_000 + 3 * i + rng.randrange(3))
        flat.observe(100_000 + rng.randrange(30))
    assert leaking.verdict.state == "leak"
    assert leaking.verdict.slope_bytes_per_hour == pytest.approx(3, rel=0.1)
    assert "/reading" in str(leaking.last_alert)
    assert flat.verdict.state == "stable"


def test_clock_is_read_if_no_timestamp_is_given():
    now = [0.0]
    detector = MemoryLeakDetector(clock=lambda: now[0])
    for _ in range(1000):
        detector.observe((200 + 20 * now[0] / HOUR) * MIB)
        now[0] += 10
    assert detector.verdict.slope_bytes_per_hour == pytest.approx(20 * MIB, rel=0.01)


def test_report_is_available_at_any_time():
    detector = MemoryLeakDetector(series="heap")
    assert str(detector.report()) == "heap: no readings yet"
    feed(detector, line(), 0.5)
    report = detector.report()
    assert report.readings == 180
    assert report.growth_bytes == report.current_bytes - report.start_bytes
    json.dumps(report.to_dict())
    assert max(len(row) for row in str(report).splitlines()) <= 100


def test_reset_forgets_the_readings():
    detector = MemoryLeakDetector()
    feed(detector, line(), 4)
    detector.reset()
    assert detector.verdict.state == "warming"
    assert leak_at(feed(detector, line(), 4)) == pytest.approx(155 * 60, abs=1200)
    assert detector.alerts == 2


@pytest.mark.parametrize(
    "options",
    [
        {"sample_interval": 0},
        {"sample_interval": float("nan")},
        {"window_size": 0},
        {"warmup_seconds": -1},
        {"min_window_seconds": 0},
        {"growth_threshold": -0.1},
        {"sample_interval": "10"},
        {"window_size": 1.5},
        {"limit": "1 GiB"},
        {"on_alert": "print"},
        {"clock": 5},
    ],
)
def test_option_out_of_range_is_refused_by_name(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        MemoryLeakDetector(**options)


@pytest.mark.parametrize(
    ("value", "timestamp", "message"),
    [
        ("5", 3.0, "value_bytes must be a number; got '5'"),
        (None, 3.0, "value_bytes must be a number; got None"),
        (5.0, "3", "timestamp must be a number; got '3'"),
    ],
)
@pytest.mark.parametrize("readings", [0, 2])
def test_reading_that_is_not_a_number_is_an_option_error(value, timestamp, message, readings):
    detector = MemoryLeakDetector()
    for number in range(readings):
        detector.observe(1e6, float(number))
    with pytest.raises(OptionError, match=message):
        detector.observe(value, timestamp)
    assert detector.report().readings == readings


def test_state_does_not_grow_and_stays_under_8_kib():
    detector = MemoryLeakDetector()
    feed(detector, line(), 4)
    early = _size(detector)
    feed(detector, line(), 300, start=5 * HOUR, step=60.0)
    assert _size(detector) <= early + 256
    assert _size(detector) <= 8192


def _size(value, seen=None):
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, type) or callable(value):
        return 0
    seen.add(id(value))
    size = sys.getsizeof(value)
    for slot in {s for c in type(value).__mro__ for s in getattr(c, "__slots__", ())}:
        size += _size(getattr(value, slot, None), seen)
    if isinstance(value, (tuple, list)):
        size += sum(_size(item, seen) for item in value)
    return size


@pytest.mark.parametrize("n", [32, 50, 64, 100, 127, 640])
@pytest.mark.usefixtures("frozen_heap")
def test_check_iterations_finds_a_step_that_keeps_objects(n):
    kept = []
    verdict = check_iterations(lambda: kept.append(object()), n)
    assert verdict.state == "leak"
    assert verdict.slope_bytes_per_hour == pytest.approx(max(1, n // 64))


@pytest.mark.usefixtures("frozen_heap")
def test_check_iterations_accepts_a_step_that_keeps_a_bounded_number():
    kept = {}

    def bounded():
        kept[len(kept) % 100] = object()

    assert check_iterations(lambda: [object() for _ in range(10)], 640).state == "stable"
    assert check_iterations(bounded, 1600).state == "stable"


def test_check_iterations_raises_errors_of_the_step_and_for_too_few_calls():
    with pytest.raises(ZeroDivisionError):
        check_iterations(lambda: 1 / 0, 64)
    with pytest.raises(OptionError, match="n must be a whole number, 32 or more; got 5"):
        check_iterations(lambda: None, 5)


def test_all_lists_existing_names():
    assert detector_module.__all__ == tuple(sorted(detector_module.__all__))
    assert all(hasattr(detector_module, name) for name in detector_module.__all__)
