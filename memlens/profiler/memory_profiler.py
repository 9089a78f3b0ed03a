"""MemoryProfiler: the facade that watches a process and says what leaks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from memlens._core.sampler_api import OwnWork
from memlens.errors import MemlensError, OptionError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport, find_leaks
from memlens.process.detector.alert import LeakAlert
from memlens.process.reading import MemoryReading
from memlens.process.sampler import MemorySampler
from memlens.profiler.allocation_source import AllocationSource
from memlens.profiler.profiler_report import ProfilerReport, SnapshotRecord
from memlens.profiler.snapshot_store import SnapshotStore
from memlens.profiler.trend_detectors import TrendDetectors
from memlens.profiler.worker import Worker

__all__ = ("MemoryProfiler",)

_MIN_SNAPSHOTS_FOR_AN_ALERT = 3  # two cannot tell a leak from a one-time growth
_GROWTH_OF_A_START_BYTES = 64 * 1024  # imports, caches that fill: no news between two snapshots
_MAX_HOLDERS_REMEMBERED = 1000
_STOP_SECONDS = 5.0  # how long stop() waits for a snapshot that is being taken


class MemoryProfiler:
    """Watches this process: samples its memory, takes heap snapshots, and reports what leaks.

    ``output_dir``: where snapshots and reports are kept; made when missing. ``sample_interval``:
    seconds between readings. ``snapshot_interval``: seconds between periodic snapshots, beside the
    one at the start; a callable gets the number of periodic snapshots taken so far and returns the
    seconds to the next. ``max_snapshots`` and ``max_snapshot_bytes`` bound what is kept; the first
    stays, as the baseline. ``max_reports``: so many leak reports are kept, each as text and JSON.
    ``ignore``: regular expressions of holders to leave out. ``allocations``: ``"sampling"``
    profiles allocations, one sample in ``allocation_interval_bytes`` on average, so that suspects
    name where their objects were allocated; without the C sampler it is off, which is logged once
    and shown by `health`. ``"tracemalloc"`` is exact and makes the program several times slower;
    None is off.

    ``on_alert`` is called with a ``LeakReport``; None logs a warning. That happens when a holder is
    first found growing over three snapshots or more, and when the trend of the readings shows a
    leak: then a snapshot is taken, compared with those before, and the report's ``alert`` says how
    fast memory grows and how long until the limit. At most one of the latter in
    ``alert_interval`` seconds. ``window_size``, ``warmup_seconds``, ``min_window_seconds`` and
    ``growth_threshold`` are those of `MemoryLeakDetector`.

    Snapshots and alerts are the work of a thread of memlens's own: a slow ``on_alert`` holds up
    nothing else. `start` and `stop` can be repeated; the object is a context manager. Errors while
    watching are logged once and counted in `health`, never raised into the program. After a fork
    the child watches itself anew, from a baseline of its own.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str] = "memory-profiles",
        *,
        sample_interval: float = 10.0,
        snapshot_interval: float | Callable[[int], float] = 3600.0,
        on_alert: Callable[[LeakReport], object] | None = None,
        max_snapshots: int = 10,
        max_snapshot_bytes: int = 1 << 30,
        max_reports: int = 20,
        ignore: tuple[str, ...] = (),
        alert_interval: float = 3600.0,
        window_size: int | None = None,
        warmup_seconds: float = 900.0,
        min_window_seconds: float = 7200.0,
        growth_threshold: float = 0.01,
        allocations: str | None = "sampling",
        allocation_interval_bytes: int = 512 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not callable(snapshot_interval) and not snapshot_interval > 0:
            raise OptionError(f"snapshot_interval is {snapshot_interval!r}: it must be positive")
        if not alert_interval >= 0:
            raise OptionError(f"alert_interval is {alert_interval!r}: it must not be negative")
        if on_alert is not None and not callable(on_alert):
            raise OptionError(f"on_alert must be callable, not {type(on_alert).__name__}")
        self.on_alert = on_alert
        self.ignore = tuple(ignore)
        self._shelf = SnapshotStore(
            os.fspath(output_dir),
            max_snapshots=max_snapshots,
            max_snapshot_bytes=max_snapshot_bytes,
            max_reports=max_reports,
        )
        self._interval, self._alert_interval = snapshot_interval, alert_interval
        self._clock = clock
        first = snapshot_interval(0) if callable(snapshot_interval) else snapshot_interval
        self._sampler = MemorySampler(sample_interval=min(sample_interval, first))
        self._detectors = TrendDetectors(
            self._sampler.pauses.take_clean_blocks,
            sample_interval=self._sampler.sample_interval,
            window_size=window_size,
            warmup_seconds=warmup_seconds,
            min_window_seconds=min_window_seconds,
            growth_threshold=growth_threshold,
        )
        self._sampler.subscribe(self._on_reading)
        self._allocations = AllocationSource(allocations, allocation_interval_bytes)
        self._forget()

    def _forget(self) -> None:
        """Begin a record: at first, and in a forked child, whose memory is another process's."""
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a fork may have copied the old one locked
        self._worker = Worker(self._failed)
        self._shelf.forget()
        self._detectors.reset()
        self._first: MemoryReading | None = None
        self._last: MemoryReading | None = None
        self._next_snapshot = 0.0
        self._next_alert = 0.0
        self._periodic_count = self._alert_count = 0
        self._alerted: set[str] = set()
        self._failures = 0
        self._last_error: str | None = None

    # -- watching --------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether it watches now."""
        return self._sampler.is_running

    @property
    def output_dir(self) -> str:
        """The folder that snapshots and reports are kept in."""
        return self._shelf.folder

    def start(self) -> MemoryProfiler:
        """Begin to watch: take a snapshot as the baseline, then sample. Nothing if it runs already.

        Raises ``OutputError`` where the output folder cannot be made or written.
        """
        if self.is_running:
            return self
        self._shelf.prepare()
        if self._pid != os.getpid():
            self._forget()
        self.take_snapshot("startup")
        self._allocations.start()
        self._schedule_next()
        self._sampler.start()
        return self

    def stop(self, last_snapshot: str | None = None) -> None:
        """Stop to watch; what was recorded stays. Nothing if it does not run.

        A snapshot or an ``on_alert`` that is under way is waited for, 5 seconds at most.
        ``last_snapshot`` is the reason of a snapshot to take at the end, while allocations are
        still sampled: taken after `stop` it would not know where its objects were allocated.
        """
        self._sampler.stop()
        self._worker.drop_waiting()
        self._worker.wait(_STOP_SECONDS)
        self._allocations.stop(
            last=lambda: self.take_snapshot(last_snapshot) if last_snapshot else None
        )

    def __enter__(self) -> MemoryProfiler:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _on_reading(self, reading: MemoryReading) -> None:
        """Called by the sampler's thread: must be quick, so what takes long goes to the worker."""
        if self._pid != os.getpid():
            self._forget()
        self._first = self._first or reading
        self._last = reading
        self._detectors.observe(reading)
        now = self._clock()
        if self._detectors.alerting and now >= self._next_alert:
            alert = self._detectors.take_alert()
            self._next_alert = now + self._alert_interval
            self._worker.submit("alert", lambda: self._alert("alert", alert))
        elif now >= self._next_snapshot:
            self._schedule_next()
            self._worker.submit("periodic", self._periodic)

    def _schedule_next(self) -> None:
        interval = self._interval
        seconds = interval(self._periodic_count) if callable(interval) else interval
        self._next_snapshot = self._clock() + seconds

    def _periodic(self) -> None:
        self._periodic_count += 1
        self._alert("periodic" if self._shelf.records else "startup")

    def _failed(self, error: BaseException) -> None:
        """Called by the worker: the folder is gone, the disk full, or a callback has failed."""
        self._failures += 1
        if self._last_error is None:
            logging.getLogger("memlens").warning(
                "the memory profiler's work failed: %s; further failures are only counted",
                error,
            )
        self._last_error = f"{type(error).__name__}: {error}"[:500]

    # -- snapshots -------------------------------------------------------------------------------

    def take_snapshot(self, reason: str = "manual") -> SnapshotRecord:
        """Take a heap snapshot now and keep it in the output folder; return its record.

        The file is named ``heap-<reason>-<UTC time>-<pid>.memlens``. Raises ``OutputError`` where
        it cannot be written.
        """
        if not reason or not all(c.isalnum() or c in "-_" for c in reason):
            raise OptionError(f"reason {reason!r} is part of a file name: use letters, digits, - _")
        self._shelf.prepare()
        with self._lock, OwnWork():
            return self._shelf.take(reason)

    @property
    def snapshots(self) -> tuple[SnapshotRecord, ...]:
        """The snapshots kept, oldest first."""
        return tuple(self._shelf.records)

    def load_snapshots(self) -> list[HeapSnapshot]:
        """Open the snapshots kept, oldest first."""
        return self._shelf.load()

    # -- leaks -----------------------------------------------------------------------------------

    def report(self) -> ProfilerReport:
        """Return what was seen so far; looks for leaks over the snapshots kept."""
        with self._lock, OwnWork():
            records = self.snapshots
            leaks = None
            if len(records) >= 2:
                leaks = find_leaks(
                    self._shelf.load(),
                    ignore=self.ignore,
                    min_growth_bytes=_GROWTH_OF_A_START_BYTES if len(records) == 2 else 0,
                )
        first, last = self._first, self._last
        if first is None and records:
            first, last = records[0].reading, records[-1].reading
        seconds = 0.0
        if first is not None and last is not None:
            seconds = last.timestamp - first.timestamp
        detectors = self._detectors.report()
        return ProfilerReport(
            os.getpid(),
            self.is_running,
            seconds,
            first,
            last,
            records,
            leaks,
            detectors,
            self._allocations.profile(),
        )

    def _alert(self, reason: str, alert: LeakAlert | None = None) -> None:
        """Take a snapshot, and say what is new: a holder that grows, or the alert of a detector.

        What a detector says is passed on even where no snapshot or report can be written.
        """
        try:
            self.take_snapshot(reason)
        except MemlensError as error:
            if alert is None:
                raise
            self._failed(error)
        if alert is None and len(self._shelf.records) < _MIN_SNAPSHOTS_FOR_AN_ALERT:
            return
        report = self._explain(alert)
        fresh = {suspect.holder for suspect in report} - self._alerted
        if alert is None and not fresh:
            return  # said before
        if len(self._alerted) < _MAX_HOLDERS_REMEMBERED:
            self._alerted |= fresh
        self._alert_count += 1
        try:
            with self._lock:
                self._shelf.write(report)
        except MemlensError as error:
            self._failed(error)
        if self.on_alert is None:
            logging.getLogger("memlens").warning("%s", report)
        else:
            self.on_alert(report)

    def _explain(self, alert: LeakAlert | None) -> LeakReport:
        with self._lock, OwnWork():
            if alert is None:
                choices = iter([self._shelf.load()])
            else:
                choices = self._shelf.load_since(time.time() - (alert.time - alert.since))
            report = LeakReport(self._pid, len(self._shelf.records), 0.0, 0, (), (), alert)
            for snapshots in choices:
                if len(snapshots) >= 2:
                    report = find_leaks(snapshots, ignore=self.ignore, alert=alert)
                if report.suspects:
                    break
        return report

    def health(self) -> dict[str, Any]:
        """Return how the watching itself does: readings, detectors, snapshots, alerts, errors."""
        return {
            "is_running": self.is_running,
            "sampler": self._sampler.health().to_dict(),
            "allocations": self._allocations.health(),
            "detectors": {one.series: one.verdict.state for one in self._detectors.report()},
            "snapshots_taken": self._shelf.taken,
            "snapshots_kept": len(self._shelf.records),
            "snapshot_bytes_kept": self._shelf.size_bytes,
            "alerts": self._alert_count,
            "reports_written": self._shelf.written,
            "failures": self._failures,
            "last_error": self._last_error,
        }
