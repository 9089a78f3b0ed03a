"""Robust trend statistics in plain Python: Theil-Sen slope and autocorrelation-aware Mann-Kendall.

Sources: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau" (1968), for
the slope and its interval; H. B. Mann (1945) and M. G. Kendall (1975) for the test; K. H. Hamed and
A. R. Rao, "A modified Mann-Kendall trend test for autocorrelated data" (1998), for the variance.

All functions take at most a few dozen points; the work is quadratic in them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import erfc, sqrt
from typing import NamedTuple

__all__ = (
    "Z_90",
    "Z_999",
    "Trend",
    "effective_increments",
    "hinge",
    "median",
    "robust_deviation",
    "sen_slope",
    "suffix_minimum",
    "trend",
    "variance_inflation",
)

Z_999 = 3.2905267314919255  # two-sided 99.9 % of the normal distribution
Z_90 = 1.6448536269514722


class Trend(NamedTuple):
    """A slope per second with its confidence interval, and the p-value of the trend.

    ``low`` and ``high`` are minus and plus infinity if there are too few points for an interval.
    """

    slope: float
    low: float
    high: float
    p_value: float  # two-sided, corrected for autocorrelation
    inflation: float  # factor on the variance of Mann and Kendall's S, >= 1


def median(ordered: Sequence[float]) -> float:
    """Return the median of values that are already sorted. There must be at least one."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def robust_deviation(values: Sequence[float]) -> float:
    """Return the standard deviation as 1.4826 times the median absolute deviation."""
    middle = median(sorted(values))
    return 1.4826 * median(sorted([abs(value - middle) for value in values]))


def _pair_slopes(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """Return the slopes of all pairs of points with different instants, sorted."""
    slopes: list[float] = []
    points = list(zip(times, values, strict=True))
    for i, (t, v) in enumerate(points):
        slopes += [(v - w) / (t - s) for s, w in points[:i] if t > s]
    slopes.sort()
    return slopes


def sen_slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the median of the slopes of all pairs of points; 0.0 for fewer than two instants."""
    slopes = _pair_slopes(times, values)
    return median(slopes) if slopes else 0.0


def trend(times: Sequence[float], values: Sequence[float], z: float = Z_999) -> Trend:
    """Return the Theil-Sen slope, its interval at ``z`` and the corrected Mann-Kendall p-value."""
    slopes = _pair_slopes(times, values)
    count = len(values)
    if count < 3 or not slopes:
        return Trend(0.0, -float("inf"), float("inf"), 1.0, 1.0)
    slope = median(slopes)
    falling = bisect_left(slopes, 0.0)
    rising = len(slopes) - bisect_right(slopes, 0.0)
    residuals = [v - slope * (t - times[0]) for t, v in zip(times, values, strict=True)]
    inflation = variance_inflation(residuals)
    deviation = sqrt(inflation * count * (count - 1) * (2 * count + 5) / 18)
    # The continuity correction: S moves in steps of two.
    score = max(abs(rising - falling) - 1, 0) / deviation
    half = z * deviation / 2
    low, high = round(len(slopes) / 2 - half) - 1, round(len(slopes) / 2 + half)
    return Trend(
        slope,
        slopes[low] if low >= 0 else -float("inf"),
        slopes[high] if high < len(slopes) else float("inf"),
        erfc(score / sqrt(2)),
        inflation,
    )


def _ranks(values: Sequence[float]) -> list[float]:
    """Return 1-based ranks; equal values get the mean of their ranks."""
    ordered = sorted(values)
    return [(bisect_left(ordered, v) + 1 + bisect_right(ordered, v)) / 2 for v in values]


def variance_inflation(residuals: Sequence[float]) -> float:
    """Return the factor by which autocorrelation widens the variance of S (Hamed and Rao).

    Only significant autocorrelations of the ranks count; that of neighbours counts whenever it is
    positive. The factor is never below 1: negative autocorrelation does not narrow the variance.
    """
    count = len(residuals)
    if count < 6:
        return 1.0
    mean = (count + 1) / 2
    centred = [rank - mean for rank in _ranks(residuals)]
    power = sum([rank * rank for rank in centred])
    if power == 0:
        return 1.0
    significant = 1.96 / sqrt(count)
    total = 0.0
    for lag in range(1, (count + 2) // 3):
        rho = sum([a * b for a, b in zip(centred, centred[lag:], strict=False)]) / power
        if abs(rho) > significant or (lag == 1 and rho > 0):
            total += (count - lag) * (count - lag - 1) * (count - lag - 2) * rho
    return max(1.0, 1 + 2 * total / (count * (count - 1) * (count - 2)))


def suffix_minimum(values: Sequence[float]) -> list[float]:
    """Return for each point the minimum from there on: memory that was never released."""
    out = list(values)
    for i in range(len(out) - 2, -1, -1):
        if out[i + 1] < out[i]:
            out[i] = out[i + 1]
    return out


def effective_increments(rising: Sequence[float]) -> float:
    """Return the number of increments over which the growth is spread.

    A single step gives 1, an even rise the number of increments. This is the participation ratio
    ``(sum d)^2 / sum d^2`` over the increments of a series that never falls; 0.0 without growth.
    """
    increments = [rising[i + 1] - rising[i] for i in range(len(rising) - 1)]
    squares = sum([d * d for d in increments])
    return sum(increments) ** 2 / squares if squares > 0 else 0.0


def hinge(times: Sequence[float], values: Sequence[float]) -> tuple[int, float]:
    """Return the index at which a flat series begins to rise, and the share of error explained.

    Fits ``a + b * max(0, t - times[k])`` by least squares for all k that leave a third of the
    points to the rise. The share is relative to the error of a line: near 1 the series is flat and
    then rises, near 0 it is a line.
    """
    best, best_error, line_error = 0, float("inf"), 0.0
    for k in range(max(1, 2 * len(times) // 3)):
        bend = times[k]
        error = _fit_error([t - bend if t > bend else 0.0 for t in times], values)
        if k == 0:
            line_error = error
        if error < best_error:
            best, best_error = k, error
    return best, 1 - best_error / line_error if line_error > 0 else 0.0


def _fit_error(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the squared error of the least-squares line of ``ys`` on ``xs``."""
    count = len(xs)
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    xx = sum([(x - mean_x) ** 2 for x in xs])
    yy = sum([(y - mean_y) ** 2 for y in ys])
    xy = sum([(x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)])
    return yy - xy * xy / xx if xx > 0 else yy
