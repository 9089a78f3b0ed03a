"""Rows of ``verdicts``: what the trends of a process and its heap say."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from memlens.leaks.leak_report import LeakReport
from memlens.process.detector.alert import DetectorReport
from memlens.tables.process_columns import Columns, ProcessColumns

__all__ = ("HEAP", "verdict_columns")

HEAP = "heap"  # the series of the verdict over snapshots
_LIMITED = "rss"  # the series that counts against the limit
_DIGITS = 6

_Row = tuple[str, str, str, int, float | None, float | None, float | None, float | None, float, int]
_NAMES = (
    "series",
    "state",
    "confidence",
    "growth_bytes",
    "slope_bytes_per_hour",
    "slope_low_bytes_per_hour",
    "slope_high_bytes_per_hour",
    "seconds_to_limit",
    "window_seconds",
    "snapshot_count",
)


def verdict_columns(
    reports: Iterable[DetectorReport | LeakReport],
    process: ProcessColumns,
    *,
    time: float,
    uptime_seconds: float | None = None,
    seconds_to_limit: float | None = None,
) -> Columns:
    """Return a row for each report: of a trend, or of the heap.

    ``time``: when they were made, seconds since the epoch. ``uptime_seconds``: the uptime of the
    process then; None takes it from ``time``. ``seconds_to_limit``: the time until the limit, for
    the series ``rss``, while a leak of it is certain.
    """
    rows = [
        _of_heap(report) if isinstance(report, LeakReport) else _of_trend(report, seconds_to_limit)
        for report in reports
    ]
    return {
        **process.same_moment(len(rows), time, uptime_seconds),
        **{name: [row[place] for row in rows] for place, name in enumerate(_NAMES)},
    }


def _of_trend(report: DetectorReport, seconds_to_limit: float | None) -> _Row:
    verdict = report.verdict
    low, high = verdict.interval_bytes_per_hour or (None, None)
    return (
        report.series,
        verdict.state,
        f"{verdict.confidence:.{_DIGITS}g}",
        round(verdict.growth_bytes),
        _finite(verdict.slope_bytes_per_hour),
        _finite(low),
        _finite(high),
        _finite(seconds_to_limit) if report.series == _LIMITED and verdict.is_leak else None,
        report.duration_seconds,
        0,
    )


def _of_heap(report: LeakReport) -> _Row:
    alert = report.alert
    return (
        HEAP,
        report.verdict,
        report.confidence,
        report.heap_growth_bytes,
        None,
        None,
        None,
        _finite(alert.seconds_to_limit) if alert is not None else None,
        report.seconds,
        report.snapshot_count,
    )


def _finite(number: float | None) -> float | None:
    """Return a number; None for the end of an interval that has none."""
    return number if number is not None and isfinite(number) else None
