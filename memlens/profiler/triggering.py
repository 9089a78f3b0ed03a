"""Triggering: runs the triggers of a profiler and hands out the files that they bring about."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import partial
from typing import Any

from memlens._fork import ForkSafeLock
from memlens._log import FailureLog
from memlens._options import check_callable, shown
from memlens._own_thread import call_program
from memlens.errors import MemlensError, OptionError
from memlens.process.headroom import HeadroomMeter
from memlens.profiler.folder_lock import FolderLock
from memlens.profiler.guarded_capture import guarded_capture
from memlens.profiler.profiler_report import SnapshotRecord
from memlens.profiler.snapshot_store import Capture
from memlens.profiler.worker import Worker
from memlens.triggers.alerts import OnAlert
from memlens.triggers.guards import HeadroomGuard
from memlens.triggers.protocol import CaptureGuard, Trigger, TriggeredFile

__all__ = ("Triggering",)

_STOP_SECONDS = 5.0  # how long stop() waits for callbacks,
_EXIT_SECONDS = 30.0  # and the exit of the interpreter: an upload is to be finished
_MAX_WAITING_FILES = 32


class Triggering:
    """The host of the triggers of one profiler.

    ``take(reason, capture)`` takes a snapshot and returns its record; ``submit(name, job)`` runs a job
    in the worker thread of the profiler. Files are handed to ``on_file`` in a thread of their own, so
    that a slow upload delays no snapshot. Failures are counted and logged once, never raised.
    """

    def __init__(
        self,
        triggers: Iterable[Trigger],
        on_file: Callable[[TriggeredFile], object] | None,
        *,
        folder: str,
        take: Callable[[str, Capture], SnapshotRecord],
        submit: Callable[[str, Callable[[], object]], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if on_file is not None:
            check_callable("on_file", on_file)
        self._triggers = _checked(triggers)
        self._on_file = on_file
        self._take = take
        self._submit = submit
        self._clock = clock
        self._lock = ForkSafeLock()
        self._folder_lock = FolderLock(folder)
        self._failures = FailureLog()
        self._is_running = False
        self._is_told_at_exit = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        # Its only errors are threads that cannot be started: then the file is handed out here.
        self._files = Worker(lambda error: None, "memlens-files")
        self._fired: dict[str, int] = {}
        self._times: dict[str, float] = {}  # of the last snapshot, by reason
        self._waiting_files = self._given = self._debounced = self._lost = 0
        self._failures.clear()

    @property
    def gives_alerts(self) -> bool:
        """Whether a trigger hands out the files of alerts."""
        return any(isinstance(trigger, OnAlert) for trigger in self._triggers)

    def capture(self) -> Capture | None:
        """Return how to take a snapshot that no trigger requests, None for no matter how.

        While triggers run, a periodic snapshot must not use up the memory that they watch.
        """
        if not self._is_running:
            return None
        return partial(guarded_capture, HeadroomGuard(HeadroomMeter()))

    def start(self) -> None:
        """Start the triggers. Stops them again if one cannot start, and raises its error."""
        if self._is_running or not self._triggers:
            return
        self._is_running = True
        if not self._is_told_at_exit:  # first, so that it runs after the triggers' own
            self._is_told_at_exit = True
            atexit.register(self._wait_at_exit)
        try:
            for trigger in self._triggers:
                trigger.start(self)
        except BaseException:
            self._stop_triggers()
            raise

    def stop(self) -> None:
        """Stop the triggers and wait up to 5 seconds for ``on_file``."""
        if self._is_running:
            self._stop_triggers()
            if self._files.wait(_STOP_SECONDS):
                atexit.unregister(self._wait_at_exit)
                self._is_told_at_exit = False

    def restart_in_child(self) -> None:
        """Start the triggers of a forked child: threads and counters are its own."""
        was_running = self._is_running
        self._reset()
        self._folder_lock.forget()
        if was_running:
            for trigger in self._triggers:
                with self._noting(f"{trigger!r} could not start after a fork"):
                    trigger.start(self)

    def health(self) -> dict[str, Any]:
        """Return counters: snapshots by reason, files given, requests not answered, failures."""
        return {
            "fired": dict(self._fired),
            "debounced": self._debounced,
            "files_given": self._given,
            "files_lost": self._lost,
            "failures": self._failures.count,
            "last_error": self._failures.last_error,
        }

    # -- the host --------------------------------------------------------------------------------

    def fire(self, reason: str, *, min_seconds: float = 0.0) -> bool:
        """Request a snapshot from the worker thread; return at once. See `Host`."""
        if not self._may_fire(reason, min_seconds):
            return False
        if self._submit(f"trigger-{reason}", partial(self._fire_now, reason, None)):
            return True
        self._debounced += 1
        return False

    def fire_and_wait(
        self, reason: str, *, min_seconds: float = 0.0, guard: CaptureGuard | None = None
    ) -> bool:
        """Take a snapshot in this thread; return whether it is kept. See `Host`."""
        return self._may_fire(reason, min_seconds) and self._fire_now(reason, guard)

    def is_other_capturing(self) -> bool:
        """Return whether another process takes a snapshot into the same folder at a trigger."""
        return self._folder_lock.is_taken()

    def note_failure(self, what: str, error: BaseException) -> None:
        """Count a failure, and log the first one of its kind."""
        is_expected = isinstance(error, (MemlensError, MemoryError))
        self._failures.note(what, error, with_traceback=not is_expected)

    def give_report(self, path: str, newest: SnapshotRecord | None) -> None:
        """Hand out the files of an alert: the leak report and the newest snapshot."""
        if not (self._is_running and self.gives_alerts):
            return
        self._give(path, "report", "alert")
        if newest is not None:
            self._give(newest.path, "snapshot", "alert")

    # -- snapshots and files ---------------------------------------------------------------------

    def _may_fire(self, reason: str, min_seconds: float) -> bool:
        now = self._clock()
        last = self._times.get(reason)
        if last is not None and now - last < min_seconds:
            self._debounced += 1
            return False
        self._times[reason] = now
        return True

    def _fire_now(self, reason: str, guard: CaptureGuard | None) -> bool:
        with self._noting(f"no snapshot could be taken for the trigger {reason!r}"):
            guard = guard or HeadroomGuard(HeadroomMeter())
            with self._folder_lock.held():
                record = self._take(reason, partial(guarded_capture, guard))
            self._fired[reason] = self._fired.get(reason, 0) + 1
            self._give(record.path, "snapshot", reason)
            return True
        return False

    def _give(self, path: str, kind: str, reason: str) -> None:
        """Hand a file to ``on_file``, in its thread, or here where no thread can be started."""
        if self._on_file is None:
            return
        with self._lock:
            if self._waiting_files >= _MAX_WAITING_FILES:
                self._lost += 1
                return
            self._waiting_files += 1
        job = partial(self._call, path, kind, reason)
        if not self._files.submit(path, job):
            job()  # at the exit of the interpreter no thread can be started

    def _call(self, path: str, kind: str, reason: str) -> None:
        try:
            if self._on_file is not None:
                size_bytes = os.path.getsize(path)
                call_program(
                    self._on_file, TriggeredFile(path, kind, reason, self._pid, size_bytes)
                )
                self._given += 1
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of the program's callback
            self._note_file_failure(error)
        finally:
            with self._lock:
                self._waiting_files -= 1

    def _note_file_failure(self, error: BaseException) -> None:
        self._lost += 1
        self.note_failure("on_file has failed", error)

    @contextmanager
    def _noting(self, what: str) -> Any:
        """Count an error of the block."""
        try:
            yield
        except (Exception, MemoryError) as error:  # noqa: BLE001 - must not disturb the program
            self.note_failure(what, error)

    def _stop_triggers(self) -> None:
        self._is_running = False
        for trigger in reversed(self._triggers):
            with self._noting(f"{trigger!r} could not be stopped"):
                trigger.stop()

    def _wait_at_exit(self) -> None:
        if os.getpid() == self._pid:
            self._files.wait(_EXIT_SECONDS)


def _checked(triggers: Iterable[Trigger]) -> tuple[Trigger, ...]:
    try:
        found = tuple(triggers)
    except TypeError:
        raise OptionError(
            f"triggers must be a sequence such as [triggers.on_signal()]; got {shown(triggers)}"
        ) from None
    for trigger in found:
        if not all(callable(getattr(trigger, name, None)) for name in ("start", "stop")):
            raise OptionError(
                "triggers must have the methods start and stop, such as triggers.on_signal();"
                f" got {shown(trigger)}"
            )
    return found
