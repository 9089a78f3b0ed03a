"""The lower envelope of a series in bounded storage.

Garbage between two collections and the memory of current requests are not leaks: both rise above a
floor and return to it. The detector therefore looks for a trend in the floor, which is the lowest
reading of each interval of time ("bucket").

Buckets are stored twice. ``recent`` is a ring of the latest buckets at full resolution, so that a
leak that starts after a week is detected within hours. ``history`` covers everything since the
start in at most 64 buckets: when they are full, neighbours merge and their width doubles (dyadic
buckets, O(1) amortised per reading).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

__all__ = ("HISTORY_BUCKETS", "RECENT_BUCKETS", "Envelope", "Floor")

RECENT_BUCKETS = 128
HISTORY_BUCKETS = 64

Floor = tuple[list[float], list[float]]
"""Instants (seconds) and the lowest values (bytes) found there, oldest first."""


def _zeros(length: int) -> array[float]:
    return array("d", bytes(8 * length))


class Envelope:
    """Lowest and highest readings by bucket: the latest at full resolution, all of them coarsely.

    `add` takes complete buckets; instants must not decrease. Storage is allocated once, in columns
    of doubles and floats: 4 KiB.
    """

    __slots__ = (
        "_lows",
        "_peaks",
        "_ring_lows",
        "_ring_spreads",
        "_ring_times",
        "_times",
        "_weights",
        "began",
        "buckets",
        "history_length",
        "merge",
    )

    def __init__(self) -> None:
        self._ring_times = _zeros(RECENT_BUCKETS)
        self._ring_lows = _zeros(RECENT_BUCKETS)
        # Distance of the readings above the floor. Single precision is sufficient.
        self._ring_spreads = array("f", bytes(4 * RECENT_BUCKETS))
        self._times = _zeros(HISTORY_BUCKETS)
        self._lows = _zeros(HISTORY_BUCKETS)
        self._peaks = _zeros(HISTORY_BUCKETS)  # the highest floor, not the highest reading
        self.clear()

    def clear(self) -> None:
        """Remove all buckets."""
        self.began = 0.0  # when the series began, on the clock of the buckets
        self.buckets = 0
        self.history_length = 0  # buckets of the history, the last one perhaps not full
        self.merge = 1  # closed buckets that go into one bucket of the history
        self._weights = 0  # closed buckets in the history's last one

    def add(self, time: float, low: float, high: float) -> None:
        """Add a complete bucket: its lowest reading and the time of it, and its highest reading."""
        slot = self.buckets % RECENT_BUCKETS
        self._ring_times[slot] = time
        self._ring_lows[slot] = low
        self._ring_spreads[slot] = high - low
        self.buckets += 1
        if self._weights == 0 or self._weights == self.merge:
            self._open_history_bucket(time, low)
            return
        last = self.history_length - 1
        self._weights += 1
        if low < self._lows[last]:
            self._lows[last] = low
            self._times[last] = time
        if low > self._peaks[last]:
            self._peaks[last] = low

    def _open_history_bucket(self, time: float, low: float) -> None:
        if self.history_length == HISTORY_BUCKETS:
            self._halve_history()
        at = self.history_length
        self._times[at] = time
        self._lows[at] = self._peaks[at] = low
        self.history_length = at + 1
        self._weights = 1

    def _halve_history(self) -> None:
        times, lows, peaks = self._times, self._lows, self._peaks
        for i in range(HISTORY_BUCKETS // 2):
            left, right = 2 * i, 2 * i + 1
            lower = left if lows[left] <= lows[right] else right
            times[i], lows[i] = times[lower], lows[lower]
            peaks[i] = max(peaks[left], peaks[right])
        self.history_length = HISTORY_BUCKETS // 2
        self.merge *= 2

    def recent(self) -> Floor:
        """Return the floor of the latest buckets at full resolution."""
        return self._unrolled(self._ring_times), self._unrolled(self._ring_lows)

    def history(self) -> Floor:
        """Return the floor of everything since the start, in full buckets of equal width."""
        length = self.history_length
        if self._weights < self.merge:  # the floor of a shorter bucket is not comparable
            length -= 1
        return self._times[:length].tolist(), self._lows[:length].tolist()

    def highest_floor_before(self, time: float) -> float:
        """Return the highest floor of any bucket before ``time``; -inf if there is none."""
        times, lows = self.recent()
        peak = max(lows[: bisect_left(times, time)], default=-float("inf"))
        length = self.history_length
        # A bucket of the history lies completely before ``time`` only if the next one begins before.
        known = bisect_left(self._times, time, 0, length) - 1
        return max(peak, max(self._peaks[: max(known, 0)], default=peak))

    def floor_between(self, start: float, end: float) -> Floor:
        """Return the floor from ``start`` to before ``end``, at coarse resolution if it is old."""
        times, lows = self.recent()
        if times and start < times[0] and self.buckets > RECENT_BUCKETS:
            times, lows = self.history()
        first, last = bisect_left(times, start), bisect_left(times, end)
        return times[first:last], lows[first:last]

    def spreads(self, buckets: int) -> list[float]:
        """Return the distance of the highest reading above the floor for each of the last buckets."""
        return self._unrolled(self._ring_spreads)[-buckets:]

    def _unrolled(self, ring: array[float]) -> list[float]:
        if self.buckets <= RECENT_BUCKETS:
            return ring[: self.buckets].tolist()
        head = self.buckets % RECENT_BUCKETS
        return ring[head:].tolist() + ring[:head].tolist()


def thinned(floor: tuple[Sequence[float], Sequence[float]], max_points: int) -> Floor:
    """Return the floor with neighbours merged so that at most ``max_points`` points remain.

    Groups are counted from the end, so that the newest point is as wide as the others; an
    incomplete group at the beginning is dropped.
    """
    times, lows = floor
    stride = -(-len(times) // max_points)
    if stride <= 1:
        return list(times), list(lows)
    out_times, out_lows = [], []
    for start in range(len(times) % stride, len(times), stride):
        group = lows[start : start + stride]
        low = min(group)
        out_times.append(times[start + group.index(low)])
        out_lows.append(low)
    return out_times, out_lows
