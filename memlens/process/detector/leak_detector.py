"""Does a process leak? A robust trend test over a series of readings, in bounded memory.

``MemoryLeakDetector`` keeps the lower envelope of the readings (``envelope``), looks every few
minutes for a rise that has the shape of a leak (``examine``, ``shapes``, ``trend``), and says
``leak`` when it has seen one several times in a row.

What no method can tell apart: a healthy rise that lasts longer than the least window looks like a
leak until it ends. Set ``min_window_seconds`` above the longest healthy rise, to 26 hours for a
service with a daily season.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, isfinite

from memlens.errors import OptionError
from memlens.process.detector.alert import DetectorReport, LeakAlert, Verdict
from memlens.process.detector.forecast import kind_of_growth, time_to_limit
from memlens.process.detector.gates import GateResult, Gates
from memlens.process.detector.intake import WINDOW_BUCKETS, Intake
from memlens.process.detector.iterations import MIN_ITERATIONS, blocks_after
from memlens.process.detector.windows import dated, examine, rising

__all__ = ("DetectorReport", "LeakAlert", "MemoryLeakDetector", "Verdict", "check_iterations")

MIN_READINGS = 16
HOLD, HOLD_OF = 3, 4  # passes of the latest tests that confirm a leak
WEAK_HOLD, WEAK_HOLD_OF = 5, 6  # where the rise is ragged, as a random walk's is
_HOUR_SECONDS = 3600.0


class MemoryLeakDetector(Intake):
    """Watches one series of memory readings and says whether it leaks.

    ``observe`` takes a reading and returns the present ``Verdict``. The state is ``warming``
    until there is enough to judge, then ``stable``, ``growing`` (a rise, for information) or
    ``leak`` (an alert: the rise passed the whole test three times of four). A leak that stops is
    withdrawn after two tests in a row that fail.

    ``sample_interval`` (seconds) is what readings are apart when nothing else tells.
    ``window_size``, in readings, sets the least window and wins over ``min_window_seconds``; below
    16 it counts as 16. ``warmup_seconds`` at the start are not judged. ``growth_threshold`` is
    the least growth of an alert relative to the level, ``min_growth_bytes`` the least absolute
    one (set it for series that are not in bytes, such as counts of blocks). ``on_alert`` is called
    once for each confirmed leak; what it raises is caught, logged once and counted.

    ``limit`` (bytes, or a function that gives them or ``None``) is what the time left refers to; it
    is asked anew for every alert. ``related`` names detectors of the same process that are fed
    on the same clock: ``python`` (bytes of the Python heap), ``blocks`` (their number), ``malloc``
    (bytes in use) and ``rss``; from their joint movement an alert tells Python growth from native
    growth and fragmentation.

    **Time.** With timestamps (seconds, any epoch), windows are in seconds. Without timestamps and
    with a ``clock``, the clock is read. Without both, readings are counted: test mode for CI, with
    a warm-up of 16 readings and a least window of 42, slopes a reading, the least growth one a
    reading, and ``growth_threshold`` not applied. A timestamp a little older than the last one
    counts as the last one; one that is older by more than ten intervals is a clock set back, and a
    jump ahead by more than four buckets and ten intervals is a suspended process: in both cases
    time goes on as if one interval had passed. Readings that are negative, infinite or NaN, and
    timestamps that are infinite or NaN, are refused and counted.

    Not safe for concurrent ``observe``; ``report`` may be called from any thread. Less than 8 KiB,
    however long it runs.
    """

    __slots__ = (
        "_callback_errors",
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
        _check("sample_interval", sample_interval, above=0.0)
        _check("min_window_seconds", min_window_seconds, above=0.0)
        _check("warmup_seconds", warmup_seconds)
        _check("growth_threshold", growth_threshold)
        _check("min_growth_bytes", min_growth_bytes)
        if window_size is not None:
            _check("window_size", window_size, above=0.0)
            window_size = max(window_size, MIN_READINGS)
        super().__init__(sample_interval, window_size, warmup_seconds, min_window_seconds, clock)
        self._gates = Gates(growth_ratio=growth_threshold, growth_bytes=min_growth_bytes)
        self._on_alert = on_alert
        self._limit = limit
        self._related = dict(related or {})
        self._series = series
        self._callback_errors = self._passes = self.alerts = 0
        self.last_alert: LeakAlert | None = None

    def relate(self, name: str, detector: MemoryLeakDetector) -> None:
        """Name another detector of the same process, as ``related`` does."""
        self._related[name] = detector

    def reset(self) -> None:
        """Begin anew, as after a restart of the process that is watched; counters stay."""
        self._restart()
        self._passes = 0

    def _bucket_added(self) -> None:
        # By iterations the readings are few: the tests that confirm lie close together.
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
                self._verdict = self._verdict_of("growing", finding, "not yet held")
        elif self._verdict.state != "leak" or not self._passes & 0b10:
            self._mention(finding)

    def _mention(self, finding: GateResult) -> None:
        """Say ``growing`` where a shorter window rises, else ``stable``."""
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
                self._on_alert(alert)
            except Exception as error:  # noqa: BLE001  # watching never takes the program down
                self._note_error("on_alert", error)

    def _alert(self, finding: GateResult) -> LeakAlert:
        verdict = self._verdict
        assert verdict.slope_bytes_per_hour is not None
        assert verdict.interval_bytes_per_hour is not None
        assert verdict.since is not None
        limit = self._limit_bytes()
        left, resident = None, self._related.get("rss")
        if limit is not None and not self._by_iterations and self._tells_bytes(resident):
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

    def _tells_bytes(self, resident: MemoryLeakDetector | None) -> bool:
        """Tell whether a slope in bytes is known: a limit says nothing of counts of blocks."""
        rises = resident is not None and resident.verdict.interval_bytes_per_hour is not None
        return self._series != "blocks" or rises

    def _limit_bytes(self) -> float | None:
        try:
            limit = self._limit() if callable(self._limit) else self._limit
        except Exception as error:  # noqa: BLE001  # an alert without a limit beats no alert
            self._note_error("limit", error)
            return None
        return limit if limit is not None and 0 < limit < inf else None

    def _note_error(self, what: str, error: Exception) -> None:
        self._callback_errors += 1
        if self._callback_errors == 1:
            import logging

            logging.getLogger("memlens").warning(
                "%s of the leak detector failed: %r; later failures are only counted",
                what,
                error,
                exc_info=error,
            )

    def floor_growth_since(self, since: float) -> tuple[float, float]:
        """Return the floor's growth in bytes since an instant of the caller, and its level then."""
        start = since - self._shift
        _, lows = self._envelope.floor_between(start, inf)
        return (lows[-1] - lows[0], lows[0]) if lows else (0.0, 0.0)

    def peak_bytes(self) -> float:
        """Return how high readings reach now: the floor and the usual spread above it (90 %)."""
        spreads = sorted(self._envelope.spreads(WINDOW_BUCKETS))
        return self._low + (spreads[int(0.9 * (len(spreads) - 1))] if spreads else 0.0)

    def report(self) -> DetectorReport:
        """Return what was seen so far, at any time."""
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
            callback_errors=self._callback_errors,
        )


def _check(name: str, value: float, above: float | None = None) -> None:
    if not (isfinite(value) and (value > above if above is not None else value >= 0)):
        least = f"above {above:g}" if above is not None else "0 or more"
        raise OptionError(f"{name} must be a number {least}, got {value!r}")


def check_iterations(step: Callable[[], object], n: int = 1600) -> Verdict:
    """Call ``step`` ``n`` times and say whether the process keeps more blocks each time.

    After every ``n // 64`` calls the garbage is collected and ``sys.getallocatedblocks()`` read;
    a leak is about one block more a reading, in the shape of a leak. The slope of the verdict is
    in blocks a reading. Other threads that allocate disturb the count.

    A cache that has not met its bound yet looks like a leak: call the step at least twice as often
    as the largest bound. A leak of one block in k calls needs ``n >= 512 * k``.

    Raises ``OptionError`` for fewer than 32 calls, and whatever ``step`` raises.
    """
    if n < MIN_ITERATIONS:
        raise OptionError(f"n must be {MIN_ITERATIONS} calls or more, got {n!r}")
    blocks = blocks_after(step, n)
    # A third of the window goes to the warm-up, and the last tests need room to hold.
    detector = MemoryLeakDetector(window_size=int((len(blocks) - 3) / 1.4), series="blocks")
    for count in blocks:
        detector.observe(count)
    return detector.verdict
