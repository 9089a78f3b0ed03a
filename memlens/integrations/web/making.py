"""The files of slow answers, made of plain values: by this process or by another one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from memlens._atomic import write_whole
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import OptionError, SnapshotFileError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.baselines import Baseline
from memlens.leaks.leak_report import LeakReport, reported_leaks
from memlens.profiler.profiler_report import ProfilerReport, with_trend

__all__ = ("FUNCTIONS", "TOO_FEW", "Unanalysed")

TOO_FEW = "Leaks cannot be determined from fewer than two snapshots."


@dataclass(frozen=True, slots=True)
class Unanalysed:
    """The report of a profiler without the analysis for leaks, and what that needs to know."""

    report: ProfilerReport
    ignore: Sequence[str]
    baseline: Baseline | None

    @property
    def paths(self) -> list[str]:
        """The files of the snapshots."""
        return [record.path for record in self.report.snapshots]

    def analysed(self) -> ProfilerReport:
        """Return the report with the analysis of the snapshots that still exist."""
        report, snapshots = self.report, self._open()
        if len(snapshots) < 2:
            return report
        leaks = reported_leaks(
            snapshots,
            ignore=self.ignore,
            baseline=self.baseline,
        )
        return replace(report, leaks=with_trend(leaks, report.detectors))

    def _open(self) -> list[HeapSnapshot]:
        snapshots = []
        for path in self.paths:
            try:
                snapshots.append(HeapSnapshot.load(path))
            except SnapshotFileError:  # the profiler has deleted it since: its folder is bounded
                continue
        return snapshots


def _memory_html(value: Unanalysed, path: str) -> None:
    value.analysed().to_html(path)


def _memory_json(value: Unanalysed, path: str) -> None:
    _write_json(value.analysed().to_dict(), path)


def _leaks_html(value: Unanalysed, path: str) -> None:
    leaks = value.analysed().leaks
    if leaks is None:
        raise OptionError(TOO_FEW)
    leaks.to_html(path)


def _leaks_json(value: Unanalysed, path: str) -> None:
    leaks = value.analysed().leaks
    _write_json({"leaks": None, "missing": TOO_FEW} if leaks is None else _described(leaks), path)


def _leaks_text(value: Unanalysed, path: str) -> None:
    leaks = value.analysed().leaks
    write_whole(path, f"{TOO_FEW if leaks is None else leaks}\n".encode())


def _described(leaks: LeakReport) -> dict[str, Any]:
    return {"leaks": leaks.to_dict()}


def _allocations_html(value: AllocationProfile, path: str) -> None:
    value.to_html(path)


def _heapsnapshot(value: int, path: str) -> None:
    """Convert a snapshot, of which there is an open file without a name."""
    from memlens.formats.heapsnapshot.writer import write_heapsnapshot

    write_heapsnapshot(HeapSnapshot.from_descriptor(value), path)


def _write_json(value: dict[str, Any], path: str) -> None:
    write_whole(path, json.dumps(value).encode())


# What a process is asked for by name.
FUNCTIONS: dict[str, Callable[[Any, str], None]] = {
    "memory.html": _memory_html,
    "memory.json": _memory_json,
    "leaks.html": _leaks_html,
    "leaks.json": _leaks_json,
    "leaks.txt": _leaks_text,
    "allocations.html": _allocations_html,
    "heapsnapshot": _heapsnapshot,
}
