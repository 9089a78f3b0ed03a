"""Summary, peaks and minimums of a time series.

The functions take two arrays of equal length: sorted timestamps and values. A NaN value means "not
measured" and is ignored by all of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import compress
from math import floor, fsum, inf, isnan, nan

__all__ = ("SeriesSummary", "bucket_minimums", "keep_peaks", "quantile_of_sorted", "summarize")

Columns = tuple["array[float]", "array[float]"]


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """Statistics of a range of points; NaN where there are no points.

    ``count`` is the number of measured points, ``missing`` the number of NaN values, which are
    otherwise ignored. ``quantiles`` maps each requested fraction to its value.
    """

    count: int
    missing: int
    first_timestamp: float
    last_timestamp: float
    min: float
    max: float
    mean: float
    quantiles: Mapping[float, float]


def summarize(
    times: array[float], values: array[float], fractions: Iterable[float]
) -> SeriesSummary:
    """Return the summary of the points in O(n log n).

    Raises:
        ValueError: a fraction is outside 0 to 1.
    """
    requested = tuple(fractions)
    for fraction in requested:
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"a quantile must be between 0 and 1, not {fraction!r}")
    kept_times, kept = _measured(times, values)
    missing = len(values) - len(kept)
    if not kept:
        nothing = dict.fromkeys(requested, nan)
        return SeriesSummary(0, missing, nan, nan, nan, nan, nan, nothing)
    ordered = sorted(kept)
    return SeriesSummary(
        count=len(ordered),
        missing=missing,
        first_timestamp=kept_times[0],
        last_timestamp=kept_times[-1],
        min=ordered[0],
        max=ordered[-1],
        mean=_mean(kept),
        quantiles={fraction: quantile_of_sorted(ordered, fraction) for fraction in requested},
    )


def quantile_of_sorted(ordered: list[float], fraction: float) -> float:
    """Return the value below which ``fraction`` of the sorted values lie, interpolated linearly.

    Type 7 of Hyndman and Fan, Sample Quantiles in Statistical Packages (1996); numpy's default.
    """
    position = fraction * (len(ordered) - 1)
    index = min(floor(position), len(ordered) - 2) if len(ordered) > 1 else 0
    low, high = ordered[index], ordered[min(index + 1, len(ordered) - 1)]
    part = position - index
    if low == high or part == 0.0:  # also for infinite values: inf - inf is NaN
        return low
    # Two products, not low + (high - low) * part: the difference may overflow.
    return high if part == 1.0 else low * (1.0 - part) + high * part


def keep_peaks(times: array[float], values: array[float], max_points: int) -> Columns:
    """Return at most ``max_points`` points that preserve peaks and troughs for plotting.

    These are the first and last point, and the lowest and highest point of each of
    ``(max_points - 2) // 2`` intervals of equal duration: the aggregation of Jugel, Jerzak,
    Hackenbroich and Markl, M4: A Visualization-Oriented Time Series Data Aggregation (VLDB 2014),
    without the ends of the inner intervals. Unlike LTTB it never drops the overall minimum or maximum.

    Raises:
        ValueError: ``max_points`` is below 4: two ends, a low and a high.
    """
    if max_points < 4:
        raise ValueError(
            f"max_points must be at least 4 (two ends, a low and a high), not {max_points!r}"
        )
    times, values = _measured(times, values)
    if len(values) <= max_points:
        return times, values
    kept = {0, len(values) - 1}
    buckets = (max_points - 2) // 2
    # Divide before subtracting: the difference of two huge timestamps may overflow.
    width = times[-1] / buckets - times[0] / buckets
    low = 0
    for bucket in range(1, buckets + 1):
        boundary = times[0] + width * bucket if bucket < buckets else inf
        high = bisect_left(times, boundary, low)
        if low < high:
            chunk = values[low:high]
            kept.add(low + chunk.index(min(chunk)))
            kept.add(low + chunk.index(max(chunk)))
        low = high
    places = sorted(kept)
    return array("d", [times[i] for i in places]), array("d", [values[i] for i in places])


def bucket_minimums(times: array[float], values: array[float], bucket_seconds: float) -> Columns:
    """Return the lowest point of each bucket that has points, in time order; ties: the earliest.

    Buckets start at multiples of ``bucket_seconds``, not at the first point, so the content of a
    bucket does not change when older points leave the ring.

    Raises:
        ValueError: ``bucket_seconds`` is not a positive number.
    """
    if not 0.0 < bucket_seconds < inf:
        raise ValueError(f"bucket_seconds must be a positive number, not {bucket_seconds!r}")
    minimum_times, minimums = array("d"), array("d")
    current: float | None = None
    for timestamp, value in zip(times, values, strict=True):
        if isnan(value):
            continue
        bucket = timestamp // bucket_seconds
        if bucket != current:
            current = bucket
            minimum_times.append(timestamp)
            minimums.append(value)
        elif value < minimums[-1]:
            minimum_times[-1] = timestamp
            minimums[-1] = value
    return minimum_times, minimums


def _measured(times: array[float], values: array[float]) -> Columns:
    """Return the points whose value is not NaN; the same arrays if there are no NaN values."""
    if not any(map(isnan, values)):
        return times, values
    present = [not isnan(value) for value in values]
    return array("d", compress(times, present)), array("d", compress(values, present))


def _mean(values: array[float]) -> float:
    try:
        return fsum(values) / len(values)
    except (OverflowError, ValueError):  # the sum overflows, or both infinities occur
        return sum(value / len(values) for value in values)
