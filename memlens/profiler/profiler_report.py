"""The results of a profiler: `SnapshotRecord` and `ProfilerReport`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from memlens._display import displayed
from memlens._table import columns
from memlens._text import fitted, format_bytes, format_change, format_duration
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.unexplained import UnexplainedGrowth
from memlens.process.detector.alert import DetectorReport
from memlens.process.reading import MemoryReading

__all__ = ("ProfilerReport", "SnapshotRecord", "with_trend")

_PATHS_IN_TEXT = 5  # lines and call paths of the allocation profile
_PATHS_IN_DICT = 20


@displayed
@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """A snapshot that a profiler took and keeps on disk.

    ``reading`` is the memory of the process just before the snapshot, None if the system does not
    report it; ``pause_seconds`` is the time for which the program was stopped. ``path`` is empty in
    a report of ``run`` that keeps no files.
    """

    path: str
    size_bytes: int
    object_count: int
    pause_seconds: float
    reason: str
    timestamp: float
    reading: MemoryReading | None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return {**asdict(self), "reading": self.reading.to_dict() if self.reading else None}

    def __repr__(self) -> str:
        size = format_bytes(self.size_bytes)
        return f"<SnapshotRecord: {self.object_count:,} objects, {size}, {self.path}>"


@displayed
@dataclass(frozen=True, slots=True)
class ProfilerReport:
    """The results of a profiler: memory over time, snapshots, leak suspects and allocations.

    ``seconds`` is the time between the ``first`` and the ``last`` reading. ``leaks`` is None with
    fewer than two snapshots, ``allocations`` if they were not profiled. ``detectors`` has one
    report for each series. ``withdrawn`` has the alerts that later snapshots did not confirm.
    """

    pid: int
    is_running: bool
    seconds: float
    first: MemoryReading | None
    last: MemoryReading | None
    snapshots: tuple[SnapshotRecord, ...]
    leaks: LeakReport | None
    detectors: tuple[DetectorReport, ...] = ()
    allocations: AllocationProfile | None = None
    withdrawn: tuple[LeakReport, ...] = ()

    def __repr__(self) -> str:
        suspects = "no leak analysis" if self.leaks is None else f"{len(self.leaks)} suspects"
        return (
            f"<ProfilerReport: process {self.pid}, {format_duration(self.seconds)},"
            f" {len(self.snapshots)} snapshots, {suspects}>"
        )

    def __str__(self) -> str:
        parts = [self._memory_line()]
        if self.snapshots:
            parts.append(self._snapshot_table())
        if self.leaks is None:
            parts.append("Leaks cannot be determined from fewer than two snapshots.")
        else:
            parts.append(str(self.leaks))
        parts += [
            f"Withdrawn, not confirmed later: {_subject(report)}" for report in self.withdrawn
        ]
        if self.allocations is not None:
            parts.append(f"Allocations: {self.allocations.text(_PATHS_IN_TEXT)}")
        return fitted("\n\n".join(parts))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "pid": self.pid,
            "is_running": self.is_running,
            "seconds": self.seconds,
            "first": self.first.to_dict() if self.first else None,
            "last": self.last.to_dict() if self.last else None,
            "snapshots": [record.to_dict() for record in self.snapshots],
            "leaks": self.leaks.to_dict() if self.leaks is not None else None,
            "detectors": [detector.to_dict() for detector in self.detectors],
            "allocations": self.allocations.to_dict(_PATHS_IN_DICT) if self.allocations else None,
            "withdrawn": [report.to_dict() for report in self.withdrawn],
        }

    def _memory_line(self) -> str:
        if self.first is None or self.last is None:
            return f"Process {self.pid}: no readings yet"
        change = self.last.rss_bytes - self.first.rss_bytes
        line = (
            f"Process {self.pid}: observed for {format_duration(self.seconds)}, resident memory"
            f" {format_bytes(self.last.rss_bytes)} ({format_change(change)})"
        )
        trends = [
            f"{detector.series} {detector.verdict.state}"
            for detector in self.detectors
            if detector.verdict.state != "warming"
        ]
        if trends:
            line += "\nTrend: " + ", ".join(trends)
        return line

    def _snapshot_table(self) -> str:
        rows = [
            (
                time.strftime("%H:%M:%S", time.localtime(record.timestamp)),
                f"{record.object_count:,}",
                format_duration(record.pause_seconds),
                format_bytes(record.reading.rss_bytes) if record.reading else "unknown",
                record.reason,
                record.path,
            )
            for record in self.snapshots
        ]
        headers = ("taken", "objects", "pause", "resident", "reason", "file")
        width = len(headers) if any(record.path for record in self.snapshots) else len(headers) - 1
        right = (False, True, True, True, False, False)
        return columns(
            headers[:width],
            [row[:width] for row in rows],
            right=right[:width],
            optional=("pause", "resident"),
        )


def with_trend(leaks: LeakReport, detectors: tuple[DetectorReport, ...]) -> LeakReport:
    """Return the report with what the trend of the readings says: one verdict for both."""
    if leaks.suspects or leaks.unexplained is not None:
        return leaks
    for detector in detectors:
        if detector.verdict.is_leak:
            growth = UnexplainedGrowth(
                detector.series, round(detector.verdict.growth_bytes), leaks.heap_growth_bytes
            )
            return replace(leaks, unexplained=growth)
    return leaks


def _subject(report: LeakReport) -> str:
    holders = ", ".join(suspect.holder for suspect in report)
    return holders or str(report.alert).partition("\n")[0]
