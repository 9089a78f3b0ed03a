"""The results of the leak detector: ``Verdict``, ``LeakAlert`` and ``DetectorReport``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from memlens._display import displayed
from memlens._table import columns
from memlens._text import fitted, format_bytes, format_change, format_count, format_duration

__all__ = ("DetectorReport", "LeakAlert", "Verdict")

_KINDS = {
    "python": "Python objects accumulate; compare heap snapshots to find their holder",
    "native": "memory outside Python objects accumulates: an extension module or a C library",
    "fragmentation": "the allocators hold more memory, but not more is in use: fragmentation",
    "native or fragmentation": "the Python heap does not grow: native memory or fragmentation",
    "steep": "memory reaches its limit before a trend is certain",
    "unknown": "Python and native growth cannot be distinguished by one series",
}


@displayed
@dataclass(frozen=True, slots=True)
class Verdict:
    """The current result of a leak detector.

    ``state`` is ``warming`` (too few readings), ``stable``, ``growing`` (a rise, but no alert) or
    ``leak``. The slope, its 99.9 % interval (bytes per hour) and ``since`` (seconds on the caller's
    clock) are None unless the state is ``growing`` or ``leak``. When readings are counted, the unit
    of time is one reading: the slope is in bytes per reading and ``since`` is a number of readings.
    ``reason`` names the gate that rejected a leak; it is empty for a leak.
    """

    state: str
    slope_bytes_per_hour: float | None = None
    interval_bytes_per_hour: tuple[float, float] | None = None
    since: float | None = None
    growth_bytes: float = 0.0
    confidence: float = 0.0
    reason: str = ""

    @property
    def is_leak(self) -> bool:
        """Whether the state is ``leak``."""
        return self.state == "leak"

    def __repr__(self) -> str:
        slope = ""
        if self.slope_bytes_per_hour is not None:
            slope = f", slope {self.slope_bytes_per_hour:+.4g}, confidence {self.confidence:.4f}"
        return f"<Verdict: {self.state}{slope}{f' ({self.reason})' if self.reason else ''}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


@displayed
@dataclass(frozen=True, slots=True)
class LeakAlert:
    """A confirmed leak: its slope, start and confidence, and the time until the limit.

    Slopes are in bytes per hour with the 99.9 % interval of Theil and Sen; ``since`` and ``time``
    are seconds on the caller's clock. ``confidence`` is one minus the p-value of the Mann-Kendall
    test, corrected for autocorrelation. ``seconds_to_limit`` and its interval are None if no limit
    is known or the limited series does not grow; the upper end of the interval is ``inf`` if the
    interval of the slope reaches zero. ``kind`` is ``python``, ``native``, ``fragmentation``,
    ``native or fragmentation``, ``steep`` (a few readings that rise fast towards the limit; their
    interval is that of all pairs) or ``unknown``. When readings are counted (``by_iterations``), read
    "reading" for "hour" throughout.
    """

    series: str
    time: float
    since: float
    level_bytes: float
    growth_bytes: float
    slope_bytes_per_hour: float
    interval_bytes_per_hour: tuple[float, float]
    confidence: float
    steepening: bool
    kind: str
    limit_bytes: float | None = None
    seconds_to_limit: float | None = None
    seconds_to_limit_interval: tuple[float, float] | None = None
    by_iterations: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values; an infinite time becomes None."""
        out = asdict(self)
        interval = self.seconds_to_limit_interval
        if interval is not None:
            out["seconds_to_limit_interval"] = [
                None if end == float("inf") else end for end in interval
            ]
        return out

    def __repr__(self) -> str:
        return f"<LeakAlert: {self.kind} growth in {self.series}, {self._slope()}>"

    def __str__(self) -> str:
        low, high = self.interval_bytes_per_hour
        lines = [
            f"{self._headline()} in {self.series}: {self._slope()} "
            f"({self._sure()}between {self._amount(low)} and {self._amount(high)})",
            f"  {self._amount(self.growth_bytes, signed=True)} over the last {self._span()}, now at "
            f"{self._amount(self.level_bytes)}{', growing steeper' if self.steepening else ''}; "
            f"confidence {_percent(self.confidence)}",
            f"  {_KINDS[self.kind]}",
        ]
        if self.seconds_to_limit is not None and self.limit_bytes is not None:
            lines.append(f"  {self._time_left()}")
        return fitted("\n".join(lines))

    def _headline(self) -> str:
        return "steep rise of memory" if self.kind == "steep" else "memory leak suspected"

    def _sure(self) -> str:
        return "" if self.kind == "steep" else "99.9 % "

    def _slope(self) -> str:
        unit = "reading" if self.by_iterations else "h"
        return f"{self._amount(self.slope_bytes_per_hour, signed=True)}/{unit}"

    def _amount(self, amount: float, *, signed: bool = False) -> str:
        """Return an amount with the unit of the series: bytes or blocks."""
        if self.series == "blocks":
            return f"{amount:{'+' if signed else ''},.0f} blocks"
        return format_change(amount) if signed else format_bytes(amount)

    def _span(self) -> str:
        span = self.time - self.since
        return (
            f"{format_count(round(span))} readings" if self.by_iterations else format_duration(span)
        )

    def _time_left(self) -> str:
        soon, late = self.seconds_to_limit_interval or (self.seconds_to_limit, None)
        assert self.seconds_to_limit is not None
        assert self.limit_bytes is not None
        assert soon is not None
        until = "unbounded" if late is None or late == float("inf") else format_duration(late)
        return (
            f"the limit of {format_bytes(self.limit_bytes)} is "
            f"{format_duration(self.seconds_to_limit)} away "
            f"(between {format_duration(soon)} and {until})"
        )


def _percent(confidence: float) -> str:
    """Return a confidence in percent; it is never shown as 100 %."""
    return "over 99.99 %" if confidence >= 0.9999 else f"{100 * confidence:.2f} %"


@displayed
@dataclass(frozen=True, slots=True)
class DetectorReport:
    """The readings and the verdict of a leak detector so far; sizes in bytes, times in seconds."""

    series: str
    verdict: Verdict
    readings: int
    rejected_readings: int
    backward_timestamps: int
    gaps: int
    duration_seconds: float
    start_bytes: float | None
    current_bytes: float | None
    alerts: int
    callback_errors: int

    @property
    def growth_bytes(self) -> float | None:
        """The last reading minus the first, in bytes; None without readings."""
        if self.start_bytes is None or self.current_bytes is None:
            return None
        return self.current_bytes - self.start_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {**asdict(self), "growth_bytes": self.growth_bytes}

    def __repr__(self) -> str:
        return (
            f"<DetectorReport: {self.series} {self.verdict.state}, {self.readings} readings,"
            f" {self.alerts} alerts>"
        )

    def __str__(self) -> str:
        if self.start_bytes is None or self.current_bytes is None:
            return f"{self.series}: no readings yet"
        growth = self.growth_bytes or 0.0
        share = f" ({100 * growth / self.start_bytes:+.2f} %)" if self.start_bytes else ""
        rows = [
            (
                "state",
                self.verdict.state + (f": {self.verdict.reason}" if self.verdict.reason else ""),
            ),
            (
                "readings",
                f"{format_count(self.readings)} in {format_duration(self.duration_seconds)}",
            ),
            ("first", format_bytes(self.start_bytes)),
            ("now", f"{format_bytes(self.current_bytes)}, {format_change(growth)}{share}"),
            ("alerts", format_count(self.alerts)),
        ]
        return columns((self.series, ""), rows, right=(False, False), wrap=True)
