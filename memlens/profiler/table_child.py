"""The process that writes the tables of a profiler, beside the program. Only it imports pyarrow.

What costs little is written first, so that an analysis that needs too much memory or time takes no
reading along. Each table that is written is a line on standard output: ``{"table": "readings", ...}``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.profile_file import profile_from_dict
from memlens.errors import MemlensError, SnapshotFileError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport, reported_leaks
from memlens.process.detector.alert import DetectorReport
from memlens.process.history import HistoryPoint
from memlens.process.limits import GIVEN
from memlens.profiler.answering import answer_request
from memlens.profiler.plain_values import from_plain
from memlens.profiler.profiler_report import with_trend
from memlens.profiler.table_request import ANALYSED
from memlens.tables.allocation_paths import allocation_columns
from memlens.tables.heap_types import type_columns
from memlens.tables.holders import holder_columns
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.readings import reading_columns
from memlens.tables.schema import table_named
from memlens.tables.stable_frames import StableFrames
from memlens.tables.suspects import suspect_columns
from memlens.tables.table_folder import write_rows
from memlens.tables.value_tables import snapshot_uptime
from memlens.tables.verdicts import verdict_columns

__all__ = ("main", "write_tables")

_STDOUT = 1


def main() -> None:
    """Write what standard input asks for, and tell it on standard output."""
    answer_request(write_tables)


def write_tables(request: dict[str, Any]) -> dict[str, Any]:
    """Write the tables of a request of `TableBatch`; return how long it took and its peak.

    Raises ``MemlensError`` with the first error, after whatever else could be written.
    """
    began = time.perf_counter()
    writing = _Writing(request)
    for part in (writing.readings, writing.trends, writing.allocations, writing.heap):
        try:
            part()
        except MemlensError as error:
            writing.errors.append(error)
    if writing.errors:
        raise writing.errors[0]
    return {"seconds": time.perf_counter() - began, "peak_bytes": _peak_bytes()}


class _Writing:
    """The parts of a request, and the folder that their rows go to."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._process = ProcessColumns.from_dict(request["process"])
        self._frames = StableFrames(request["folders"])
        self._detectors: tuple[DetectorReport, ...] = from_plain(request["detectors"])
        self.errors: list[MemlensError] = []

    def readings(self) -> None:
        """Write the readings; what counts against the limit is known of the last one."""
        points = [HistoryPoint(*values) for values in self._request["readings"]]
        given = self._request["limit_bytes"]
        used: list[int | None] = [None] * len(points)
        if given is not None:
            points = [one._replace(limit_bytes=given, limit_source=GIVEN) for one in points]
            used = [one.rss_bytes for one in points]
        elif points:
            used[-1] = self._request["limit_used_bytes"]
        self._write("readings", reading_columns(points, self._process, limit_used_bytes=used))

    def trends(self) -> None:
        """Write what the detectors say now."""
        columns = verdict_columns(
            self._detectors,
            self._process,
            time=self._request["time"],
            uptime_seconds=self._request["uptime_seconds"],
            seconds_to_limit=self._request["seconds_to_limit"],
        )
        self._write("verdicts", columns)

    def allocations(self) -> None:
        """Write the call paths of the profile."""
        if self._request["allocations"] is None:
            return
        profile = AllocationProfile(*profile_from_dict(self._request["allocations"]))
        columns = allocation_columns(
            profile,
            self._process,
            uptime_seconds=self._request["allocations_uptime"],
            frames=self._frames,
        )
        self._write("allocations", columns)

    def heap(self) -> None:
        """Write the types and holders of the newest snapshot, and what leaks."""
        newest = _load(self._request["newest"])
        if newest is not None:
            uptime = snapshot_uptime(newest)
            columns = {
                "types": type_columns(newest, self._process, uptime_seconds=uptime),
                "holders": holder_columns(newest, self._process, uptime_seconds=uptime),
            }
            for table, rows in columns.items():
                self._write(table, rows)
        reports: tuple[LeakReport, ...] = from_plain(self._request["reports"])
        for number, report in enumerate(reports):
            self._write_leaks(report, f"-alert-{number}")
        is_known = newest is not None and newest.timestamp in [one.timestamp for one in reports]
        if self._request["choices"] and not is_known:
            leaks = self._find_leaks()
            if leaks is not None:
                self._write_leaks(with_trend(leaks, self._detectors), "-heap")
        _tell({"table": ANALYSED})

    def _find_leaks(self) -> LeakReport | None:
        """Return what the first choice of snapshots says that shows a leak, else the last choice."""
        report = None
        for paths in self._request["choices"]:
            snapshots = [one for one in map(_load, paths) if one is not None]
            if len(snapshots) >= 2:
                report = reported_leaks(snapshots, ignore=self._request["ignore"])
                if report.suspects:
                    break
        return report

    def _write_leaks(self, report: LeakReport, suffix: str) -> None:
        moment = self._request["time"] if report.timestamp is None else report.timestamp
        uptime = self._uptime(moment)
        self._write(
            "suspects",
            suspect_columns(
                report, self._process, time=moment, uptime_seconds=uptime, frames=self._frames
            ),
            suffix,
        )
        rows = verdict_columns([report], self._process, time=moment, uptime_seconds=uptime)
        self._write("verdicts", rows, suffix)

    def _uptime(self, moment: float) -> float | None:
        """Return the uptime of the process at a snapshot, as the snapshot tells it."""
        choices: Sequence[Sequence[str]] = [*self._request["choices"], [self._request["newest"]]]
        for path in dict.fromkeys(path for paths in choices for path in reversed(paths)):
            snapshot = _load(path)
            if snapshot is not None and snapshot.timestamp == moment:
                return snapshot_uptime(snapshot)
        now = self._request["uptime_seconds"]
        return None if now is None else max(0.0, float(now + moment - self._request["time"]))

    def _write(self, table: str, columns: Columns, suffix: str = "") -> None:
        rows = len(columns["time"])
        if not rows:
            return
        name = self._request["name"] + suffix
        paths = write_rows(self._request["folder"], table_named(table), columns, name=name)
        size = sum(os.path.getsize(path) for path in paths if os.path.exists(path))
        _tell({"table": table, "rows": rows, "bytes": size, "files": len(paths)})


def _load(path: str) -> HeapSnapshot | None:
    """Open a snapshot; None where it has been deleted, or replaced by something else, meanwhile."""
    with suppress(SnapshotFileError):
        return HeapSnapshot.load(path) if path else None
    return None


def _tell(value: dict[str, Any]) -> None:
    """Write a line at once: this process may be killed next, or its parent have ended."""
    with suppress(OSError):
        os.write(_STDOUT, json.dumps(value).encode() + b"\n")


def _peak_bytes() -> int | None:
    with suppress(ImportError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return None
