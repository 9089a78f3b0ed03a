"""What the leak detector says: ``Verdict``, ``LeakAlert``, ``DetectorReport``; plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from memlens._text import columns, format_bytes, format_change, format_count, format_duration

__all__ = ("DetectorReport", "LeakAlert", "Verdict")

_KINDS = {
    "python": "Python objects accumulate; compare heap snapshots to find who holds them",
    "native": "memory outside Python objects accumulates: an extension module or a C library",
    "fragmentation": "the allocators hold more while what is in use stands still: fragmentation",
    "native or fragmentation": "the Python heap stands still: native memory or fragmentation",
    "unknown": "only one series was watched, so Python and native growth cannot be told apart",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detector thinks now.

    ``state`` is ``warming`` (too early to say), ``stable``, ``growing`` (a rise worth knowing, not
    an alarm) or ``leak``. The slope, its 99.9 % interval (bytes per hour) and ``since`` (seconds on
    the caller's clock) are ``None`` unless the state is ``growing`` or ``leak``; by iterations, the
    unit of time is one reading, the slope is in bytes per reading and ``since`` is a number of
    readings. ``reason`` names the gate that spoke against a leak, empty for a leak.
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
        """Whether this is an alarm."""
        return self.state == "leak"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LeakAlert:
    """A confirmed leak: how fast, since when, how sure, and how long until the limit.

    Slopes are in bytes per hour with the 99.9 % interval of Theil and Sen; ``since`` and ``time``
    are seconds on the caller's clock. ``confidence`` is one minus the p-value of the Mann-Kendall
    test, corrected for autocorrelation. ``seconds_to_limit`` and its interval are ``None`` where no
    limit is known or where the series with the limit does not grow; the interval's upper end is
    ``inf`` where the slope's interval reaches zero. ``kind`` is ``python``, ``native``,
    ``fragmentation``, ``native or fragmentation`` or ``unknown``. By iterations, an hour is one
    reading throughout.
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
        """Return the fields as plain values, ready for JSON (an endless time is ``None``)."""
        out = asdict(self)
        interval = self.seconds_to_limit_interval
        if interval is not None:
            out["seconds_to_limit_interval"] = [
                None if end == float("inf") else end for end in interval
            ]
        return out

    def __str__(self) -> str:
        low, high = self.interval_bytes_per_hour
        unit = "reading" if self.by_iterations else "h"
        lines = [
            f"memory leak suspected in {self.series}: "
            f"{self._amount(self.slope_bytes_per_hour, signed=True)}/{unit} "
            f"(99.9 % between {self._amount(low)} and {self._amount(high)})",
            f"  {self._amount(self.growth_bytes, signed=True)} over the last {self._span()}, now at "
            f"{self._amount(self.level_bytes)}{', growing steeper' if self.steepening else ''}; "
            f"confidence {_percent(self.confidence)}",
            f"  {_KINDS[self.kind]}",
        ]
        if self.seconds_to_limit is not None and self.limit_bytes is not None:
            lines.append(f"  {self._time_left()}")
        return "\n".join(lines)

    def _amount(self, amount: float, *, signed: bool = False) -> str:
        """Return an amount of what the series is in: counts of blocks are no bytes."""
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
    """Return a confidence in percent; nothing is entirely sure."""
    return "over 99.99 %" if confidence >= 0.9999 else f"{100 * confidence:.2f} %"


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """What the detector has seen so far, at any time; sizes in bytes, times in seconds."""

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
        """The last reading less the first, in bytes."""
        if self.start_bytes is None or self.current_bytes is None:
            return None
        return self.current_bytes - self.start_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        return {**asdict(self), "growth_bytes": self.growth_bytes}

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
        return columns((self.series, ""), rows, right=(False, False))
