"""The results of a profiler: `SnapshotRecord` and `ProfilerReport`."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from memlens._display import displayed
from memlens._presentation import write_html
from memlens._table import columns
from memlens._text import fitted, format_bytes, format_change, format_duration
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import SnapshotFileError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.unexplained import UnexplainedGrowth
from memlens.process.detector.alert import DetectorReport
from memlens.process.history import HistoryPoint, Mark, thinned
from memlens.process.identity import ProcessIdentity
from memlens.process.memory_breakdown import MemoryBreakdown
from memlens.process.reading import MemoryReading

__all__ = ("ProfilerReport", "SnapshotRecord", "with_trend")

_PATHS_IN_TEXT = 5  # lines and call paths of the allocation profile
_PATHS_IN_DICT = 20
_POINTS_IN_DICT = 500


@displayed
@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """A snapshot that a profiler took and keeps on disk.

    ``reading`` is the memory of the process just before the snapshot, None if the system does not
    report it; ``pause_seconds`` is the time for which the program was stopped. ``path`` is empty in
    a report of ``run`` that keeps no files. ``object_count`` is that of all captured objects, also
    garbage and memlens's own, which views leave out.
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
    ``history``: memory over the whole time, in a few thousand points; ``marks``: alerts and what the
    program marked. ``health`` is that of the profiler; ``breakdown`` is None where the system does not
    report it. ``command``: the name of the program; ``limit_bytes``: the limit that it set;
    ``identity``: which process of the program it is.
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
    history: tuple[HistoryPoint, ...] = ()
    marks: tuple[Mark, ...] = ()
    health: dict[str, Any] = field(default_factory=dict)
    breakdown: MemoryBreakdown | None = None
    command: str | None = None
    limit_bytes: int | None = None
    identity: ProcessIdentity | None = None

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
            "history": _history_dict(self.history),
            "marks": [mark.to_dict() for mark in self.marks],
            "health": self.health,
            "breakdown": self.breakdown.to_dict() if self.breakdown else None,
            "command": self.command,
            "limit_bytes": self.limit_bytes,
            "identity": self.identity.to_dict() if self.identity else None,
        }

    def to_html(self, path: str | os.PathLike[str], *, source: bool = False) -> int:
        """Write the report with pictures as one HTML file; return its size in bytes.

        The pictures of the heap are made from the files of the snapshots, while they exist.
        ``source``: show a few lines of source around the site of each suspect, where the file is
        readable. Raises ``OutputError`` if the file cannot be written.
        """
        snapshots, missing, notes = self._open_snapshots()
        marks = (*self.marks, *map(_mark, missing))
        return write_html(
            path,
            snapshots=snapshots,
            leaks=self.leaks,
            allocations=self.allocations,
            source=source,
            history=self.history,
            marks=marks,
            detectors=self.detectors,
            withdrawn=self.withdrawn,
            breakdown=self.breakdown,
            health=self.health,
            pid=self.pid,
            command=self.command,
            seconds=self.seconds,
            limit_bytes=self.limit_bytes,
            notes=notes,
        )

    def _open_snapshots(self) -> tuple[list[HeapSnapshot], list[SnapshotRecord], list[str]]:
        """Open the snapshots whose files exist; return the records of the others, and say which."""
        opened, missing, notes = [], [], []
        for record in self.snapshots:
            try:
                opened.append(HeapSnapshot.load(record.path))
            except SnapshotFileError as error:
                missing.append(record)
                notes.append(f"Objects of a snapshot: {error}.")
        return opened, missing, notes

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
        headers = ("taken", "objects captured", "pause", "resident", "reason", "file")
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


def _mark(record: SnapshotRecord) -> Mark:
    label = f"{record.reason}: {record.object_count:,} objects captured"
    return Mark(record.timestamp, "snapshot", label)


def _history_dict(history: tuple[HistoryPoint, ...]) -> dict[str, Any]:
    rows = thinned(history, _POINTS_IN_DICT)
    return {"columns": list(HistoryPoint._fields), "rows": [list(point) for point in rows]}


def _subject(report: LeakReport) -> str:
    holders = ", ".join(suspect.holder for suspect in report)
    return holders or str(report.alert).partition("\n")[0]
