"""MemoryProfiler: the facade that watches a process and says what leaks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from memlens._core.sampling import OwnWork
from memlens.allocations.watch import AllocationWatch
from memlens.errors import MemlensError, OptionError, OutputError
from memlens.heap.capture import take_heap_snapshot
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.report import LeakReport, make_leak_report
from memlens.process.reading import MemoryReading, read_memory
from memlens.process.sampler import MemorySampler
from memlens.report.watching import ProfilerReport, SnapshotRecord

__all__ = ("MemoryProfiler", "ProfilerReport", "SnapshotRecord")

_MIN_SNAPSHOTS_FOR_AN_ALERT = 3  # two cannot tell a leak from a one-time growth
_MAX_HOLDERS_REMEMBERED = 1000


class MemoryProfiler:
    """Watches this process: samples its memory, takes heap snapshots, and reports what leaks.

    ``output_dir``: where snapshots are kept; made when missing. ``sample_interval``: seconds
    between readings. ``snapshot_interval``: seconds between periodic snapshots, beside the one at
    the start; a callable gets the number of periodic snapshots taken so far and returns the seconds
    to the next. ``on_alert``: called with a ``LeakReport`` when a holder is first found growing
    over three snapshots or more; None logs a warning. ``max_snapshots`` and ``max_snapshot_bytes``
    bound what is kept; the first stays, as the baseline. ``ignore``: regular expressions of
    holders to leave out. ``allocations``: ``"sampling"`` profiles allocations, one sample in
    ``allocation_interval_bytes`` on average, so that suspects name where their objects were
    allocated; without the C core it is off, which is logged once and shown by `health`.
    ``"tracemalloc"`` is exact and makes the program several times slower; None is off.

    `start` and `stop` can be repeated; the object is a context manager. Errors while watching are
    logged once and counted in `health`, never raised into the program. After a fork the child
    watches itself anew, from a baseline of its own.
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
        ignore: tuple[str, ...] = (),
        allocations: str | None = "sampling",
        allocation_interval_bytes: int = 512 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not callable(snapshot_interval) and not snapshot_interval > 0:
            raise OptionError(f"snapshot_interval is {snapshot_interval!r}: it must be positive")
        if max_snapshots < 2 or max_snapshot_bytes <= 0:
            raise OptionError(
                f"max_snapshots ({max_snapshots}) must be at least 2 and max_snapshot_bytes"
                f" ({max_snapshot_bytes}) positive"
            )
        if on_alert is not None and not callable(on_alert):
            raise OptionError(f"on_alert must be callable, not {type(on_alert).__name__}")
        self.output_dir = os.fspath(output_dir)
        self.max_snapshots = max_snapshots
        self.max_snapshot_bytes = max_snapshot_bytes
        self.on_alert = on_alert
        self.ignore = tuple(ignore)
        self._interval = snapshot_interval
        self._clock = clock
        first = snapshot_interval(0) if callable(snapshot_interval) else snapshot_interval
        self._sampler = MemorySampler(sample_interval=min(sample_interval, first))
        self._sampler.subscribe(self._on_reading)
        self._allocations = AllocationWatch(allocations, allocation_interval_bytes)
        self._forget()

    def _forget(self) -> None:
        """Begin a record: at first, and in a forked child, whose memory is another process's."""
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a fork may have copied the old one locked
        self._records: list[SnapshotRecord] = []
        self._first: MemoryReading | None = None
        self._last: MemoryReading | None = None
        self._next_snapshot = 0.0
        self._periodic_count = 0
        self._alerted: set[str] = set()
        self._failures = 0
        self._last_error: str | None = None
        self._snapshots_taken = 0

    # -- watching --------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether it watches now."""
        return self._sampler.running

    def start(self) -> MemoryProfiler:
        """Begin to watch: take a snapshot as the baseline, then sample. Nothing if it runs already.

        Raises ``OutputError`` where the output folder cannot be made or written.
        """
        if self.running:
            return self
        self._prepare_folder()
        if self._pid != os.getpid():
            self._forget()
        self.take_snapshot("startup")
        self._allocations.start()
        self._schedule_next()
        self._sampler.start()
        return self

    def stop(self) -> None:
        """Stop to watch; what was recorded stays. Nothing if it does not run."""
        self._sampler.stop()
        self._allocations.stop()

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
        """Called by the sampler's thread, which catches and counts what is raised here."""
        if self._pid != os.getpid():
            self._forget()
        with self._lock:
            self._first = self._first or reading
            self._last = reading
            due = self._clock() >= self._next_snapshot
        if due:
            self._schedule_next()
            self._periodic()

    def _schedule_next(self) -> None:
        interval = self._interval
        seconds = interval(self._periodic_count) if callable(interval) else interval
        self._next_snapshot = self._clock() + seconds

    def _periodic(self) -> None:
        try:
            self.take_snapshot("periodic" if self._records else "startup")
            self._periodic_count += 1
            self._alert()
        except MemlensError as error:
            # The folder is gone or the disk is full: the program goes on, and health() tells.
            self._failures += 1
            if self._last_error is None:
                logging.getLogger("memlens").warning("a periodic snapshot failed: %s", error)
            self._last_error = str(error)

    # -- snapshots -------------------------------------------------------------------------------

    def take_snapshot(self, reason: str = "manual") -> SnapshotRecord:
        """Take a heap snapshot now and keep it in the output folder; return its record.

        The file is named ``heap-<reason>-<UTC time>-<pid>.memlens``. Raises ``OutputError`` where
        it cannot be written.
        """
        if not reason or not all(c.isalnum() or c in "-_" for c in reason):
            raise OptionError(f"reason {reason!r} is part of a file name: use letters, digits, - _")
        self._prepare_folder()
        with self._lock, OwnWork():
            reading = read_memory()
            path = self._new_path(reason)
            snapshot = take_heap_snapshot(path, reason=reason, facts={"memory": reading.to_dict()})
            record = SnapshotRecord(
                path=path,
                size_bytes=os.path.getsize(path),
                object_count=snapshot.object_count,
                pause_seconds=snapshot.pause_seconds,
                reason=reason,
                timestamp=snapshot.timestamp,
                reading=reading,
            )
            self._records.append(record)
            self._snapshots_taken += 1
            self._drop_old()
        return record

    @property
    def snapshots(self) -> tuple[SnapshotRecord, ...]:
        """The snapshots kept, oldest first."""
        return tuple(self._records)

    def load_snapshots(self) -> list[HeapSnapshot]:
        """Open the snapshots kept, oldest first."""
        return [HeapSnapshot.load(record.path) for record in self._records]

    def _prepare_folder(self) -> None:
        try:
            os.makedirs(self.output_dir, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the output folder {self.output_dir!r}: {error.strerror};"
                " choose another output_dir"
            ) from error
        if not os.access(self.output_dir, os.W_OK | os.X_OK):
            raise OutputError(
                f"cannot write to the output folder {self.output_dir!r}; choose another output_dir"
            )

    def _new_path(self, reason: str) -> str:
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now % 1 * 1e3):03d}Z"
        name = f"heap-{reason}-{stamp}-{os.getpid()}"
        path, number = os.path.join(self.output_dir, f"{name}.memlens"), 2
        while os.path.exists(path):
            path, number = os.path.join(self.output_dir, f"{name}-{number}.memlens"), number + 1
        return path

    def _drop_old(self) -> None:
        """Keep within the bounds: the oldest after the baseline goes first, never the newest."""
        while len(self._records) > 2 and (
            len(self._records) > self.max_snapshots
            or sum(record.size_bytes for record in self._records) > self.max_snapshot_bytes
        ):
            dropped = self._records.pop(1)
            try:
                os.unlink(dropped.path)
            except FileNotFoundError:
                pass  # somebody tidied the folder: it is gone, as wanted

    # -- leaks -----------------------------------------------------------------------------------

    def report(self) -> ProfilerReport:
        """Return what was seen so far; looks for leaks over the snapshots kept."""
        with self._lock, OwnWork():
            leaks = self._leaks() if len(self._records) >= 2 else None
            first, last = self._first, self._last
            if first is None and self._records:
                first, last = self._records[0].reading, self._records[-1].reading
            seconds = 0.0
            if first is not None and last is not None:
                seconds = last.timestamp - first.timestamp
            return ProfilerReport(
                os.getpid(),
                self.running,
                seconds,
                first,
                last,
                self.snapshots,
                leaks,
                self._allocations.profile(),
            )

    def _leaks(self) -> LeakReport:
        return make_leak_report(self.load_snapshots(), ignore=self.ignore)

    def _alert(self) -> None:
        if len(self._records) < _MIN_SNAPSHOTS_FOR_AN_ALERT:
            return
        with OwnWork():
            report = self._leaks()
        fresh = {suspect.holder for suspect in report} - self._alerted
        if not fresh:
            return  # said before
        if len(self._alerted) < _MAX_HOLDERS_REMEMBERED:
            self._alerted |= fresh
        if self.on_alert is None:
            logging.getLogger("memlens").warning("%s", report)
        else:
            self.on_alert(report)

    def health(self) -> dict[str, Any]:
        """Return how the watching itself does: readings, snapshots, errors."""
        return {
            "running": self.running,
            "sampler": self._sampler.health().to_dict(),
            "allocations": self._allocations.health(),
            "snapshots_taken": self._snapshots_taken,
            "snapshots_kept": len(self._records),
            "snapshot_bytes_kept": sum(record.size_bytes for record in self._records),
            "failures": self._failures,
            "last_error": self._last_error,
        }
