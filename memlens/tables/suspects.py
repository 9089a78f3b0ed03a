"""Rows of ``suspects``: the holders that grow in a process."""

from __future__ import annotations

from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import LeakSuspect
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.stable_frames import StableFrames

__all__ = ("suspect_columns",)


def suspect_columns(
    report: LeakReport,
    process: ProcessColumns,
    *,
    time: float,
    uptime_seconds: float | None = None,
    frames: StableFrames | None = None,
) -> Columns:
    """Return a row for each suspect of a report, the largest first.

    ``time``: when the last snapshot was taken, seconds since the epoch. ``uptime_seconds``: the
    uptime of the process then; None takes it from ``time``. ``frames`` shortens the files of sites.
    """
    frames = frames or StableFrames()
    suspects, count = report.suspects, len(report.suspects)
    return {
        **process.same_moment(count, time, uptime_seconds),
        "fingerprint": [one.fingerprint for one in suspects],
        "rank": list(range(1, count + 1)),
        "holder": [one.holder for one in suspects],
        "holder_type": [one.holder_type for one in suspects],
        "held_by": [str(one.path) for one in suspects],
        "growing_types": [list(one.growing_types) for one in suspects],
        "pattern": [one.pattern for one in suspects],
        "evidence": [one.evidence for one in suspects],
        "suggestion": [one.suggestion for one in suspects],
        "origin": [str(one.origin) for one in suspects],
        "site": [_site(one, frames) for one in suspects],
        "confidence": [report.confidence] * count,
        "count_growth": [one.count_growth for one in suspects],
        "growth_bytes": [one.retained_growth_bytes for one in suspects],
        "retained_bytes": [one.retained_bytes for one in suspects],
        "window_seconds": [report.seconds] * count,
    }


def _site(suspect: LeakSuspect, frames: StableFrames) -> str | None:
    """Return the line that allocated most of what a suspect gained, None where it is not known."""
    path = suspect.sites[0].call_path if suspect.sites else ()
    return frames.text(path[-1]) if path else None
