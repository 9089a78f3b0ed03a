"""The daemon thread that takes readings for all samplers of the process.

The thread exists only while there are subscribers. `Schedule` decides which reading is due; this
module adds the clock and the thread, and handles fork and exit.

**Fork**: the child has no such thread. It starts its own, and each subscriber drops the readings of
the parent, because a series over two processes would show a step that never happened. The first
reading follows one interval later, so a short-lived child only pays for a sleeping thread. If the
sampling thread itself forked (a subscriber that writes a snapshot), the child stays stopped.

**Exit**: an ``atexit`` handler ends the thread before the interpreter is finalized.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from memlens._fork import call_in_forked_child
from memlens._own_thread import OwnThread, out_of_sight
from memlens.process.gc_pauses import GcPauses
from memlens.process.reading import MemoryReading, read_memory
from memlens.process.schedule import Schedule

__all__ = ("Reader", "SamplingThread", "Subscriber", "process_thread")

STOP_SECONDS = 5.0  # how long stop() waits for a subscriber that is still running
_MAX_WAIT_SECONDS = 3600.0
_RETRY_SECONDS = 1.0  # after a failure of the thread itself


class Reader(Protocol):
    """A function that takes a reading, such as `memlens.process.read_memory`."""

    def __call__(self, *, uss: bool, children: bool) -> MemoryReading:
        """Return a reading of this process."""


class Subscriber(Protocol):
    """A receiver of readings, such as `memlens.process.MemorySampler`."""

    sample_interval: float
    uss: bool
    children: bool
    pauses: GcPauses

    def receive(self, reading: MemoryReading, missed: int) -> None:
        """Handle a reading; ``missed`` readings were due since the last one but not taken."""

    def fail(self, error: BaseException) -> None:
        """Handle a reading that could not be taken or delivered. Must not raise."""

    def forget_parent(self) -> None:
        """Drop the readings of the parent process. Called in a forked child."""


class SamplingThread:
    """Takes one reading for all subscribers that are due, each at its own interval.

    ``clock`` returns monotonic seconds. With ``threaded=False`` no thread is started: the owner
    calls `run_due`. Only an object with ``process_wide=True`` handles forks and the exit.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        reader: Reader = read_memory,
        threaded: bool = True,
        process_wide: bool = False,
    ) -> None:
        self._clock = clock
        self._reader = reader
        self._threaded = threaded
        self._needs_registration = process_wide
        self._schedule: Schedule[Subscriber] = Schedule()
        # Held briefly, never while a reading is taken or delivered. Re-entrant, because a finalizer
        # or a signal handler that stops a sampler may run anywhere.
        self._condition = threading.Condition(threading.RLock())
        self._thread: OwnThread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def has(self, subscriber: Subscriber) -> bool:
        """Return whether ``subscriber`` is subscribed."""
        return subscriber in self._schedule

    def subscribe(self, subscriber: Subscriber) -> bool:
        """Add a subscriber and take its first reading in the caller's thread.

        Returns False, and does nothing, if it is subscribed. The first reading shows the state
        before the caller's next step.
        """
        failure: RuntimeError | None = None
        with self._condition:
            is_new = subscriber not in self._schedule
            try:
                if is_new:
                    self._schedule.add(subscriber, subscriber.sample_interval, self._clock())
                    subscriber.pauses.start()
                self._ensure_thread()  # of a known subscriber, too: a thread may have died
                self._condition.notify_all()
            except RuntimeError as error:  # no thread can be started: the program continues
                failure = error
            except BaseException:  # out of memory, or a signal handler has raised
                if is_new:
                    self._schedule.remove(subscriber)
                    subscriber.pauses.stop()
                raise
        if failure is not None:
            subscriber.fail(failure)
        if is_new:
            self._read_for([(subscriber, 0)])
        return is_new

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; removing the last one ends the thread.

        Waits for the thread, and so for a delivery in progress, for at most `STOP_SECONDS`. Does
        not wait if it is called by that delivery, or by a signal handler or finalizer that has
        interrupted this object: then the thread could not end.
        """
        with self._condition:
            if not self._schedule.remove(subscriber):
                return
            subscriber.pauses.stop()
            ending = None if len(self._schedule) else self._dismiss_thread()
        self._join(ending)

    def run_due(self) -> None:
        """Take a reading if one is due, and deliver it to all subscribers that are due."""
        with self._condition:
            due = self._schedule.take_due(self._clock())
        if due:
            self._read_for(due)

    def _read_for(self, due: list[tuple[Subscriber, int]]) -> None:
        try:
            reading = self._reader(
                uss=any(subscriber.uss for subscriber, _ in due),
                children=any(subscriber.children for subscriber, _ in due),
            )
        except Exception as error:  # noqa: BLE001 - counted: sampling must not disturb the program
            for subscriber, _ in due:
                subscriber.fail(error)
            return
        for subscriber, missed in due:
            if subscriber not in self._schedule:  # stopped while the reading was taken
                continue
            try:
                subscriber.receive(reading, missed)
            except BaseException as error:
                # SystemExit would end the thread that all samplers share. In any other thread the
                # exception belongs to the caller.
                if not self._is_current_thread():
                    raise
                subscriber.fail(error)

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            try:
                if not self._run_once(me):
                    return
            except BaseException as error:  # noqa: BLE001 - out of memory, or a finalizer raised
                time.sleep(_RETRY_SECONDS)  # without allocating anything
                self._note_in_all(error)

    def _run_once(self, me: threading.Thread) -> bool:
        """Wait, or take the readings that are due. Returns False if the thread must end."""
        with self._condition:
            # A dismissed thread ends, even if another one has been started since.
            due = self._schedule.next_due()
            if self._thread is not me or due is None:
                return False
            wait_seconds = due - self._clock()
            if wait_seconds > 0:
                with out_of_sight():
                    self._condition.wait(min(wait_seconds, _MAX_WAIT_SECONDS))
                return True
        self.run_due()
        return True

    def _note_in_all(self, error: BaseException) -> None:
        with suppress(BaseException):  # still out of memory: the next round tries again
            for subscriber in self._schedule.scheduled():
                subscriber.fail(error)

    def _ensure_thread(self) -> None:
        """Start the thread unless it is running. The caller holds the lock."""
        if self._needs_registration:
            call_in_forked_child(self.after_fork_in_child)
            atexit.register(self.shut_down)
            self._needs_registration = False
        if not self._threaded or self.is_alive:
            return
        thread = OwnThread(self._run, "memlens-sampler")
        self._thread = thread
        try:
            thread.start()
        except BaseException:
            self._thread = None
            raise

    def _dismiss_thread(self) -> OwnThread | None:
        """Tell the thread to end and return it. The caller holds the lock."""
        ending, self._thread = self._thread, None
        self._condition.notify_all()
        return ending

    def _join(self, thread: OwnThread | None) -> None:
        if thread is None or thread.ident == threading.get_ident():
            return
        if self._condition._is_owned():  # type: ignore[attr-defined]  # see `unsubscribe`
            return
        thread.wait_for_end(STOP_SECONDS)

    def _is_current_thread(self) -> bool:
        thread = self._thread
        return thread is not None and thread.ident == threading.get_ident()

    def after_fork_in_child(self) -> None:
        """Start the child's own thread, or stay stopped: see the docstring of the module."""
        forked_by_sampling_thread = self._is_current_thread()
        self._condition = threading.Condition(threading.RLock())
        self._thread = None
        subscribers = self._schedule.scheduled()
        for subscriber in subscribers:
            subscriber.forget_parent()
        if forked_by_sampling_thread:
            self._remove_subscribers()
        elif subscribers:
            try:
                with self._condition:
                    for subscriber in subscribers:  # the fork may have interrupted `subscribe`
                        subscriber.pauses.start()
                    self._schedule.restart(self._clock())
                    self._ensure_thread()
            except RuntimeError as error:  # no thread can be started in the child
                for subscriber in subscribers:
                    subscriber.fail(error)

    def shut_down(self) -> None:
        """Remove all subscribers and end the thread. Called when the interpreter exits."""
        with self._condition:
            self._remove_subscribers()
            ending = self._dismiss_thread()
        self._join(ending)

    def _remove_subscribers(self) -> None:
        for subscriber in self._schedule.scheduled():
            subscriber.pauses.stop()
        self._schedule.clear()


def process_thread() -> SamplingThread:
    """Return the sampling thread that all samplers of this process share."""
    return _PROCESS_THREAD


_PROCESS_THREAD = SamplingThread(process_wide=True)
