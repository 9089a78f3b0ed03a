"""The leak detector: a robust trend test over a series of readings, in bounded memory.

``MemoryLeakDetector`` keeps the lower envelope of the readings (``envelope``), searches it every
few minutes for a rise with the shape of a leak (``windows``, ``gates``, ``trend``), and reports
``leak`` after finding one several times in a row.

No method can distinguish a leak from a healthy rise that lasts longer than the minimum window. Set
``min_window_seconds`` above the longest healthy rise: 26 hours for a service with a daily season.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from memlens._log import FailureLog
from memlens._options import (
    check_callable,
    check_integer,
    check_number,
    check_seconds,
    check_text,
)
from memlens._own_thread import call_program
from memlens.process.detector.alert import DetectorReport, LeakAlert, Verdict
from memlens.process.detector.forecast import kind_of_growth, time_to_limit
from memlens.process.detector.gates import GateResult, Gates
from memlens.process.detector.intake import WINDOW_BUCKETS, Intake
from memlens.process.detector.iterations import MIN_ITERATIONS, blocks_after
from memlens.process.detector.windows import dated, examine, rising

__all__ = ("DetectorReport", "LeakAlert", "MemoryLeakDetector", "Verdict", "check_iterations")

MIN_READINGS = 16
HOLD, HOLD_OF = 3, 4  # a leak is confirmed if 3 of the last 4 tests pass
WEAK_HOLD, WEAK_HOLD_OF = 5, 6  # for a ragged rise, such as a random walk
_HOUR_SECONDS = 3600.0


class MemoryLeakDetector(Intake):
    """Tests whether one series of memory readings has the trend of a leak.

    `observe` adds a reading and returns the current `Verdict`. The state is ``warming`` while there
    are too few readings, then ``stable``, ``growing`` (a rise, for information) or ``leak`` (an
    alert: three of the last four tests passed). A leak is withdrawn after two failed tests in a row.

    ``sample_interval`` is the assumed time between readings in seconds, until it is measured.
    ``window_size``, in readings, sets the minimum window and overrides ``min_window_seconds``; the
    smallest value is 16. The first ``warmup_seconds`` are not tested. ``growth_threshold`` is the
    minimum growth of an alert relative to the level, ``min_growth_bytes`` the minimum absolute
    growth (set it for series that are not in bytes, such as block counts). ``on_alert`` is called
    once for each confirmed leak; its exceptions are caught, counted, and logged once.

    ``limit`` is the memory limit in bytes for the remaining time, or a function that returns it or
    None and is called for every alert. ``related`` maps names to detectors of the same process on
    the same clock: ``python`` (bytes of the Python heap), ``blocks`` (number of blocks), ``malloc``
    (bytes in use) and ``rss``. By comparing them an alert distinguishes Python growth from native
    growth and fragmentation.

    **Time.** With timestamps (seconds, any epoch), windows are in seconds. Without timestamps, the
    ``clock`` is read. Without either, readings are counted, which is meant for tests in CI: the
    warm-up is 16 readings, the minimum window 42, slopes are per reading, the minimum growth is one
    per reading, and ``growth_threshold`` does not apply. A timestamp slightly older than the last
    one counts as the last one. A timestamp older by more than ten intervals means that the clock
    was set back; a jump ahead by more than four buckets and ten intervals means that the process
    was suspended. In both cases time continues as if one interval had passed. Readings that are
    negative, infinite or NaN, and timestamps that are infinite or NaN, are rejected and counted.

    Concurrent calls of `observe` are not safe; `report` may be called from any thread. Uses less
    than 8 KiB, however long it runs. Raises ``OptionError`` for options that are out of range.
    """

    __slots__ = (
        "_failures",
        "_gates",
        "_limit",
        "_on_alert",
        "_passes",
        "_related",
        "_series",
        "alerts",
        "last_alert",
    )

    def __init__(
        self,
        sample_interval: float = 10.0,
        window_size: int | None = None,
        warmup_seconds: float = 900.0,
        min_window_seconds: float = 7200.0,
        growth_threshold: float = 0.01,
        on_alert: Callable[[LeakAlert], object] | None = None,
        clock: Callable[[], float] | None = None,
        *,
        min_growth_bytes: float = 2.0 * 1024 * 1024,
        limit: float | Callable[[], float | None] | None = None,
        related: Mapping[str, MemoryLeakDetector] | None = None,
        series: str = "rss",
    ) -> None:
        sample_interval = check_seconds("sample_interval", sample_interval)
        min_window_seconds = check_seconds("min_window_seconds", min_window_seconds)
        warmup_seconds = check_seconds("warmup_seconds", warmup_seconds, 0)
        growth_threshold = check_number("growth_threshold", growth_threshold, 0)
        min_growth_bytes = check_number("min_growth_bytes", min_growth_bytes, 0, unit="bytes")
        if window_size is not None:
            window_size = max(check_integer("window_size", window_size, 1), MIN_READINGS)
        for name, function in (("on_alert", on_alert), ("clock", clock)):
            if function is not None:
                check_callable(name, function)
        if limit is not None and not callable(limit):
            limit = check_number("limit", limit, 0, unit="bytes", allow_infinity=True)
        super().__init__(sample_interval, window_size, warmup_seconds, min_window_seconds, clock)
        self._gates = Gates(growth_ratio=growth_threshold, growth_bytes=min_growth_bytes)
        self._on_alert = on_alert
        self._limit = limit
        self._related = dict(related or {})
        self._series = check_text("series", series)
        self._failures = FailureLog()
        self._passes = self.alerts = 0
        self.last_alert: LeakAlert | None = None

    def relate(self, name: str, detector: MemoryLeakDetector) -> None:
        """Add another detector of the same process to ``related``."""
        self._related[name] = detector

    def reset(self) -> None:
        """Forget all readings, as after a restart of the observed process. Keeps the counters."""
        self._restart()
        self._passes = 0

    def _bucket_added(self) -> None:
        # When readings are counted there are few of them, so the tests are closer together.
        steps = 24 if self._by_iterations else 12
        if self._envelope.buckets % max(1, int(self._window / self._width / steps + 0.5)) == 0:
            self._test()

    def _present_gates(self) -> Gates:
        if not self._by_iterations:
            return self._gates
        return self._gates._replace(growth_ratio=0.0, growth_bytes=0.75 * self._window)

    def _test(self) -> None:
        finding = examine(self._envelope, self._window, self._present_gates())
        passed = not finding.failed
        self._passes = (self._passes << 1 | passed) & 0xFF
        if passed:
            hold, of = (WEAK_HOLD, WEAK_HOLD_OF) if finding.weak else (HOLD, HOLD_OF)
            held = (self._passes & ((1 << of) - 1)).bit_count() >= hold
            if held or self._verdict.state == "leak":
                self._confirm(finding)
            else:
                self._verdict = self._verdict_of("growing", finding, "not confirmed yet")
        elif self._verdict.state != "leak" or not self._passes & 0b10:
            self._set_unconfirmed(finding)

    def _set_unconfirmed(self, finding: GateResult) -> None:
        """Set the verdict to ``growing`` if a shorter window rises, else to ``stable``."""
        short = rising(self._envelope, (self._window / 2, self._window / 4), self._present_gates())
        if not short.failed:
            self._verdict = self._verdict_of("growing", short, "window too short for an alert")
        elif short.failed == finding.failed == "too short":
            self._verdict = Verdict("warming", reason="too few readings to judge")
        else:
            reason = finding.failed if finding.failed != "too short" else short.failed
            self._verdict = Verdict("stable", growth_bytes=finding.growth_bytes, reason=reason)

    def _verdict_of(self, state: str, finding: GateResult, reason: str = "") -> Verdict:
        finding = dated(finding)
        assert finding.trend is not None
        unit = 1.0 if self._by_iterations else _HOUR_SECONDS
        slope = finding.trend
        return Verdict(
            state,
            slope.slope * unit,
            (slope.low * unit, slope.high * unit),
            self._callers_time(finding.times[0]),
            finding.lows[-1] - finding.lows[0],
            1 - slope.p_value,
            reason,
        )

    def _confirm(self, finding: GateResult) -> None:
        known = self._verdict.state == "leak"
        self._verdict = self._verdict_of("leak", finding)
        if known:
            return
        self.alerts += 1
        self.last_alert = alert = self._alert(finding)
        if self._on_alert is not None:
            try:
                call_program(self._on_alert, alert)
            except Exception as error:  # noqa: BLE001  # must not disturb the program
                self._failures.note("on_alert of the leak detector failed", error)

    def _alert(self, finding: GateResult) -> LeakAlert:
        verdict = self._verdict
        assert verdict.slope_bytes_per_hour is not None
        assert verdict.interval_bytes_per_hour is not None
        assert verdict.since is not None
        limit = self._limit_bytes()
        left, resident = None, self._related.get("rss")
        if limit is not None and not self._by_iterations and self._has_slope_in_bytes(resident):
            left = time_to_limit(self, limit, resident)
        return LeakAlert(
            series=self._series,
            time=self._last_time,
            since=verdict.since,
            level_bytes=self._last_value,
            growth_bytes=verdict.growth_bytes,
            slope_bytes_per_hour=verdict.slope_bytes_per_hour,
            interval_bytes_per_hour=verdict.interval_bytes_per_hour,
            confidence=verdict.confidence,
            steepening=finding.steepening,
            kind=kind_of_growth(self._series, self, self._related, verdict.since),
            limit_bytes=limit,
            seconds_to_limit=left[0] if left else None,
            seconds_to_limit_interval=left[1] if left else None,
            by_iterations=self._by_iterations,
        )

    def _has_slope_in_bytes(self, resident: MemoryLeakDetector | None) -> bool:
        """Return whether a slope in bytes is known: a limit does not apply to block counts."""
        rises = resident is not None and resident.verdict.interval_bytes_per_hour is not None
        return self._series != "blocks" or rises

    def _limit_bytes(self) -> float | None:
        try:
            limit = self._limit() if callable(self._limit) else self._limit
        except Exception as error:  # noqa: BLE001  # an alert without a limit is better than none
            self._failures.note("limit of the leak detector failed", error)
            return None
        return limit if limit is not None and 0 < limit < inf else None

    def floor_growth_since(self, since: float) -> tuple[float, float]:
        """Return the growth of the floor in bytes since ``since``, and its level at that time."""
        start = since - self._shift
        _, lows = self._envelope.floor_between(start, inf)
        return (lows[-1] - lows[0], lows[0]) if lows else (0.0, 0.0)

    def peak_bytes(self) -> float:
        """Return the current height of the peaks: the floor plus the usual spread above it (90 %)."""
        spreads = sorted(self._envelope.spreads(WINDOW_BUCKETS))
        return self._low + (spreads[int(0.9 * (len(spreads) - 1))] if spreads else 0.0)

    def report(self) -> DetectorReport:
        """Return the verdict and the counters so far. May be called at any time."""
        empty = self._first_time == -inf
        return DetectorReport(
            series=self._series,
            verdict=self._verdict,
            readings=self._readings + self._in_bucket,
            rejected_readings=self._rejected,
            backward_timestamps=self._backward,
            gaps=self._gaps,
            duration_seconds=0.0 if empty else self._last_time - self._shift - self._first_time,
            start_bytes=None if empty else self._first_value,
            current_bytes=None if empty else self._last_value,
            alerts=self.alerts,
            callback_errors=self._failures.count,
        )

    def __repr__(self) -> str:
        readings = self._readings + self._in_bucket
        return (
            f"<MemoryLeakDetector: {self._series} {self._verdict.state}, {readings} readings,"
            f" {self.alerts} alerts>"
        )


def check_iterations(step: Callable[[], object], n: int = 1600) -> Verdict:
    """Call ``step`` ``n`` times and test whether the process keeps more blocks each time.

    After every ``n // 64`` calls, garbage is collected and ``sys.getallocatedblocks()`` is read. A
    leak adds about one block per reading. The slope of the verdict is in blocks per reading. Other
    threads that allocate disturb the count.

    A cache that has not reached its bound looks like a leak: ``n`` should be at least twice the
    largest bound. A leak of one block in k calls needs ``n >= 512 * k``.

    Raises ``OptionError`` if ``n`` is below 32. Exceptions of ``step`` pass unchanged.
    """
    check_callable("step", step)
    check_integer("n", n, MIN_ITERATIONS)
    blocks = blocks_after(step, n)
    # The warm-up takes a third of the window, and the last tests need room to be confirmed.
    detector = MemoryLeakDetector(window_size=int((len(blocks) - 3) / 1.4), series="blocks")
    for count in blocks:
        detector.observe(count)
    return detector.verdict
