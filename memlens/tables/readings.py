"""Rows of ``readings``: the memory of a process over time."""

from __future__ import annotations

from collections.abc import Sequence

from memlens.process.history import HistoryPoint
from memlens.process.reading import MemoryReading
from memlens.tables.process_columns import Columns, ProcessColumns

__all__ = ("reading_columns",)


def reading_columns(
    readings: Sequence[MemoryReading | HistoryPoint],
    process: ProcessColumns,
    *,
    limit_used_bytes: Sequence[int | None] | None = None,
) -> Columns:
    """Return the rows of readings of the process, in their order.

    ``limit_used_bytes``: for each reading what counts against the limit, where that was measured.
    What malloc has in use is known of a `HistoryPoint` only.
    """
    points = [_point(one) for one in readings]
    used = [None] * len(points) if limit_used_bytes is None else list(limit_used_bytes)
    return {
        **process.columns(
            [one.timestamp for one in points],
            [process.uptime(one.timestamp, one.monotonic_seconds) for one in points],
        ),
        "rss_bytes": [one.rss_bytes for one in points],
        "malloc_bytes": [one.malloc_bytes for one in points],
        "limit_bytes": [one.limit_bytes for one in points],
        "limit_source": [one.limit_source for one in points],
        "limit_used_bytes": used,
        "allocated_blocks": [one.allocated_blocks for one in points],
        "full_collections": [one.full_collections for one in points],
    }


def _point(reading: MemoryReading | HistoryPoint) -> HistoryPoint:
    return reading if isinstance(reading, HistoryPoint) else HistoryPoint.of(reading)
