"""The shapes that rise without leaking, and the gates that turn them away.

A significant trend is not a leak: a warm-up, a cache that fills, a step, a season and a slow
sawtooth all have one. ``judge`` looks at a window of the floor (``envelope``) and says which gate
turns it away, or that it has the shape of a leak: it rises significantly, what it gained was
never released, the gain is spread over the whole window, it goes on at the end and does not settle.
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

MAX_POINTS = 36  # of a window: enough for the test, few enough for quadratic work
MIN_POINTS = 12


class Gates(NamedTuple):
    """The thresholds of the gates; the defaults are those of production."""

    growth_ratio: float = 0.01  # of the level
    growth_bytes: float = 2.0 * 1024 * 1024
    noise_factor: float = 3.0  # growth against the spread around the trend
    spread: float = 6.0  # increments that carry the growth
    spread_share: float = 0.1
    settling: float = 0.6  # a slope below this share of the one before is settling down
    settling_power: float = 0.65
    clear_spread: float = 4.0
    tail: float = 0.4
    cliff_windows: float = 1.5
    new_high: float = 0.5  # share of the growth that must lie above all that was seen before


class Past(Protocol):
    """What the gates ask about the time before a window."""

    began: float

    def highest_floor_before(self, time: float) -> float:
        """Return the highest floor before ``time``; -inf where there was none."""

    def floor_between(self, start: float, end: float) -> Floor:
        """Return the floor from ``start`` to before ``end``."""


class GateResult(NamedTuple):
    """What a window says: ``failed`` names the gate that turned it away, '' for a leak."""

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
    """Judge the floor from point ``start`` on: does it rise as a leak does?

    The window is cut at the last instant when the floor stood at its lowest, for what came before
    has been released; what is left must still last ``min_span`` seconds. ``past`` knows
    the floor before the window. Cheap gates come first: most windows of a healthy
    process end at one of the first three.
    """
    times, lows = thinned((floor[0][start:], floor[1][start:]), MAX_POINTS)
    if len(times) < MIN_POINTS or times[-1] - times[0] < 0.85 * min_span:
        return GateResult("too short")
    kept = suffix_minimum(lows)
    lowest = bisect_right(kept, kept[0]) - 1
    # Compared at equal widths: a narrow bucket's floor stands higher than a wide one's.
    peak = max([past.highest_floor_before(times[0]), *lows[:lowest]])
    times, lows, kept = times[lowest:], lows[lowest:], kept[lowest:]
    count = len(times)
    if count < MIN_POINTS or times[-1] - times[0] < 0.85 * min_span:
        return GateResult("no lasting rise")
    kept = kept[: count - max(1, count // 10)]  # the last minima have not yet had time to fall
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
    """Tell whether the floor came down from its highest to ``low`` within a few buckets."""
    return max(before, default=low) - low >= 0.8 * (peak - low)


def _shape(
    times: Sequence[float], lows: Sequence[float], slope: float, gates: Gates
) -> tuple[str, bool]:
    """Return the gate that the shape of the rise fails, if any, and whether it grows steeper."""
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
    """Tell whether the last sixth clearly left the line that the first two thirds draw."""
    count = len(times)
    body, tail = 2 * count // 3, count - max(3, count // 6)
    body_slope = sen_slope(times[:body], lows[:body])
    tail_trend = trend(times[tail:], lows[tail:], 1.0)
    return body_slope > 0 and tail_trend.high < gates.tail * body_slope


def _settling(past: Past, times: Sequence[float], slope: float, gates: Gates) -> bool:
    """Tell whether the rise is the late part of one that began steeper and dies away.

    Compares with the stretch before the window, at least as long as half of all that came before.
    A logarithm's slope falls as 1/t, a square root's as its root: the power of the fall between
    the middles of the two stretches, not its size, tells them apart at any age.
    """
    age = times[0] - past.began
    length = max(times[-1] - times[0], age / 2)
    before_times, before_lows = thinned(past.floor_between(times[0] - length, times[0]), 16)
    span_before = before_times[-1] - before_times[0] if len(before_times) >= 6 else 0.0
    if span_before < (times[-1] - times[0]) / 6:
        return False  # too short to have a slope worth comparing
    ratio = slope / max(sen_slope(before_times, before_lows), 1e-12)
    middle_before = (before_times[0] + before_times[-1]) / 2 - past.began
    middle = (times[0] + times[-1]) / 2 - past.began
    expected: float = (middle / middle_before) ** -gates.settling_power
    return ratio < max(gates.settling, expected)
