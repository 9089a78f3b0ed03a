"""MemoryHistory: the memory of a process over any time, in a bounded number of points.

The readings of a week are more than a chart can show. When the history is full, it is divided into
spans of equal time, and of each span the points with the lowest and the highest values are kept, so
that no peak is lost however old it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import nan
from typing import Any, NamedTuple

from memlens._fork import ForkSafeLock
from memlens._options import check_count
from memlens.process.limits import LIMIT_SOURCES
from memlens.process.reading import MemoryReading

__all__ = ("HistoryPoint", "Mark", "MemoryHistory", "thinned")

_SERIES = ("rss_bytes", "malloc_bytes")  # whose lowest and highest points are kept


class HistoryPoint(NamedTuple):
    """The memory of a process at one instant, in bytes; None is unknown.

    ``timestamp``: seconds of the wall clock; ``monotonic_seconds``: of the monotonic clock.
    ``malloc_bytes``: in use by malloc. ``full_collections``: the total of generation 2.
    """

    timestamp: float
    monotonic_seconds: float
    rss_bytes: int
    malloc_bytes: int | None
    limit_bytes: int | None
    limit_source: str
    allocated_blocks: int
    full_collections: int

    @classmethod
    def of(cls, reading: MemoryReading, malloc_bytes: int | None = None) -> HistoryPoint:
        """Return the point of a reading."""
        return cls(
            reading.timestamp,
            reading.monotonic_seconds,
            reading.rss_bytes,
            malloc_bytes,
            reading.limit_bytes,
            reading.limit_source,
            reading.allocated_blocks,
            reading.gc_collections[2],
        )


class Mark(NamedTuple):
    """Something that happened, to be marked in a chart: at ``timestamp``, wall-clock seconds.

    ``kind``: ``snapshot``, ``alert``, ``collection`` or ``deploy``.
    """

    timestamp: float
    kind: str
    label: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return self._asdict()


class MemoryHistory:
    """Keeps at most ``max_points`` points over all time, those with peaks and troughs among them.

    All memory is allocated by the constructor, 64 bytes for each point: what grows with the readings
    would be growth that the detectors of leaks see. One thread adds; any thread may read.
    """

    def __init__(self, max_points: int = 4_000) -> None:
        check_count("max_points", max_points, 12)
        self._lock = ForkSafeLock()
        self._columns = [array("d", bytes(8 * max_points)) for _ in HistoryPoint._fields]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"<MemoryHistory: {len(self)} points, at most {len(self._columns[0])}>"

    def add(self, point: HistoryPoint) -> None:
        """Add the newest point; a full history is thinned to half its size."""
        with self._lock:
            if self._count == len(self._columns[0]):
                kept = thinned(self._points(), self._count // 2)
                self._count = 0
                for one in kept:
                    self._put(one)
            self._put(point)

    def clear(self) -> None:
        """Forget all points, as in a forked child."""
        with self._lock:
            self._count = 0

    @property
    def points(self) -> tuple[HistoryPoint, ...]:
        """The points, oldest first."""
        with self._lock:
            return tuple(self._points())

    def _put(self, point: HistoryPoint) -> None:
        for column, value in zip(self._columns, point, strict=True):
            number = LIMIT_SOURCES.index(value) if isinstance(value, str) else value
            column[self._count] = nan if number is None else number
        self._count += 1

    def _points(self) -> list[HistoryPoint]:
        columns = [column[: self._count] for column in self._columns]
        return [_point(row) for row in zip(*columns, strict=True)]


def _point(row: tuple[float, ...]) -> HistoryPoint:
    timestamp, monotonic, *numbers = row
    rss, malloc, limit, source, blocks, collections = (
        None if number != number else int(number) for number in numbers
    )
    return HistoryPoint(
        timestamp,
        monotonic,
        rss or 0,
        malloc,
        limit,
        LIMIT_SOURCES[source or 0],
        blocks or 0,
        collections or 0,
    )


def thinned(points: Sequence[HistoryPoint], limit: int) -> list[HistoryPoint]:
    """Return at most ``limit`` of the points, by time: the first, the last, the peaks and troughs.

    ``limit`` is at least 6. Of each span of equal time the points remain at which resident memory, or
    what malloc has in use, is lowest and highest.
    """
    if len(points) <= limit:
        return list(points)
    spans = max(1, (limit - 2) // (2 * len(_SERIES)))
    begin = points[0].monotonic_seconds
    width = (points[-1].monotonic_seconds - begin) / spans or 1.0
    groups: dict[int, list[int]] = {}
    for place, point in enumerate(points):
        span = min(spans - 1, max(0, int((point.monotonic_seconds - begin) / width)))
        groups.setdefault(span, []).append(place)
    kept = {0, len(points) - 1}
    for places in groups.values():
        for series in _SERIES:
            known = [(getattr(points[place], series), place) for place in places]
            values = [(value, place) for value, place in known if value is not None]
            if values:
                kept |= {min(values)[1], max(values)[1]}
    return [points[place] for place in sorted(kept)]
