"""Time series of numbers in a ring buffer of fixed size: 16 bytes per point.

Use it for the newest N points of a measurement that are queried by time. Compared with a deque of
tuples it takes a seventh of the memory, has no objects for the garbage collector to visit, and
finds ranges in O(log n). Adding a point takes a few times longer.

**Order**: a timestamp may equal the previous one but must not be earlier (ValueError), since ranges
are found by binary search. Use a monotonic clock.

**Threads**: one writer and any number of readers need no lock. Several writers need one. Copies
(`summary`, iteration, `downsample`, `minimums`, a range that wraps) never contain a point that was
overwritten during the copy. Views share the memory of the ring, so they show newer points after the
ring has wrapped: copy what you keep (``list(view)``).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import inf, isnan, nan
from operator import index

from memlens.structures._reduction import SeriesSummary
from memlens.structures._ring import SeriesReader, unrolled

__all__ = ("MultiSeries", "NumericTimeSeries", "SeriesReader", "SeriesSummary")


class NumericTimeSeries(SeriesReader):
    """The newest ``max_points`` (timestamp, value) pairs, with queries by time.

    Adding is O(1), a range O(log n). The memory is allocated at the start: 16 bytes per point.

    >>> series = NumericTimeSeries(1000)
    >>> for second in range(5):
    ...     series.add(second, second * 10.0)
    >>> timestamps, values = series.range(1, 3)
    >>> list(values)
    [10.0, 20.0, 30.0]

    Raises:
        ValueError: ``max_points`` is below 1.
    """

    __slots__ = ("_newest",)

    def __init__(self, max_points: int) -> None:
        slots = _checked_slots(max_points)
        super().__init__(_zeros(slots), _zeros(slots))
        self._newest = -sys.float_info.max

    def add(self, timestamp: float, value: float) -> None:
        """Add the newest point; a full ring drops its oldest point. O(1), allocates no memory.

        ``value`` may be NaN for a point without a measurement.

        Raises:
            ValueError: ``timestamp`` is NaN or infinite, or earlier than the newest one.
        """
        # 1e999 is infinity as a constant, which avoids the lookup of a name.
        if not self._newest <= timestamp < 1e999:
            raise _bad_timestamp(timestamp, self._newest)
        added = self._added
        slot = added % self._slots
        self._times[slot] = timestamp
        self._values[slot] = value
        self._newest = timestamp
        self._added = added + 1

    def clear(self) -> None:
        """Drop all points and keep the memory. The next timestamp may be any."""
        self._first = self._added
        self._newest = -sys.float_info.max


class MultiSeries:
    """Several named columns with common timestamps: 8 bytes per row for the time and each column.

    Add None for a value that was not measured; it is NaN in the column.

    >>> series = MultiSeries(("rss", "blocks"), 1000)
    >>> series.add(1.0, (2048, None))
    >>> series["rss"].latest
    (1.0, 2048.0)

    Raises:
        ValueError: no names, a name given twice, or ``max_points`` below 1.
    """

    __slots__ = ("__weakref__", "_columns", "_last", "_names", "_newest", "_places", "_times")

    def __init__(self, names: Iterable[str], max_points: int) -> None:
        self._names = tuple(names)
        self._places = {name: place for place, name in enumerate(self._names)}
        if not self._names or len(self._places) < len(self._names):
            raise ValueError(f"names must be one or more different names, not {self._names!r}")
        slots = _checked_slots(max_points)
        self._times = _zeros(slots)
        self._columns = tuple(SeriesReader(self._times, _zeros(slots)) for _ in self._names)
        # The column that is updated last: all others have the same rows already.
        self._last = self._columns[-1]
        self._newest = -sys.float_info.max

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in the order of `add`."""
        return self._names

    @property
    def max_points(self) -> int:
        """The number of rows that the ring keeps."""
        return self._last.max_points

    @property
    def nbytes(self) -> int:
        """The bytes of the arrays, all of them allocated at the start."""
        return self._times.itemsize * len(self._times) * (1 + len(self._columns))

    @property
    def latest(self) -> tuple[float, tuple[float, ...]] | None:
        """The newest row as (timestamp, values), or None."""
        last = self._last
        while True:
            added = last._added
            if added <= last._first:
                return None
            slot = (added - 1) % last._slots
            row = self._times[slot], tuple(column._values[slot] for column in self._columns)
            if not last._overwritten(added - 1):
                return row

    def __len__(self) -> int:
        return len(self._last)

    def __getitem__(self, name: str) -> SeriesReader:
        """Return the column of this name, which also shows rows added later. Raises KeyError."""
        return self._columns[self._places[name]]

    def __iter__(self) -> Iterator[tuple[float, tuple[float, ...]]]:
        """Iterate over a copy of the rows (timestamp, values), oldest first."""
        last = self._last
        high = last._added
        low = last._oldest(high)
        times = unrolled(self._times, low, high)
        columns = [unrolled(column._values, low, high) for column in self._columns]
        lost = max(0, last._added - last._slots + 1 - low)
        return islice(zip(times, zip(*columns, strict=True), strict=True), lost, None)

    def __repr__(self) -> str:
        return f"<MultiSeries of {len(self):,} rows, at most {self.max_points:,}: {self._names!r}>"

    def add(self, timestamp: float, values: Sequence[float | None]) -> None:
        """Add the newest row, its values in the order of `names`.

        Raises:
            ValueError: ``timestamp`` is NaN or infinite, or earlier than the newest one, or there
                are not as many values as columns.
        """
        if not self._newest <= timestamp < inf:
            raise _bad_timestamp(timestamp, self._newest)
        if len(values) != len(self._columns):
            raise ValueError(f"{len(self._columns)} values are needed, not {len(values)}")
        added = self._last._added
        slot = added % self._last._slots
        self._times[slot] = timestamp
        for column, value in zip(self._columns, values, strict=True):
            column._values[slot] = nan if value is None else value
        self._newest = timestamp
        for column in self._columns:
            column._added = added + 1

    def clear(self) -> None:
        """Drop all rows and keep the memory. The next timestamp may be any."""
        added = self._last._added
        for column in self._columns:
            # `_added` as well: after a fork during `add` the columns of the child may differ.
            column._added = column._first = added
        self._newest = -sys.float_info.max


def _checked_slots(max_points: int) -> int:
    points = index(max_points)
    if points < 1:
        raise ValueError(f"max_points must be at least 1, not {points}")
    return points + 1


def _zeros(slots: int) -> array[float]:
    return array("d", (0.0,)) * slots


def _bad_timestamp(timestamp: float, newest: float) -> ValueError:
    if isnan(timestamp) or timestamp in (inf, -inf):
        return ValueError(f"a timestamp must be a finite number, not {timestamp!r}")
    return ValueError(
        f"timestamps must not go back: {timestamp!r} is before the newest, {newest!r}"
        " (call clear() to start again)"
    )
