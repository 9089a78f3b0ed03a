"""ReportMaker: makes the report of a profiler from what its parts know."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from memlens import errors
from memlens._core.sampler_api import OwnWork
from memlens.leaks.baselines import Baseline
from memlens.leaks.leak_report import LeakReport, reported_leaks
from memlens.process.identity import identify, program_name
from memlens.process.memory_breakdown import MemoryBreakdown, breakdown
from memlens.profiler.alerts import Alerts
from memlens.profiler.allocation_source import AllocationSource
from memlens.profiler.caller_turns import CallerTurns
from memlens.profiler.profiler_report import ProfilerReport, SnapshotRecord, with_trend
from memlens.profiler.recording import Recording
from memlens.profiler.snapshot_store import SnapshotStore
from memlens.profiler.trend_detectors import TrendDetectors

__all__ = ("ReportMaker",)


class ReportMaker:
    """Makes the report of one profiler; ``ignore`` and ``baseline`` are its options.

    ``health`` returns the counters of the profiler, ``note_failure`` counts a failure. ``parts``: the
    breakdown of resident memory to report, None: that of the moment of the report.
    """

    def __init__(
        self,
        store: SnapshotStore,
        turns: CallerTurns,
        recording: Recording,
        detectors: TrendDetectors,
        allocations: AllocationSource,
        alerts: Alerts,
        *,
        ignore: tuple[str, ...],
        baseline: Baseline | None,
        limit_bytes: int | None,
        health: Callable[[], dict[str, Any]],
        note_failure: Callable[[BaseException], object],
    ) -> None:
        self._store = store
        self._turns = turns
        self._recording = recording
        self._detectors = detectors
        self._allocations = allocations
        self._alerts = alerts
        self._ignore = ignore
        self._baseline = baseline
        self._limit_bytes = limit_bytes
        self._health = health
        self._note_failure = note_failure
        self.parts: MemoryBreakdown | None = None

    def make(self, *, is_running: bool, analyse: bool) -> ProfilerReport:
        """Return the report; ``analyse``: look for leaks in the kept snapshots."""
        asked = time.time()
        parts = self.parts or self.breakdown()
        records, leaks = self._find_leaks(asked) if analyse else (self._records(), None)
        first, last = self._recording.ends(record.reading for record in records)
        seconds = 0.0
        if first is not None and last is not None:
            seconds = last.timestamp - first.timestamp
        detectors = self._detectors.report()
        if leaks is not None:
            leaks = with_trend(leaks, detectors)
        with OwnWork():
            history, marks = self._recording.history, self._recording.marks
            health = _without_messages(self._health())
        return ProfilerReport(
            os.getpid(),
            is_running,
            seconds,
            first,
            last,
            records,
            leaks,
            detectors,
            self._allocations.profile(),
            self._alerts.open.withdrawn,
            history,
            marks,
            health,
            parts,
            program_name(),
            self._limit_bytes,
            identify(),
        )

    def breakdown(self) -> MemoryBreakdown | None:
        """Return what resident memory consists of now; None where that cannot be found out."""
        try:
            with OwnWork():
                return breakdown()
        except (OSError, MemoryError) as error:  # no descriptor is free, or little memory is left
            self._note_failure(error)
            return None

    def _records(self) -> tuple[SnapshotRecord, ...]:
        return tuple(self._store.records)

    def _find_leaks(self, until: float) -> tuple[tuple[SnapshotRecord, ...], LeakReport | None]:
        """Return the kept snapshots, and what leaks between those until then, or else all."""
        with self._turns.take(), OwnWork():
            snapshots = self._store.load()
            before = [snapshot for snapshot in snapshots if snapshot.timestamp <= until]
            if len(before) >= 2:
                snapshots = before
            if len(snapshots) < 2:
                return self._records(), None
            return self._records(), reported_leaks(
                snapshots, ignore=self._ignore, baseline=self._baseline
            )


def _without_messages(health: dict[str, Any]) -> dict[str, Any]:
    """Return health for a report: of errors that are not ours, which may tell data, the type only."""
    found: dict[str, Any] = {}
    for name, value in health.items():
        if isinstance(value, dict):
            value = _without_messages(value)
        elif name == "last_error" and value and not hasattr(errors, value.partition(":")[0]):
            value = value.partition(":")[0]
        found[name] = value
    return found
