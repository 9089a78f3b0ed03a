"""What a profiler saw, as values: `SnapshotRecord` and `ProfilerReport`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from memlens._text import columns, format_bytes, format_change, format_duration
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.leaks.leak_report import LeakReport
from memlens.process.detector.alert import DetectorReport
from memlens.process.reading import MemoryReading

__all__ = ("ProfilerReport", "SnapshotRecord")

_PATHS_SHOWN = 5  # lines and call paths of the allocation profile in the text
_PATHS_KEPT = 20  # and in the dict


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """One snapshot that a profiler took and keeps on disk."""

    path: str
    size_bytes: int
    object_count: int
    pause_seconds: float
    reason: str
    timestamp: float
    reading: MemoryReading

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return {**asdict(self), "reading": self.reading.to_dict()}


@dataclass(frozen=True, slots=True)
class ProfilerReport:
    """What a profiler saw: memory over time, its snapshots, what leaks, what was allocated where.

    ``detectors``: what the leak detectors made of the readings, a series each. ``allocations`` is
    None where they were not profiled.
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

    def __str__(self) -> str:
        parts = [self._memory_line()]
        if self.snapshots:
            parts.append(self._snapshot_table())
        if self.leaks is None:
            parts.append("No leaks can be told from fewer than two snapshots.")
        else:
            parts.append(str(self.leaks))
        if self.allocations is not None:
            parts.append(f"Allocations: {self.allocations.text(_PATHS_SHOWN)}")
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "pid": self.pid,
            "is_running": self.is_running,
            "seconds": self.seconds,
            "first": self.first.to_dict() if self.first else None,
            "last": self.last.to_dict() if self.last else None,
            "snapshots": [record.to_dict() for record in self.snapshots],
            "leaks": self.leaks.to_dict() if self.leaks else None,
            "detectors": [detector.to_dict() for detector in self.detectors],
            "allocations": self.allocations.to_dict(_PATHS_KEPT) if self.allocations else None,
        }

    def _memory_line(self) -> str:
        if self.first is None or self.last is None:
            return f"Process {self.pid}: not watched yet"
        change = self.last.rss_bytes - self.first.rss_bytes
        line = (
            f"Process {self.pid}: watched for {format_duration(self.seconds)}, resident memory"
            f" {format_bytes(self.last.rss_bytes)} ({format_change(change)})"
        )
        judged = [one for one in self.detectors if one.verdict.state != "warming"]
        if judged:
            line += "\nTrend: " + ", ".join(f"{one.series} {one.verdict.state}" for one in judged)
        return line

    def _snapshot_table(self) -> str:
        rows = [
            (
                time.strftime("%H:%M:%S", time.localtime(record.timestamp)),
                f"{record.object_count:,}",
                format_duration(record.pause_seconds),
                format_bytes(record.reading.rss_bytes),
                record.reason,
                record.path,
            )
            for record in self.snapshots
        ]
        headers = ("taken", "objects", "pause", "resident", "reason", "file")
        return columns(headers, rows, right=(False, True, True, True, False, False))
