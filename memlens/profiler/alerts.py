"""Alerts: what a profiler does when a snapshot was taken or a trend shows a leak."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace

from memlens._core.sampler_api import OwnWork
from memlens._fork import ForkSafeLock
from memlens._log import warn_once
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

__all__ = ("Alerts",)

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
        self.analysis = Analysis()
        self.open = OpenAlerts()
        self.count = self.withdrawn_count = 0

    def forget(self) -> None:
        """Set the initial state, in a forked child."""
        self.analysis.forget()
        self.open.clear()
        self.count = self.withdrawn_count = 0

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
            logging.getLogger("memlens").warning("%s", report)
        else:
            self._give(report, on_alert)

    def _give(self, report: LeakReport, on_alert: Callable[[LeakReport], object]) -> None:
        """Write a report to the store and give it to the callback."""
        self._note(_subject(report))
        try:
            with self._lock, OwnWork():
                self._store.write(report)
        except MemlensError as error:
            self._note_failure(error)
        on_alert(report)

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
                on_withdrawn(report)
            elif report.alert is not None:
                logging.getLogger("memlens").info("withdrawn, memory has settled: %s", report.alert)

    def _log(self, alert: LeakAlert) -> None:
        """Log an alert without an analysis, which nobody requested."""
        logging.getLogger("memlens").warning(
            "%s\n  to find the holder: python -m memlens leaks %s", alert, self._store.pattern
        )

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
            warn_once(f"snapshots are analysed on request only: {answer.reason}")
        return self._unexplained(alert, answer.reason)


def _subject(report: LeakReport) -> str:
    """Return what a report is about, in one line."""
    if report.suspects:
        return f"leak suspected: {report.suspects[0].holder}"
    return str(report.alert).partition("\n")[0]
