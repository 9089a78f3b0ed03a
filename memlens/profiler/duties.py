"""Duties: what a profiler does with each reading, and what its worker does when something is due."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from memlens.errors import MemlensError
from memlens.leaks.leak_report import LeakReport
from memlens.process.detector.alert import LeakAlert
from memlens.process.reading import MemoryReading
from memlens.profiler.agenda import Agenda, Work
from memlens.profiler.alerts import Alerts
from memlens.profiler.caller_turns import CallerTurns
from memlens.profiler.recording import Recording
from memlens.profiler.snapshot_store import SnapshotStore
from memlens.profiler.table_writing import TableWriting
from memlens.profiler.trend_detectors import TrendDetectors
from memlens.profiler.worker import Worker

__all__ = ("Duties",)


class _Callbacks(Protocol):
    """The functions of the user, which may be replaced while a profiler runs."""

    on_alert: Callable[[LeakReport], object] | None
    on_withdrawn: Callable[[LeakReport], object] | None


class Duties:
    """Passes readings on, and has the worker do what is due: snapshots, alerts, withdrawals.

    ``take_snapshot``: of the profiler, with its reason. ``note_failure`` counts an error of the worker.
    """

    def __init__(
        self,
        callbacks: _Callbacks,
        *,
        take_snapshot: Callable[[str], Any],
        note_failure: Callable[[BaseException], None],
        agenda: Agenda,
        store: SnapshotStore,
        turns: CallerTurns,
        detectors: TrendDetectors,
        recording: Recording,
        alerts: Alerts,
        tables: TableWriting,
    ) -> None:
        self._callbacks = callbacks
        self._take_snapshot = take_snapshot
        self._note_failure = note_failure
        self._agenda = agenda
        self._store = store
        self._turns = turns
        self._detectors = detectors
        self._recording = recording
        self._alerts = alerts
        self._tables = tables
        self.reset(takes_snapshots=True)

    def reset(self, *, takes_snapshots: bool) -> None:
        """Begin with a new worker: in a forked child the one of the parent does not run."""
        self._takes_snapshots = takes_snapshots
        self.worker = Worker(self._note_failure)

    def observe(self, reading: MemoryReading) -> None:
        """Handle a reading. Runs in the sampler thread, so slow work is left to the worker."""
        self._tables.observe(self._recording.observe(reading))
        self._detectors.observe(reading)
        if not self._takes_snapshots:
            return
        work = self._agenda.next_work(self._detectors, has_open_trends=self._alerts.open.has_trends)
        if work is not None:
            self.worker.submit(work.kind, partial(self._do, work))

    def _do(self, work: Work) -> None:
        """Do what was due with a reading. Runs in the worker thread."""
        if work.kind == "overdue":
            self._alerts.check_overdue(self._callbacks.on_alert)
        elif work.kind == "periodic":
            self._take_periodic_snapshot()
        elif work.kind == "withdraw":
            self._withdraw()
        else:
            self.check_for_leaks(work.kind, work.alert)

    def _take_periodic_snapshot(self) -> None:
        if self._turns.has_waiting and self._store.records:
            return  # the snapshot or report of the caller comes first, and this one a little later
        self.check_for_leaks("periodic" if self._store.records else "startup")

    def check_for_leaks(self, reason: str, alert: LeakAlert | None = None) -> None:
        """Take a snapshot and report news: a holder that grows, or the alert of a detector.

        Nothing is analysed without a callback that receives the result. The alert of a detector is
        reported even if no snapshot or report can be written.
        """
        try:
            self._take_snapshot(reason)
        except MemlensError as error:
            if alert is None:
                raise
            self._note_failure(error)
        self._alerts.check(alert, self._callbacks.on_alert)
        if alert is not None and self._callbacks.on_alert is None:
            self._tables.write_soon()
        self._withdraw()

    def _withdraw(self) -> None:
        self._alerts.withdraw(self._callbacks.on_withdrawn, is_leaking=self._detectors.is_leaking)
