"""The tables of a profiler's report: its readings, verdicts, suspects and allocations as rows."""

from __future__ import annotations

import os
import time

from memlens.errors import OptionError
from memlens.leaks.leak_report import LeakReport
from memlens.process.detector.alert import DetectorReport
from memlens.process.history import HistoryPoint
from memlens.process.identity import identify
from memlens.process.reading import MemoryReading
from memlens.profiler.profiler_report import ProfilerReport
from memlens.tables.allocation_paths import allocation_columns
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.readings import reading_columns
from memlens.tables.suspects import suspect_columns
from memlens.tables.verdicts import verdict_columns

__all__ = ("REPORT_TABLES", "report_columns")

REPORT_TABLES = ("readings", "verdicts", "suspects", "allocations")


def report_columns(report: ProfilerReport, table: str) -> Columns:
    """Return the rows of one of `REPORT_TABLES`.

    Suspects are none where the snapshots were too few to find any. Raises ``OptionError`` for the
    allocations of a report that has none.
    """
    process = _process(report)
    if table == "readings":
        return reading_columns(_readings(report), process)
    if table == "allocations":
        if report.allocations is None:
            raise OptionError(
                "the report has no allocations: give the profiler allocations=..., or choose another"
                " table"
            )
        return allocation_columns(report.allocations, process)
    last = report.last
    moment = time.time() if last is None else last.timestamp
    uptime = None if last is None else process.uptime(moment, last.monotonic_seconds)
    if table == "verdicts":
        found: list[DetectorReport | LeakReport] = [*report.detectors]
        found += [] if report.leaks is None else [report.leaks]
        return verdict_columns(found, process, time=moment, uptime_seconds=uptime)
    leaks = report.leaks or LeakReport(report.pid, 0, 0.0, 0, (), ())
    return suspect_columns(leaks, process, time=moment, uptime_seconds=uptime)


def _readings(report: ProfilerReport) -> list[HistoryPoint | MemoryReading]:
    if report.history:
        return [*report.history]
    return [one for one in (report.first, report.last) if one is not None]


def _process(report: ProfilerReport) -> ProcessColumns:
    identity = report.identity
    if identity is None and report.pid == os.getpid():
        identity = identify()
    return ProcessColumns.unknown(report.pid) if identity is None else ProcessColumns.of(identity)
