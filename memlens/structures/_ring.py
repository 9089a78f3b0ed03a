"""The ring that a time series lives in, and the questions one can ask it.

Two arrays of one slot more than points. That spare slot is the one being written, so a half-written
point is never among those that can be read; see `memlens.structures.series` for what holds.
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

_NEAR = 256  # points; how far a range is first expected to reach


class SeriesReader:
    """The questions to a series; `NumericTimeSeries` adds the writing, `MultiSeries` has columns.

    Points have sequence numbers that never repeat; number ``s`` lives in slot ``s % slots``.
    ``_added`` is the number of the next point. A writer fills the slot first and raises ``_added``
    last: the points below ``_added`` are whole, and those up to ``_added - _slots`` may be gone.
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
        """The bytes of the ring's arrays, all of them allocated at the start."""
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
        """Iterate over (timestamp, value), oldest first, as they are now."""
        return iter(zip(*self._copy(), strict=True))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,} points, at most {self.max_points:,}>"

    def range(self, start: float, end: float) -> Views:
        """Return (timestamps, values) from ``start`` to ``end``, both included; O(log n).

        Two read-only memoryviews of format ``d``. They share the ring's memory, unless the range
        wraps from the ring's end to its beginning: then they show a copy. Empty where ``start`` is
        after ``end``.

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
                # Most ranges are short against the ring: a look ahead saves half of the search.
                if (near := low + _NEAR) < tail and times[near] > end:
                    high = bisect_right(times, end, low, near)
                else:
                    high = bisect_right(times, end, low, tail)
            else:
                low, high = self._search_both(start, end, head, tail - slots)
            # The search saw only whole points if the oldest is still the ring's.
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
        """Return the newest stretch: the points at most ``seconds`` older than the newest one.

        As `range` does, counted from the newest point, not from now.

        Raises:
            ValueError: ``seconds`` is negative or NaN.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative: {seconds!r}")
        newest = self.latest
        return self.range(newest[0] - seconds, inf) if newest else self.range(inf, inf)

    def views(self) -> Views:
        """Return all (timestamps, values), oldest first: a copy only where the ring has wrapped."""
        return self.range(-inf, inf)

    def segments(self) -> list[Views]:
        """Return all (timestamps, values) as none, one or two pairs of views, oldest first.

        Never copies: ``numpy.asarray`` of each view shares the ring's memory.
        """
        added = self._added
        oldest = self._oldest(added)
        head = oldest % self._slots
        tail = head + added - oldest
        stretches = ((head, min(tail, self._slots)), (0, tail - self._slots))
        return [
            (self._times_view[low:high], self._values_view[low:high])
            for low, high in stretches
            if low < high
        ]

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The values for ``numpy.asarray(series)``: read-only, shared where `views` shares."""
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

    def downsample(self, count: int) -> tuple[array[float], array[float]]:
        """Return (timestamps, values) of at most ``count`` points that keep all peaks.

        Both ends, and the lowest and the highest point of each of ``(count - 2) // 2`` stretches of
        equal duration, in time order, after M4 (Jugel et al., VLDB 2014). NaN values are left out.

        Raises:
            ValueError: ``count`` is below 4.
        """
        return keep_peaks(*self._copy(), count)

    def minimums(self, bucket_seconds: float) -> tuple[array[float], array[float]]:
        """Return (timestamps, values) of the lowest point of each bucket of time that has one.

        Buckets begin at whole multiples of ``bucket_seconds``; the timestamp is the minimum's own,
        the earliest on a tie. The lower envelope: what memory never falls below.

        Raises:
            ValueError: ``bucket_seconds`` is not a positive number.
        """
        return bucket_minimums(*self._copy(), bucket_seconds)

    def _search_both(self, start: float, end: float, head: int, tail: int) -> tuple[int, int]:
        """Search a wrapped ring: two sorted stretches, ``head`` to its end and 0 to ``tail``.

        In the positions returned those of the second stretch count on from the ring's end.
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
        """Copy the points ``low`` to ``high``, without those overwritten while copying."""
        times = unrolled(self._times, low, high)
        values = unrolled(self._values, low, high)
        lost = self._added - self._slots + 1 - low
        if lost > 0:
            del times[:lost]
            del values[:lost]
        return times, values


def read_only(values: array[float]) -> memoryview[float]:
    """Return a view of the array through which nobody can put it out of order."""
    return cast("memoryview[float]", memoryview(values).toreadonly())


def unrolled(ring: array[float], low: int, high: int) -> array[float]:
    """Copy the points with the sequence numbers ``low`` to ``high`` out of a ring."""
    head = low % len(ring)
    tail = head + max(0, high - low)
    copied = ring[head:tail]
    if tail > len(ring):
        copied.extend(ring[: tail - len(ring)])
    return copied
