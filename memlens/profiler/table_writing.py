"""TableWriting: hands readings, verdicts, allocations and snapshots to a process that writes tables.

The program itself only collects a few values. A child of low priority analyses the snapshots and
writes Parquet, see `memlens.profiler.table_child`.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memlens._core.sampler_api import OwnWork
from memlens._fork import ForkSafeLock
from memlens._log import FailureLog
from memlens.errors import OutputError, ReadingError
from memlens.leaks.leak_report import LeakReport
from memlens.process.allocator_memory import malloc_bytes
from memlens.process.detector.alert import DetectorReport
from memlens.process.history import HistoryPoint
from memlens.process.limits import memory_limit
from memlens.process.reading import read_memory
from memlens.profiler.allocation_source import AllocationSource
from memlens.profiler.child_process import ChildProcess, Reply, program_of
from memlens.profiler.exit_call import ExitCall
from memlens.profiler.profiler_options import TableOptions
from memlens.profiler.snapshot_choices import paths_since
from memlens.profiler.snapshot_store import SnapshotStore
from memlens.profiler.table_backlog import TableBacklog
from memlens.profiler.table_counters import TableCounters
from memlens.profiler.table_readings import TableReadings
from memlens.profiler.table_request import TableBatch
from memlens.profiler.trend_detectors import TrendDetectors
from memlens.profiler.worker import Worker

__all__ = ("TableWriting",)

_PROGRAM = program_of("memlens.profiler.table_child")
# Stacks of threads and arenas count as address space, and one thread is enough.
_ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
}
_STOP_SECONDS = 5.0  # how long stop() waits, as for a snapshot in progress
_MIN_POINTS = 12  # where none are kept
_WHAT = "tables could not be written"


@dataclass(frozen=True, slots=True, eq=False)
class _Handed:
    """What was handed to a child."""

    child: ChildProcess
    batch: TableBatch


class TableWriting:
    """Writes the tables of one profiler at each interval, after alerts, at its stop and at exit.

    ``options``: None writes nothing. The program is never blocked: a thread ``memlens-tables`` exists
    while a child works. What could not be written is kept, within bounds, for the next time. Failures
    are logged once and counted.
    """

    def __init__(
        self,
        options: TableOptions | None,
        store: SnapshotStore,
        allocations: AllocationSource,
        detectors: TrendDetectors,
        *,
        ignore: tuple[str, ...],
        limit_bytes: int | None,
        clock: Callable[[], float],
    ) -> None:
        self._options = options
        self._store = store
        self._allocations = allocations
        self._detectors = detectors
        self._ignore = ignore
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._lock = ForkSafeLock()  # of what is written and what is not
        self._backlog = TableBacklog(TableReadings() if options else TableReadings(_MIN_POINTS))
        self._failures = FailureLog()
        self._handed: set[_Handed] = set()
        self._exit = ExitCall(self._at_exit)
        self._is_running = False
        self._stopped_at: float | None = None  # seconds of the monotonic clock
        self.forget()

    def __repr__(self) -> str:
        folder = self._options.folder if self._options else "off"
        return f"<TableWriting: {folder}, {self._counters.written} times>"

    def forget(self, *, is_off: bool = False) -> None:
        """Set the initial state, in a forked child. ``is_off``: this process writes no tables."""
        for handed in self._handed:
            handed.child.forget()
        self._handed = set()
        if self._is_running:
            self._exit.forget()
        self._is_off = is_off or self._options is None
        self._worker = Worker(self._note_failure, "memlens-tables")
        self._backlog.clear()
        self._failures.clear()
        self._counters = TableCounters()
        self._schedule()

    def _schedule(self) -> None:
        """Set when to write first: processes that start together should not write together."""
        if self._options is not None:
            self._next = self._clock() + self._options.interval * (0.5 + random.random() / 2)

    # -- when ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write. Does nothing if it has begun."""
        if not self._is_running and self._options is not None:
            self._is_running, self._stopped_at = True, None
            self._schedule()
            self._exit.register()

    def stop(self) -> None:
        """Write what is left and wait up to 5 seconds; later the child finishes by itself."""
        if self._is_running:
            self.cancel()
            self._stopped_at = time.monotonic()
            handed = self._write_last()
            if handed is not None:
                self._worker.submit("finish", lambda: self._finish(handed))

    def cancel(self) -> None:
        """Write no more, without writing what is left."""
        self._is_running = False
        self._exit.cancel()

    def _at_exit(self) -> None:
        """Write what is left at the exit of the interpreter, when no thread can be started."""
        if self._is_running:
            self._is_running = False
            handed = self._write_last()
            if handed is not None:
                handed.child.forget()  # when this process has ended, the system waits for it

    def _write_last(self) -> _Handed | None:
        if self._is_off:
            return None
        deadline = time.monotonic() + _STOP_SECONDS
        self._worker.drop_waiting()
        self._worker.wait(_STOP_SECONDS)
        try:
            return self._write(max(deadline - time.monotonic(), 0.0))
        except Exception as error:  # noqa: BLE001 - must not disturb the program
            self._note_failure(error)
            return None

    def observe(self, point: HistoryPoint) -> None:
        """Add a reading, and write if it is time. Runs in the sampler thread."""
        if self._is_off or self._options is None:
            return
        self._exit.register_worker()
        self._backlog.readings.add(point)
        now = self._clock()
        if now >= self._next:
            self._next = now + self._options.interval
            self.write_soon()

    def observe_alert(self, report: LeakReport) -> None:
        """Add the report of an alert, if its snapshots were analysed, and write."""
        if type(report) is LeakReport and not self._is_off:
            if report.timestamp is not None:
                self._backlog.reports.append(report)
            self.write_soon()

    def write_soon(self) -> None:
        """Write in a thread of its own: now, or after the writing in progress."""
        if self._is_running and not self._is_off:
            self._worker.submit("write", self._write)

    # -- what ------------------------------------------------------------------------------------

    def _write(self, wait_seconds: float | None = None) -> _Handed | None:
        """Write all that there is; return what the child has not finished in that time."""
        options = self._options
        if options is None:
            return None
        with OwnWork():
            handed = _Handed(ChildProcess(), self._batch())
            self._handed.add(handed)
            try:
                reply = self._run(handed, options, wait_seconds)
            except Exception as error:  # noqa: BLE001 - of whatever kind: the readings are kept
                reply = Reply((), f"{type(error).__name__}: {error}")
            if reply.is_left:
                self._counters.left_to_child += 1
                return handed
            self._note(handed, reply)
            return None

    def _finish(self, handed: _Handed) -> None:
        self._note(handed, handed.child.finish())

    def _batch(self) -> TableBatch:
        """Take what waits, and what the parts of the profiler say now."""
        detectors = self._detectors.report()
        used_bytes = self._read_now()
        with self._lock:
            records = [one for one in list(self._store.records) if os.path.exists(one.path)]
            newest = records[-1].path if records else ""
            backlog, choices = self._backlog, []
            if newest != backlog.analysed:
                choices = paths_since(records, _since(detectors))
            limit = self._limit_bytes or memory_limit().limit_bytes
            return TableBatch(
                name=backlog.take_name(),
                time=time.time(),
                monotonic_seconds=time.monotonic(),
                readings=backlog.readings.take(),
                detectors=detectors,
                seconds_to_limit=self._detectors.seconds_to_limit(limit),
                limit_bytes=self._limit_bytes,
                limit_used_bytes=used_bytes,
                allocations=self._allocations.profile(),
                profiled_until=self._stopped_at or time.monotonic(),
                snapshot=newest,
                newest="" if newest == backlog.tabulated else newest,
                choices=choices,
                reports=backlog.take_reports(),
                ignore=self._ignore,
            )

    def _read_now(self) -> int | None:
        """Add a reading, so that the last one is of now; return what counts against the limit."""
        try:
            reading = read_memory()
        except ReadingError:
            return None
        self._backlog.readings.add(HistoryPoint.of(reading, malloc_bytes()))
        return memory_limit().used_bytes

    def _run(self, handed: _Handed, options: TableOptions, wait_seconds: float | None) -> Reply:
        """Start the child with its request in a file without a name, which it reads when it can."""
        self._store.prepare()
        with tempfile.TemporaryFile(dir=self._store.folder) as file:
            file.writelines(handed.batch.request(options, handed.child.max_seconds))
            file.seek(0)
            return handed.child.run(
                _PROGRAM,
                file,
                environment={**os.environ, **_ENVIRONMENT},
                wait_seconds=wait_seconds,
            )

    def _note(self, handed: _Handed, reply: Reply) -> None:
        """Note what was written, and keep what was not."""
        failure = reply.reason
        written = set()
        with self._lock:
            self._handed.discard(handed)
            for value in reply.values:
                failure = str(value.get("failure", failure))
                written.add(str(value.get("table")))
                self._counters.add(value)
            self._backlog.note(handed.batch, written, is_failed=bool(failure))
        if failure:
            self._note_failure(OutputError(failure))
        else:
            self._counters.written += 1

    def _note_failure(self, error: BaseException) -> None:
        is_expected = isinstance(error, (OutputError, MemoryError))
        self._failures.note(_WHAT, error, with_traceback=not is_expected)

    def health(self) -> dict[str, Any] | None:
        """Return counters: what was written, waits, was lost, failures; None without a folder."""
        if self._options is None:
            return None
        return {
            **self._counters.to_dict(),
            "readings_waiting": len(self._backlog.readings),
            "readings_dropped": self._backlog.readings.dropped,
            "failures": self._failures.count,
            "last_error": self._failures.last_error,
        }


def _since(detectors: tuple[DetectorReport, ...]) -> float | None:
    """Return when a trend that shows a leak began, in wall-clock seconds; None without one."""
    starts = [
        one.verdict.since
        for one in detectors
        if one.verdict.is_leak and one.verdict.since is not None
    ]
    return time.time() - (time.monotonic() - min(starts)) if starts else None
