"""TableReadings: the readings that wait to be written to tables, in memory of a bounded size."""

from __future__ import annotations

from collections.abc import Sequence

from memlens._fork import ForkSafeLock
from memlens.process.history import HistoryPoint, MemoryHistory

__all__ = ("TableReadings",)

_MAX_POINTS = 2_000  # 5 hours of readings every 10 seconds, in 128 KB


class TableReadings:
    """Keeps readings until they are taken. Any thread may call; nothing blocks for long.

    All memory is allocated at once: what grew between two writings would look like a leak. Where more
    are waiting than there is room for, they are thinned to half, and the lowest and highest kept;
    ``dropped`` counts those that are lost.
    """

    def __init__(self, max_points: int = _MAX_POINTS) -> None:
        self._history = MemoryHistory(max_points)
        self._lock = ForkSafeLock()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._history)

    def __repr__(self) -> str:
        return f"<TableReadings: {len(self)} waiting, {self.dropped} dropped>"

    def clear(self) -> None:
        """Forget all, as in a forked child."""
        self._history.clear()
        self.dropped = 0

    def add(self, point: HistoryPoint) -> None:
        """Add the newest reading."""
        with self._lock:
            before = len(self._history)
            self._history.add(point)
            self.dropped += before + 1 - len(self._history)

    def take(self) -> tuple[HistoryPoint, ...]:
        """Return the readings, oldest first, and forget them."""
        with self._lock:
            points = self._history.points
            self._history.clear()
        return points

    def put_back(self, points: Sequence[HistoryPoint]) -> None:
        """Keep readings that were taken and could not be written, before those that came since."""
        with self._lock:
            for point in sorted((*points, *self.take()), key=lambda one: one.monotonic_seconds):
                self.add(point)
