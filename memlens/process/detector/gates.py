"""The gates: criteria that separate a leak from other kinds of growth.

A significant trend is not always a leak: a warm-up, a filling cache, a step, a season and a slow
sawtooth have one, too. ``judge`` examines a window of the floor (``envelope``) and returns the gate
that rejects it, or accepts it as a leak. A leak rises significantly, never releases its growth,
spreads the growth over the whole window, continues at the end, and does not settle.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from memlens.process.detector.envelope import Floor, thinned
from memlens.process.detector.trend import (
    Z_90,
    Trend,
    effective_increments,
    robust_deviation,
    sen_slope,
    suffix_minimum,
    trend,
)

__all__ = ("GateResult", "Gates", "judge")

MAX_POINTS = 36  # per window: enough for the test, few enough for quadratic work
MIN_POINTS = 12


class Gates(NamedTuple):
    """The thresholds of the gates."""

    growth_ratio: float = 0.01  # growth relative to the level
    growth_bytes: float = 2.0 * 1024 * 1024
    noise_factor: float = 3.0  # growth relative to the spread around the trend
    spread: float = 6.0  # increments over which the growth is spread
    spread_share: float = 0.1
    settling: float = 0.6  # a slope below this share of the previous slope is settling
    settling_power: float = 0.65
    clear_spread: float = 4.0
    tail: float = 0.4
    cliff_windows: float = 1.5
    new_high: float = 0.5  # share of the growth that must lie above every earlier value


class Past(Protocol):
    """The time before a window, as the gates need it."""

    began: float

    def highest_floor_before(self, time: float) -> float:
        """Return the highest floor before ``time``; -inf if there is none."""

    def floor_between(self, start: float, end: float) -> Floor:
        """Return the floor from ``start`` to before ``end``."""


class GateResult(NamedTuple):
    """The result for a window: ``failed`` names the gate that rejected it; '' for a leak."""

    failed: str
    growth_bytes: float = 0.0
    trend: Trend | None = None
    times: Sequence[float] = ()
    lows: Sequence[float] = ()
    steepening: bool = False
    weak: bool = False
    seasonal: bool = False


def judge(
    floor: Floor,
    start: int,
    min_span: float,
    past: Past,
    gates: Gates,
) -> GateResult:
    """Decide whether the floor from point ``start`` on rises as a leak does.

    The window is cut at the last instant at which the floor was at its lowest, because memory that
    was gained before has been released; the remaining part must still last ``min_span`` seconds.
    ``past`` provides the floor before the window. Cheap gates come first: one of the first three
    rejects most windows of a healthy process.
    """
    times, lows = thinned((floor[0][start:], floor[1][start:]), MAX_POINTS)
    if len(times) < MIN_POINTS or times[-1] - times[0] < 0.85 * min_span:
        return GateResult("too short")
    kept = suffix_minimum(lows)
    lowest = bisect_right(kept, kept[0]) - 1
    # Compare at equal widths: the floor of a narrow bucket is higher than that of a wide one.
    peak = max([past.highest_floor_before(times[0]), *lows[:lowest]])
    times, lows, kept = times[lowest:], lows[lowest:], kept[lowest:]
    count = len(times)
    if count < MIN_POINTS or times[-1] - times[0] < 0.85 * min_span:
        return GateResult("no lasting rise")
    kept = kept[: count - max(1, count // 10)]  # the last minima may still fall
    growth = kept[-1] - kept[0]
    if growth < max(gates.growth_bytes, gates.growth_ratio * kept[0]):
        return GateResult("too little growth", growth)
    if effective_increments(kept) < max(gates.spread, gates.spread_share * count):
        return GateResult("a step", growth)
    begin = bisect_left(floor[0], times[0])
    if kept[-1] - peak < gates.new_high * growth and not (
        times[-1] - times[0] >= gates.cliff_windows * min_span
        and _fell_at_once(floor[1][max(0, begin - 3) : begin], lows[0], peak)
    ):
        return GateResult("no new high", growth)
    found = trend(times, lows)
    if found.low <= 0:
        return GateResult("no trend", growth, found)
    residuals = [v - found.slope * (t - times[0]) for t, v in zip(times, lows, strict=True)]
    if growth < gates.noise_factor * robust_deviation(residuals):
        return GateResult("within noise", growth, found)
    failed, steepening = _shape(times, lows, found.slope, gates)
    if not failed:
        failed = "still settling" if _settling(past, times, found.slope, gates) else ""
    weak = effective_increments(thinned((times, lows), 12)[1]) < gates.clear_spread
    return GateResult(failed, growth, found, times, lows, steepening, weak)


def _fell_at_once(before: Sequence[float], low: float, peak: float) -> bool:
    """Return whether the floor fell from its highest value to ``low`` within a few buckets."""
    return max(before, default=low) - low >= 0.8 * (peak - low)


def _shape(
    times: Sequence[float], lows: Sequence[float], slope: float, gates: Gates
) -> tuple[str, bool]:
    """Return the gate that rejects the shape of the rise ("" if none), and if it steepens."""
    half = bisect_left(times, (times[0] + times[-1]) / 2)
    earlier = sen_slope(times[:half], lows[:half])
    later = trend(times[half:], lows[half:], Z_90)
    if later.low <= 0:
        return "stopped", False
    third = len(times) - len(times) // 3
    if sen_slope(times[third:], lows[third:]) <= gates.tail * slope:
        return "stopped", False
    if later.slope < gates.settling * earlier:
        return "settling", False
    if _fell_behind(times, lows, slope, gates):
        return "stopped", False
    return "", later.slope > 1.5 * max(earlier, 0.0)


def _fell_behind(times: Sequence[float], lows: Sequence[float], slope: float, gates: Gates) -> bool:
    """Return whether the last sixth lies clearly below the line through the first two thirds."""
    count = len(times)
    body, tail = 2 * count // 3, count - max(3, count // 6)
    body_slope = sen_slope(times[:body], lows[:body])
    tail_trend = trend(times[tail:], lows[tail:], 1.0)
    return body_slope > 0 and tail_trend.high < gates.tail * body_slope


def _settling(past: Past, times: Sequence[float], slope: float, gates: Gates) -> bool:
    """Return whether the rise is the late part of one that began steeper and levels off.

    Compares the window with the interval before it, which covers at least half of all earlier time.
    The slope of a logarithm falls as 1/t, that of a square root as 1/sqrt(t). The exponent of the
    fall between the middles of the two intervals distinguishes them at any age; its size does not.
    """
    age = times[0] - past.began
    length = max(times[-1] - times[0], age / 2)
    before_times, before_lows = thinned(past.floor_between(times[0] - length, times[0]), 16)
    span_before = before_times[-1] - before_times[0] if len(before_times) >= 6 else 0.0
    if span_before < (times[-1] - times[0]) / 6:
        return False  # too short for a slope
    ratio = slope / max(sen_slope(before_times, before_lows), 1e-12)
    middle_before = (before_times[0] + before_times[-1]) / 2 - past.began
    middle = (times[0] + times[-1]) / 2 - past.began
    expected: float = (middle / middle_before) ** -gates.settling_power
    return ratio < max(gates.settling, expected)
