"""Recording: what a profiler keeps for the charts of its reports, in memory of a bounded size."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from operator import attrgetter

from memlens.process.allocator_memory import malloc_bytes
from memlens.process.history import HistoryPoint, Mark, MemoryHistory
from memlens.process.reading import MemoryReading

__all__ = ("Recording",)

_MALLOC_SECONDS = 1.0  # at least between two questions to malloc, which walks its free lists
_MAX_MARKS = 500
_MAX_CHARACTERS = 200  # of a mark


class Recording:
    """Keeps memory over time and marks: the newest 500, with up to 200 characters each."""

    def __init__(self) -> None:
        self._history = MemoryHistory()
        self._marks: deque[Mark] = deque(maxlen=_MAX_MARKS)
        self.clear()

    def __repr__(self) -> str:
        return f"<Recording: {len(self._history)} points, {len(self._marks)} marks>"

    def clear(self) -> None:
        """Forget all, as in a forked child."""
        self._history.clear()
        self._marks.clear()
        self._next_malloc = 0.0
        self._first: MemoryReading | None = None
        self._last: MemoryReading | None = None

    def observe(self, reading: MemoryReading) -> HistoryPoint:
        """Add a reading, with what malloc has in use; return its point."""
        self._first = self._first or reading
        self._last = reading
        used = None
        if reading.monotonic_seconds >= self._next_malloc:
            self._next_malloc = reading.monotonic_seconds + _MALLOC_SECONDS
            used = malloc_bytes()
        point = HistoryPoint.of(reading, used)
        self._history.add(point)
        return point

    def ends(
        self, others: Iterable[MemoryReading | None]
    ) -> tuple[MemoryReading | None, MemoryReading | None]:
        """Return the first and the last reading, those of ``others`` included.

        These are the readings just before snapshots. The chart of a report in HTML begins and ends
        with the same.
        """
        known = [reading for reading in (self._first, self._last, *others) if reading is not None]
        at = attrgetter("monotonic_seconds")
        return min(known, key=at, default=None), max(known, key=at, default=None)

    def mark(self, kind: str, label: str) -> None:
        """Mark this moment."""
        self._marks.append(Mark(time.time(), kind, label[:_MAX_CHARACTERS]))

    @property
    def history(self) -> tuple[HistoryPoint, ...]:
        """Memory over time, oldest first."""
        return self._history.points

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks, oldest first."""
        return tuple(self._marks.copy())  # at once: another thread may add one
