"""Alerts: what a profiler does when a snapshot was taken or a trend shows a leak."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from memlens._core.sampler_api import OwnWork
from memlens._fork import ForkSafeLock
from memlens._log import INFO, WARNING, log_event, warn_once
from memlens._own_thread import call_program
from memlens.errors import MemlensError
from memlens.leaks.baselines import Baseline
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import is_ignored
from memlens.lifetimes.expectations import OF_PROCESS as EXPECTED
from memlens.process.detector.alert import LeakAlert
from memlens.process.identity import identify
from memlens.profiler.analysis import Analysis
from memlens.profiler.open_alerts import OpenAlerts
from memlens.profiler.snapshot_store import SnapshotStore

__all__ = ("Alerts", "log_alert")

_MANY = 1000  # holders, in the search for one
_MIN_SNAPSHOTS_FOR_ALERT = 3  # two cannot distinguish a leak from one-time growth


class Alerts:
    """Analyses the snapshots of a store, gives reports to callbacks and withdraws them.

    ``lock`` protects the store; it is not held while the analysis or a callback runs. Runs in the
    worker thread of the profiler. ``mark`` is called with one line for each alert that is given.
    """

    def __init__(
        self,
        store: SnapshotStore,
        lock: ForkSafeLock,
        ignore: tuple[str, ...],
        baseline: Baseline | None,
        note_failure: Callable[[BaseException], object],
        mark: Callable[[str], object],
    ) -> None:
        self._store = store
        self._lock = lock
        self._ignore = ignore
        self._baseline = baseline
        self._note_failure = note_failure
        self._mark = mark
        self.on_written: Callable[[str], object] | None = None  # receives the path of each report,
        self.on_report: Callable[[LeakReport], object] | None = None  # and the report
        self.analysis = Analysis()
        self.open = OpenAlerts()
        self.count = self.withdrawn_count = 0

    def forget(self) -> None:
        """Set the initial state, in a forked child."""
        self.analysis.forget()
        self.open.clear()
        self.count = self.withdrawn_count = 0

    def counters(self) -> dict[str, int]:
        """Return how many alerts there were, for `MemoryProfiler.health`."""
        return {"alerts": self.count, "alerts_withdrawn": self.withdrawn_count}

    def check(
        self, alert: LeakAlert | None, on_alert: Callable[[LeakReport], object] | None
    ) -> None:
        """Report news after a snapshot: a holder that grows, or the alert of a detector."""
        if on_alert is None:
            if alert is not None:
                self._note(str(alert).partition("\n")[0])
                self.open.add(self._unexplained(alert), time.time())
                self._log(alert)
            return
        if alert is None and len(self._store.records) < _MIN_SNAPSHOTS_FOR_ALERT:
            return
        with OwnWork():
            report = self._analyse(alert)
        self._test_open()
        if alert is None and not self.open.has_news(report):
            return
        self.open.add(report, time.time())
        self._give(report, on_alert)

    def check_overdue(self, on_alert: Callable[[LeakReport], object] | None) -> None:
        """Report the objects of `memlens.expect_collected` that are late."""
        with self._lock, OwnWork():
            report = EXPECTED.overdue()
        if self._baseline is not None:
            report = report.against(self._baseline)
        kept = tuple(one for one in report if not is_ignored(one, self._ignore))
        if not kept:
            return
        report = replace(report, suspects=kept)
        if on_alert is None:
            self._note(_subject(report))
            _log_report(WARNING, "overdue_objects", str(report), report)
        else:
            self._give(report, on_alert)

    def _give(self, report: LeakReport, on_alert: Callable[[LeakReport], object]) -> None:
        """Write a report to the store and give it to the callback."""
        self._note(_subject(report))
        path = None
        try:
            with self._lock, OwnWork():
                path = self._store.write(report)
        except MemlensError as error:
            self._note_failure(error)
        else:
            if self.on_written is not None:
                self.on_written(path)
        if self.on_report is not None:
            self.on_report(report)
        if on_alert is not log_alert:
            _log_report(INFO, "leak_alert", _subject(report), report, report_path=path)
        call_program(on_alert, report)

    def _note(self, subject: str) -> None:
        self.count += 1
        self._mark(subject)

    def _test_open(self) -> None:
        """Look whether the holders of the first report that is due have grown since.

        Only one a time: the others are due at the next snapshot.
        """
        now = time.time()
        for one in self.open.to_test(now):
            with self._lock:
                self._store.paths()
                records = [
                    record for record in self._store.records if record.timestamp >= one.since
                ]
            if not records or records[-1].timestamp - records[0].timestamp < one.report.seconds:
                continue
            pair = [records[0].path, records[-1].path]
            with OwnWork():
                growth = self.analysis.run([pair], limit=_MANY).report
            if growth is not None:
                self.open.test(one, growth, records[-1].timestamp)
            return

    def withdraw(
        self, on_withdrawn: Callable[[LeakReport], object] | None, *, is_leaking: bool
    ) -> None:
        """Withdraw the reports that do not hold any more, and say so."""
        for report in self.open.withdraw(is_leaking=is_leaking):
            self.withdrawn_count += 1
            if on_withdrawn is not None:
                call_program(on_withdrawn, report)
            elif report.alert is not None:
                message = f"withdrawn, memory has settled: {report.alert}"
                _log_report(INFO, "alert_withdrawn", message, report)

    def _log(self, alert: LeakAlert) -> None:
        """Log an alert without an analysis, which nobody requested."""
        message = f"{alert}\n  to find the holder: python -m memlens leaks {self._store.pattern}"
        report = self._unexplained(alert)
        _log_report(WARNING, "leak_alert", message, report, snapshots=self._store.pattern)

    def _unexplained(self, alert: LeakAlert | None, reason: str = "") -> LeakReport:
        count = len(self._store.records)
        return LeakReport(
            os.getpid(), count, 0.0, 0, (), (), alert, not_analysed=reason, identity=identify()
        )

    def _analyse(self, alert: LeakAlert | None) -> LeakReport:
        with self._lock:
            if alert is None:
                choices = [self._store.paths()]
            else:
                choices = self._store.paths_since(time.time() - (alert.time - alert.since))
        if not any(len(paths) >= 2 for paths in choices):
            return self._unexplained(alert)
        answer = self.analysis.run(choices, self._ignore)
        if answer.report is not None:
            report = replace(answer.report, alert=alert)
            return report if self._baseline is None else report.against(self._baseline)
        if answer.reason and not self.analysis.is_stopped:
            warn_once(
                f"snapshots are analysed on request only: {answer.reason}",
                event="analysis_off",
                reason=answer.reason,
            )
        return self._unexplained(alert, answer.reason)


def _subject(report: LeakReport) -> str:
    """Return what a report is about, in one line."""
    if report.suspects:
        return f"leak suspected: {report.suspects[0].holder}"
    return str(report.alert).partition("\n")[0]


def log_alert(report: LeakReport) -> None:
    """Log an alert: the callback of a profiler without ``on_alert`` that hands out files of alerts."""
    _log_report(WARNING, "leak_alert", str(report), report)


def _log_report(level: int, event: str, message: str, report: LeakReport, **facts: Any) -> None:
    """Log a report with its first suspect as facts; ``bytes`` is what that has grown by."""
    first = report.suspects[0] if report.suspects else None
    log_event(
        level,
        event,
        message,
        reason=_subject(report),
        verdict=report.verdict,
        holder=first.holder if first else None,
        path=str(first.path) if first else None,
        pattern=first.pattern if first else None,
        fingerprint=first.fingerprint if first else None,
        bytes=first.retained_growth_bytes if first else None,
        suspects=[one.fingerprint for one in report.suspects],
        alert=report.alert.to_dict() if report.alert else None,
        **facts,
    )
