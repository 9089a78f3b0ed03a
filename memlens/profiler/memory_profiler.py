"""MemoryProfiler: the facade that samples the memory of a process and reports leaks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any

from memlens._core.sampler_api import OwnWork
from memlens._display import displayed
from memlens._fork import ForkSafeLock, call_in_forked_child
from memlens._interpreter import require_usable_interpreter
from memlens._log import FailureLog
from memlens._options import (
    check_boolean,
    check_bytes,
    check_callable,
    check_count,
    check_regexes,
    check_seconds,
    check_text,
)
from memlens._uninterrupted import run_all
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profiler import IntervalStart
from memlens.errors import MemlensError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.baselines import Baseline
from memlens.leaks.ending import HELD_FACT, WAITED_FACT
from memlens.leaks.leak_report import LeakReport
from memlens.process.identity import is_fork_server
from memlens.process.sampler import MemorySampler
from memlens.profiler.agenda import Agenda
from memlens.profiler.alerts import Alerts, log_alert
from memlens.profiler.allocation_source import AllocationSource
from memlens.profiler.caller_turns import CallerTurns
from memlens.profiler.control_commands import control_commands
from memlens.profiler.control_socket import ControlSocket
from memlens.profiler.duties import Duties
from memlens.profiler.metrics import ProfilerMetrics, read_metrics
from memlens.profiler.profiler_options import TableOptions
from memlens.profiler.profiler_report import ProfilerReport, SnapshotRecord
from memlens.profiler.recording import Recording
from memlens.profiler.report_making import ReportMaker
from memlens.profiler.snapshot_choices import check_reason
from memlens.profiler.snapshot_store import Capture, SnapshotStore
from memlens.profiler.table_writing import TableWriting
from memlens.profiler.trend_detectors import TrendDetectors
from memlens.profiler.triggering import Triggering
from memlens.triggers.memory_errors import notice_memory_error
from memlens.triggers.protocol import Trigger, TriggeredFile

__all__ = ("MemoryProfiler",)

_STOP_SECONDS = 5.0  # how long stop() waits for a snapshot in progress


@displayed
class MemoryProfiler:
    """Samples the memory of this process, takes heap snapshots, and reports leaks.

    * ``output_dir``: the folder for snapshots and reports; created if missing.
    * ``sample_interval``: seconds between readings.
    * ``snapshot_interval``: seconds between periodic snapshots, in addition to the one at the
      start. A callable receives the number of periodic snapshots so far and returns the seconds to
      the next one. None begins at 10 seconds and doubles each time, up to an hour.
    * ``max_snapshots``: how many snapshots each running process keeps in the folder.
      ``max_snapshot_bytes``: the size of all snapshots in the folder. If all together exceed one of
      them, snapshots of processes that have ended are deleted first. A running process keeps at
      least its first snapshot, the baseline, and its newest.
    * ``max_reports``: how many leak reports each running process keeps in the folder, each as text
      and JSON.
    * ``ignore``: regular expressions and fingerprints; holders whose name matches one, and suspects
      whose fingerprint is one, are not reported.
    * ``baseline``: the known suspects, or the file of them; reports say what is new, known and gone.
    * ``allocations``: ``"sampling"`` profiles allocations, one sample in
      ``allocation_interval_bytes`` on average, so that suspects show their allocation sites.
      Without the C sampler it is off, which is logged once and shown by `health`.
      ``"tracemalloc"`` is exact and makes the program several times slower. None is off.
    * ``on_alert``: called with a ``LeakReport``. With None snapshots are only analysed by `report`,
      and an alert of the trend is logged as a warning with the snapshots to analyse.
    * ``on_withdrawn``: called with a ``LeakReport`` that ``on_alert`` received and that turned out
      wrong: none of its holders grew for as long a time again, or its trend is over.
    * ``alert_interval``: minimum seconds between two alerts of the trend of the readings, and
      between two searches for late objects of `memlens.expect_collected`.
    * ``limit``: the memory in bytes at which the process ends. None is the limit of the container
      or the machine. Memory that rises steeply against it gives an alert at once.
    * ``triggers``: events at which a snapshot is taken, from `memlens.triggers`.
    * ``on_file``: called with a ``TriggeredFile`` for each file that a trigger brings about, in the
      thread ``memlens-files``: to upload it, say. Its exceptions are counted.
    * ``control_socket``: whether ``python -m memlens dump``, ``report`` and ``stacks`` of the same
      user, or of root, may ask this process while the profiler runs. On Linux; elsewhere it has no
      effect.
    * ``table_dir``: the folder in which tables of this process are written as Parquet files, for
      ``python -m memlens fleet``. Another process does that, every ``table_interval`` seconds, after
      an alert, and at the end; it needs ``memlens[arrow]``. ``service`` and ``release`` name what the
      process belongs to; None takes them from the environment, see `memlens.process.service`.
    * ``window_size``, ``warmup_seconds``, ``min_window_seconds``, ``growth_threshold``: as for
      `MemoryLeakDetector`.

    An alert is given when the trend of the readings shows a leak: a snapshot is taken and compared
    with the earlier ones, and ``alert`` of the report holds the slope and the time until the limit.
    With ``on_alert``, each snapshot is also compared with the earlier ones, and an alert is given
    when a holder is first found growing over three or more snapshots. Objects of
    `memlens.expect_collected` that are late are reported, too, as an ``OverdueReport``.

    The analysis runs in a process of its own, from the snapshot files: with low priority, and
    within bounds of memory and time. Where that fails, or no process can be started, the log and
    ``not_analysed`` of the report say why, and only `report` analyses the snapshots.

    An idle profiler has the daemon thread ``memlens-sampler``, and on Linux ``memlens-control``, which
    waits for requests. Snapshots and alerts are handled by ``memlens-worker``, tables are handed over
    by ``memlens-tables``. These exist while there is work: a slow ``on_alert`` delays snapshots and
    alerts, but not the sampling. `start` and `stop` can be
    repeated; the object is a context manager. Errors while running are logged once and counted in
    `health`, never raised into the program. A forked child continues with a baseline of its own.

    Raises ``OptionError`` for an option of the wrong type or out of range.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str] = "memory-profiles",
        *,
        sample_interval: float = 10.0,
        snapshot_interval: float | Callable[[int], float] | None = None,
        on_alert: Callable[[LeakReport], object] | None = None,
        on_withdrawn: Callable[[LeakReport], object] | None = None,
        max_snapshots: int = 10,
        max_snapshot_bytes: int = 1 << 30,
        max_reports: int = 20,
        ignore: tuple[str, ...] = (),
        baseline: Baseline | str | os.PathLike[str] | None = None,
        alert_interval: float = 3600.0,
        limit: int | None = None,
        triggers: Iterable[Trigger] = (),
        on_file: Callable[[TriggeredFile], object] | None = None,
        window_size: int | None = None,
        warmup_seconds: float = 900.0,
        min_window_seconds: float = 7200.0,
        growth_threshold: float = 0.01,
        allocations: str | None = "sampling",
        allocation_interval_bytes: int = 512 * 1024,
        control_socket: bool = True,
        table_dir: str | os.PathLike[str] | None = None,
        service: str | None = None,
        release: str | None = None,
        table_interval: float = 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if on_alert is not None:
            check_callable("on_alert", on_alert)
        if on_withdrawn is not None:
            check_callable("on_withdrawn", on_withdrawn)
        if limit is not None:
            check_bytes("limit", limit, 1)
        self.on_alert = on_alert
        self.on_withdrawn = on_withdrawn
        self.baseline = Baseline.of(baseline)
        self.ignore = tuple(pattern.pattern for pattern in check_regexes("ignore", ignore))
        self._store = SnapshotStore(
            output_dir,
            max_snapshots=max_snapshots,
            max_snapshot_bytes=max_snapshot_bytes,
            max_reports=max_reports,
        )
        self._limit_bytes = limit
        self._agenda = Agenda(snapshot_interval, alert_interval, clock)
        check_seconds("sample_interval", sample_interval)
        self._sampler = MemorySampler(
            sample_interval=min(sample_interval, self._agenda.seconds_to_snapshot())
        )
        self._agenda.allow_for(self._sampler.sample_interval)
        self._detectors = TrendDetectors(
            self._sampler.pauses.take_clean_blocks,
            sample_interval=self._sampler.sample_interval,
            window_size=window_size,
            warmup_seconds=warmup_seconds,
            min_window_seconds=min_window_seconds,
            growth_threshold=growth_threshold,
            limit_bytes=limit,
        )
        self._allocations = AllocationSource(allocations, allocation_interval_bytes)
        self._lock = ForkSafeLock()
        self._turns = CallerTurns(self._lock, clock)
        self._failures = FailureLog()
        self.may_be_stopped = False  # from outside the process
        self._control = (
            ControlSocket(control_commands(self), self._note_failure)
            if check_boolean("control_socket", control_socket)
            else None
        )
        tables = TableOptions.of(table_dir, service, release, table_interval)
        self._connect(triggers, on_file, tables, clock)
        if on_alert is None and self._triggering.gives_alerts:
            self.on_alert = log_alert
        self._reset()
        call_in_forked_child(self._restart_in_child)

    def _connect(
        self,
        triggers: Iterable[Trigger],
        on_file: Callable[[TriggeredFile], object] | None,
        tables: TableOptions | None,
        clock: Callable[[], float],
    ) -> None:
        """Make the parts that act on readings and snapshots, and connect them."""
        self._recording = Recording()
        self._alerts = Alerts(
            self._store,
            self._lock,
            self.ignore,
            self.baseline,
            self._note_failure,
            partial(self._recording.mark, "alert"),
        )
        self._triggering = Triggering(
            triggers,
            on_file,
            folder=self._store.folder,
            take=self._take,
            submit=lambda name, job: self._duties.worker.submit(name, job),
            clock=clock,
        )
        self._alerts.on_written = self._give_report
        self._tables = TableWriting(
            tables,
            self._store,
            self._allocations,
            self._detectors,
            ignore=self.ignore,
            limit_bytes=self._limit_bytes,
            clock=clock,
        )
        self._alerts.on_report = self._tables.observe_alert
        self._duties = Duties(
            self,
            take_snapshot=self.take_snapshot,
            note_failure=self._note_failure,
            agenda=self._agenda,
            store=self._store,
            turns=self._turns,
            detectors=self._detectors,
            recording=self._recording,
            alerts=self._alerts,
            tables=self._tables,
        )
        self._sampler.subscribe(self._duties.observe)
        self._reports = ReportMaker(
            self._store,
            self._turns,
            self._recording,
            self._detectors,
            self._allocations,
            self._alerts,
            ignore=self.ignore,
            baseline=self.baseline,
            limit_bytes=self._limit_bytes,
            health=self.health,
            note_failure=self._note_failure,
        )

    def _restart_in_child(self) -> None:
        self._reset()
        self._triggering.restart_in_child()

    def _reset(self) -> None:
        """Set the initial state: in the constructor and in a forked child."""
        # The server of multiprocessing reaps every child, and warns of those that capture a heap.
        self._only_forks = is_fork_server()
        self._duties.reset(takes_snapshots=not self._only_forks)
        self._store.forget()
        self._detectors.reset()
        self._recording.clear()
        self._reports.parts = None
        self._agenda.reset()
        self._turns.forget()
        self._alerts.forget()
        self._failures.clear()
        self._tables.forget(is_off=self._only_forks)

    # -- sampling --------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the profiler is running."""
        return self._sampler.is_running

    @property
    def output_dir(self) -> str:
        """The folder for snapshots and reports."""
        return self._store.folder

    def start(self) -> MemoryProfiler:
        """Take a baseline snapshot and start sampling. Does nothing if running.

        Raises ``OutputError`` if the output folder cannot be created or written, ``CaptureError`` if
        the heap cannot be captured or this is a sub-interpreter, and ``OptionError`` if a trigger
        cannot start, such as `memlens.triggers.on_signal` outside the main thread.
        """
        if self.is_running:
            return self
        require_usable_interpreter("a MemoryProfiler")
        self._reports.parts = None
        if not self._only_forks:
            self.take_snapshot("startup")
            self._agenda.schedule_snapshot()
        self._alerts.analysis.allow()
        try:
            self._allocations.start()
            self._sampler.start()
            self._tables.start()  # before the triggers: at exit it writes their snapshots
            self._triggering.start()
        except BaseException:  # out of memory, or a signal handler has raised
            run_all(self._sampler.stop, self._tables.cancel, self._allocations.stop)
            raise
        if self._control is not None:
            self._control.open()
        return self

    def stop(self, last_snapshot: str | None = None) -> None:
        """Stop sampling and keep everything recorded. Does nothing if not running.

        Also does nothing in a finalizer that runs while the interpreter ends: all has stopped by then.

        Waits up to 5 seconds for a snapshot or an ``on_alert`` in progress, with triggers up to 5
        seconds for ``on_file``, and with tables up to 5 seconds for the last ones. ``last_snapshot`` is
        the reason of a snapshot to take at the end, while allocations are still sampled: a snapshot
        after `stop` would not include the allocation sites of its objects.
        """
        if sys.is_finalizing():  # in a last finalizer: threads and files were settled at exit
            return
        was_running = self.is_running
        run_all(  # a thread that goes on at exit, because memory ran out here, can end the process
            self._triggering.stop,
            self._close_control,
            self._sampler.stop,
            self._duties.worker.drop_waiting,
            self._alerts.analysis.stop,
            self._wait_for_worker,
            partial(self._stop_recording, was_running, last_snapshot),
            self._store.unregister,
            self._tables.stop,
        )

    def _close_control(self) -> None:
        if self._control is not None:
            self._control.close()

    def _wait_for_worker(self) -> None:
        if not self._lock.is_owned():  # else called by a signal handler within a snapshot
            self._duties.worker.wait(_STOP_SECONDS)

    def _stop_recording(self, was_running: bool, last_snapshot: str | None) -> None:
        if was_running:
            self._reports.parts = self._reports.breakdown()
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
        notice_memory_error(error)  # before the triggers are stopped
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<MemoryProfiler: {self.output_dir}, {len(self.snapshots)} snapshots, {state}>"

    def mark(self, label: str) -> None:
        """Mark this moment in the charts of reports: a deploy, a new configuration.

        The newest 500 marks are kept, with up to 200 characters each.
        """
        check_text("label", label)
        self._recording.mark("deploy", label)

    def _note_failure(self, error: BaseException) -> None:
        """Count a failure of the worker: a missing folder, a full disk, a failing callback."""
        is_expected = isinstance(error, (MemlensError, MemoryError))
        self._failures.note(
            "the memory profiler could not finish its work", error, with_traceback=not is_expected
        )

    # -- snapshots -------------------------------------------------------------------------------

    def take_snapshot(self, reason: str = "manual") -> SnapshotRecord:
        """Take a heap snapshot, store it in the output folder, and return its record.

        The file is named ``heap-<reason>-<UTC time>-<pid>-<start of the process>.memlens``.

        Raises ``OptionError`` if ``reason`` has other characters than letters, digits, ``-`` and ``_``,
        ``OutputError`` if the file cannot be written, and ``CaptureError`` if the heap cannot be
        captured; while triggers run, also if too little memory is left for that.
        """
        return self._take(reason)

    def _take(self, reason: str, capture: Capture | None = None) -> SnapshotRecord:
        check_reason(reason)
        self._store.prepare()
        turn = self._turns.take(holds_program=reason == "return")
        with turn as waited_seconds, OwnWork():
            seconds = {WAITED_FACT: waited_seconds, HELD_FACT: self._turns.held_seconds}
            return self._store.take(reason, seconds, capture or self._triggering.capture())

    def _give_report(self, path: str) -> None:
        """Hand the files of an alert to the triggers."""
        records = self.snapshots
        self._triggering.give_report(path, records[-1] if records else None)

    @property
    def snapshots(self) -> tuple[SnapshotRecord, ...]:
        """The kept snapshots, oldest first."""
        return tuple(self._store.records)

    def load_snapshots(self) -> list[HeapSnapshot]:
        """Open the kept snapshots, oldest first."""
        return self._store.load()

    def snapshots_of_children(self) -> list[list[str]]:
        """Return the kept snapshot files of each forked child of this process, oldest first."""
        with self._lock:
            return self._store.paths_of_children()

    # -- leaks -----------------------------------------------------------------------------------

    def report(self, *, analyse: bool = True) -> ProfilerReport:
        """Return the results so far, with an analysis of the kept snapshots for leaks.

        ``analyse=False`` leaves the analysis out, which takes most of the time: ``leaks`` is None.

        A snapshot that is taken while the caller waits for the report is not analysed: the caller
        did nothing in that interval, so it would tell that nothing grows any more. The breakdown of
        resident memory is that of the moment of `stop`, of a running profiler that before the analysis.
        """
        return self._reports.make(is_running=self.is_running, analyse=analyse)

    def metrics(self, max_sites: int = 10) -> ProfilerMetrics:
        """Return the numbers for monitoring: no capture, no analysis, about a millisecond.

        ``max_sites``: how many lines that allocated are returned. Also works when stopped.
        """
        check_count("max_sites", max_sites, 0)
        records, pauses = list(self._store.records), self._sampler.pauses
        parts = (self._allocations, self._detectors, pauses, self._limit_bytes)
        return read_metrics(self.health(), records, *parts, max_sites)

    def interval_profile(
        self, since: IntervalStart | None = None
    ) -> tuple[AllocationProfile, IntervalStart] | None:
        """Return what was allocated since ``since`` (None: the start) and where the next one begins.

        What is alive is counted from the start. None unless allocations are profiled now.
        """
        return self._allocations.interval_profile(since)

    def health(self) -> dict[str, Any]:
        """Return counters: readings, detectors, snapshots, alerts, failures."""
        return {
            "is_running": self.is_running,
            "sampler": self._sampler.health().to_dict(),
            "allocations": self._allocations.health(),
            "detectors": self._detectors.states(),
            **self._store.counters(),
            **self._alerts.counters(),
            "reports_written": self._store.written,
            "triggers": self._triggering.health(),
            "tables": self._tables.health(),
            "failures": self._failures.count,
            "last_error": self._failures.last_error,
        }
