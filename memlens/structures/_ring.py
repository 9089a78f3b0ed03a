"""The ring buffer of a time series, and the queries on it.

The ring has two arrays with one slot more than points. A point is written into the spare slot, so a
partly written point can never be read. `memlens.structures.series` documents the guarantees.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any, cast

from memlens.structures._reduction import SeriesSummary, bucket_minimums, keep_peaks, summarize

if TYPE_CHECKING:
    Views = tuple[memoryview[float], memoryview[float]]

__all__ = ("SeriesReader", "read_only", "unrolled")

_NEAR = 256  # points; the search first assumes that a range is shorter than this


class SeriesReader:
    """The queries on a series. `NumericTimeSeries` adds writing; `MultiSeries` has columns.

    Points have sequence numbers that never repeat; point ``s`` is in slot ``s % slots``. ``_added``
    is the number of the next point. The writer fills the slot first and increments ``_added`` last,
    so points below ``_added`` are complete. Points up to ``_added - _slots`` may be overwritten.
    """

    __slots__ = (
        "__weakref__",
        "_added",
        "_first",
        "_slots",
        "_times",
        "_times_view",
        "_values",
        "_values_view",
    )

    def __init__(self, times: array[float], values: array[float]) -> None:
        self._times = times
        self._values = values
        self._times_view = read_only(times)
        self._values_view = read_only(values)
        self._slots = len(times)
        self._added = 0
        self._first = 0

    @property
    def max_points(self) -> int:
        """The number of points that the ring keeps."""
        return self._slots - 1

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays, which are all allocated at the start."""
        return self._times.itemsize * (len(self._times) + len(self._values))

    @property
    def latest(self) -> tuple[float, float] | None:
        """The newest point as (timestamp, value), or None."""
        while True:
            added = self._added
            if added <= self._first:
                return None
            slot = (added - 1) % self._slots
            point = self._times[slot], self._values[slot]
            if not self._overwritten(added - 1):
                return point

    def __len__(self) -> int:
        return max(0, min(self._added - self._first, self._slots - 1))

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Iterate over a copy of the (timestamp, value) pairs, oldest first."""
        return iter(zip(*self._copy(), strict=True))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,} points, at most {self.max_points:,}>"

    def range(self, start: float, end: float) -> Views:
        """Return (timestamps, values) from ``start`` to ``end``, both included, in O(log n).

        The result is two read-only memoryviews of format ``d``. They share the memory of the ring
        unless the range wraps around the end of the ring: then they are copies. The result is
        empty if ``start`` is after ``end``.

        Raises:
            ValueError: a bound is NaN.
        """
        if not start <= end:
            if start != start or end != end:
                raise ValueError(f"the bounds of a range must not be NaN: {start!r}, {end!r}")
            return self._times_view[:0], self._values_view[:0]
        times = self._times
        slots = self._slots
        while True:
            added = self._added
            oldest = self._first
            if added - oldest >= slots:
                oldest = added - slots + 1
            head = oldest % slots
            tail = head + added - oldest
            if tail <= slots:
                low = bisect_left(times, start, head, tail)
                # Most ranges are short: checking a near point first saves half of the search.
                if (near := low + _NEAR) < tail and times[near] > end:
                    high = bisect_right(times, end, low, near)
                else:
                    high = bisect_right(times, end, low, tail)
            else:
                low, high = self._search_both(start, end, head, tail - slots)
            # If the oldest point was not overwritten, the search saw only complete points.
            if oldest > self._added - slots:
                break
        if high <= slots:
            return self._times_view[low:high], self._values_view[low:high]
        if low >= slots:
            low, high = low - slots, high - slots
            return self._times_view[low:high], self._values_view[low:high]
        first = oldest + low - head
        copied = self._copy_between(first, first + high - low)
        return read_only(copied[0]), read_only(copied[1])

    def window(self, seconds: float) -> Views:
        """Return the points at most ``seconds`` older than the newest point, as `range` does.

        Raises:
            ValueError: ``seconds`` is negative or NaN.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative: {seconds!r}")
        newest = self.latest
        return self.range(newest[0] - seconds, inf) if newest else self.range(inf, inf)

    def views(self) -> Views:
        """Return all (timestamps, values), oldest first; copies only if the ring has wrapped."""
        return self.range(-inf, inf)

    def segments(self) -> list[Views]:
        """Return all (timestamps, values) as up to two pairs of views, oldest first.

        Nothing is copied: ``numpy.asarray`` of each view shares the memory of the ring.
        """
        added = self._added
        oldest = self._oldest(added)
        head = oldest % self._slots
        tail = head + added - oldest
        parts = ((head, min(tail, self._slots)), (0, tail - self._slots))
        return [
            (self._times_view[low:high], self._values_view[low:high])
            for low, high in parts
            if low < high
        ]

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The values for ``numpy.asarray(series)``: read-only, shared with the ring if `views` is."""
        values = self.views()[1]
        byte_order = "<" if sys.byteorder == "little" else ">"
        return {"version": 3, "shape": (len(values),), "typestr": byte_order + "f8", "data": values}

    def summary(self, quantiles: Iterable[float] = (0.5, 0.9, 0.99)) -> SeriesSummary:
        """Return count, min, max, mean and quantiles of all values; NaN values count as missing.

        Quantiles are interpolated linearly, as numpy does by default.

        Raises:
            ValueError: a quantile is outside 0 to 1.
        """
        return summarize(*self._copy(), quantiles)

    def downsample(self, max_points: int) -> tuple[array[float], array[float]]:
        """Return (timestamps, values) of at most ``max_points`` points that preserve all peaks.

        These are both ends, and the lowest and highest point of each of ``(max_points - 2) // 2``
        intervals of equal duration, in time order, as in M4 (Jugel et al., VLDB 2014). NaN values
        are ignored.

        Raises:
            ValueError: ``max_points`` is below 4.
        """
        return keep_peaks(*self._copy(), max_points)

    def minimums(self, bucket_seconds: float) -> tuple[array[float], array[float]]:
        """Return (timestamps, values) of the lowest point of each time bucket that has points.

        Buckets start at multiples of ``bucket_seconds``. Ties give the earliest point. The result
        is the lower envelope of the series, for example the memory that is never freed.

        Raises:
            ValueError: ``bucket_seconds`` is not a positive number.
        """
        return bucket_minimums(*self._copy(), bucket_seconds)

    def _search_both(self, start: float, end: float, head: int, tail: int) -> tuple[int, int]:
        """Search a wrapped ring, which has two sorted parts: ``head`` to its end and 0 to ``tail``.

        Positions in the second part continue after the end of the ring.
        """
        times = self._times
        slots = self._slots
        if start > times[slots - 1]:
            low = bisect_left(times, start, 0, tail) + slots
        else:
            low = bisect_left(times, start, head, slots)
        if end >= times[0]:
            high = bisect_right(times, end, max(0, low - slots), tail) + slots
        elif (near := low + _NEAR) < slots and times[near] > end:
            high = bisect_right(times, end, low, near)
        else:
            high = bisect_right(times, end, low, slots)
        return low, high

    def _oldest(self, added: int) -> int:
        return max(self._first, added - self._slots + 1)

    def _overwritten(self, number: int) -> bool:
        return number <= self._added - self._slots

    def _copy(self) -> tuple[array[float], array[float]]:
        added = self._added
        return self._copy_between(self._oldest(added), added)

    def _copy_between(self, low: int, high: int) -> tuple[array[float], array[float]]:
        """Copy the points ``low`` to ``high``, without points overwritten during the copy."""
        times = unrolled(self._times, low, high)
        values = unrolled(self._values, low, high)
        lost = self._added - self._slots + 1 - low
        if lost > 0:
            del times[:lost]
            del values[:lost]
        return times, values


def read_only(values: array[float]) -> memoryview[float]:
    """Return a read-only view of the array."""
    return cast("memoryview[float]", memoryview(values).toreadonly())


def unrolled(ring: array[float], low: int, high: int) -> array[float]:
    """Copy the points with the sequence numbers ``low`` to ``high`` out of a ring."""
    head = low % len(ring)
    tail = head + max(0, high - low)
    copied = ring[head:tail]
    if tail > len(ring):
        copied.extend(ring[: tail - len(ring)])
    return copied
