"""One daemon thread that takes readings for all who subscribe; there is one for the process.

The thread exists only while somebody subscribes. What is due when is the `Schedule`'s business;
this module adds the clock, the thread, and what a process goes through: fork and exit.

**Fork**: the child has no such thread. Where the child's forking thread was not the sampling thread
itself, subscriptions go on there: a new thread is started, and each subscriber begins anew, because
a series over two processes would show a step that never was. It takes its first reading one
interval later, so a child that lives shorter pays for a sleeping thread only. A child forked by the
sampling thread itself (a subscriber writing a snapshot) stays stopped.

**Exit**: `atexit` ends the thread before the interpreter is torn down.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

from memlens.process.gc_pauses import GcPauses
from memlens.process.reading import MemoryReading, read_memory
from memlens.process.schedule import Schedule

__all__ = ("Reader", "SamplingThread", "Subscriber", "process_thread")

STOP_SECONDS = 5.0  # how long stop() waits for a subscriber that is still at work
_LONGEST_WAIT_SECONDS = 3600.0


class Reader(Protocol):
    """Takes a reading; `memlens.process.read_memory` is one."""

    def __call__(self, *, uss: bool, children: bool) -> MemoryReading:
        """Return the process's numbers now."""


class Subscriber(Protocol):
    """One who wants readings: `memlens.process.MemorySampler`."""

    sample_interval: float
    uss: bool
    children: bool
    pauses: GcPauses

    def receive(self, reading: MemoryReading, missed: int) -> None:
        """Take a reading, and how many others were due since the last one but not taken."""

    def fail(self, error: BaseException) -> None:
        """Be told that a reading could not be taken or delivered. Must not raise."""

    def begin_anew(self) -> None:
        """Forget the parent's readings: this is a forked child."""


class SamplingThread:
    """Takes one reading for all subscribers that are due, each at its own interval.

    ``clock`` gives monotonic seconds. With ``threaded=False`` no thread is started: whoever holds
    the object calls `run_due`. Only the one with ``process_wide=True`` follows forks and the exit.
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
        self._hooks_needed = process_wide
        self._schedule: Schedule[Subscriber] = Schedule()
        # Held for moments only, never while a reading is taken or delivered. Reentrant: a finalizer
        # that stops a sampler may run anywhere.
        self._condition = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def has(self, subscriber: Subscriber) -> bool:
        """Return whether it is subscribed."""
        return subscriber in self._schedule

    def subscribe(self, subscriber: Subscriber) -> bool:
        """Let it have readings, the first one now, by the caller; False if it has them already.

        The first reading is the state before whatever the caller does next.
        """
        failure: RuntimeError | None = None
        with self._condition:
            if subscriber in self._schedule:
                return False
            self._schedule.add(subscriber, subscriber.sample_interval, self._clock())
            subscriber.pauses.start()
            try:
                self._ensure_thread()
            except RuntimeError as error:  # no thread to be had: the application goes on without
                failure = error
            self._condition.notify_all()
        if failure is not None:
            subscriber.fail(failure)
        self._read_for([(subscriber, 0)])
        return True

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Let it have no more readings. After the last one the thread has ended.

        The end of the thread, and so of a delivery that has begun, is waited for: at most
        `STOP_SECONDS`, and not at all where it is the delivery that calls this.
        """
        with self._condition:
            if not self._schedule.remove(subscriber):
                return
            subscriber.pauses.stop()
            ending = None if len(self._schedule) else self._dismiss_thread()
        _join(ending)

    def run_due(self) -> None:
        """Take a reading if one is due and deliver it to all who are due."""
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
        except Exception as error:  # noqa: BLE001 - watching never takes the program down; counted
            for subscriber, _ in due:
                subscriber.fail(error)
            return
        for subscriber, missed in due:
            if subscriber not in self._schedule:  # stopped while the reading was taken
                continue
            try:
                subscriber.receive(reading, missed)
            except BaseException as error:
                # SystemExit or a cancellation would end the thread that others share. In any other
                # thread it is the caller's.
                if not self._is_current_thread():
                    raise
                subscriber.fail(error)

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._condition:
                # Not `me`: dismissed, and perhaps another thread has been started since.
                due = self._schedule.next_due()
                if self._thread is not me or due is None:
                    return
                wait_seconds = due - self._clock()
                if wait_seconds > 0:
                    self._condition.wait(min(wait_seconds, _LONGEST_WAIT_SECONDS))
                    continue
            self.run_due()

    def _ensure_thread(self) -> None:
        """Start the thread unless it runs. The caller holds the lock."""
        if self._hooks_needed:
            self._hooks_needed = False
            _follow_process(self)
        if not self._threaded or self.alive:
            return
        thread = threading.Thread(target=self._run, name="memlens-sampler", daemon=True)
        self._thread = thread
        try:
            thread.start()
        except BaseException:
            self._thread = None
            raise

    def _dismiss_thread(self) -> threading.Thread | None:
        """Tell the thread to end, and return it. The caller holds the lock."""
        ending, self._thread = self._thread, None
        self._condition.notify_all()
        return ending

    def _is_current_thread(self) -> bool:
        thread = self._thread
        return thread is not None and thread.ident == threading.get_ident()

    def before_fork(self) -> None:
        """Hold the lock over a fork, so that the child finds the schedule whole."""
        self._condition.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on as before."""
        self._condition.release()

    def after_fork_in_child(self) -> None:
        """Go on with a thread of the child's own, or stay stopped: see the module's text."""
        forked_by_us = self._is_current_thread()
        self._condition = threading.Condition(threading.RLock())
        self._thread = None
        subscribers = self._schedule.scheduled()
        for subscriber in subscribers:
            subscriber.begin_anew()
        if forked_by_us:
            self._forget_subscribers()
        elif subscribers:
            try:
                with self._condition:
                    self._schedule.restart(self._clock())
                    self._ensure_thread()
            except RuntimeError as error:  # no thread to be had in the child
                for subscriber in subscribers:
                    subscriber.fail(error)

    def shut_down(self) -> None:
        """End the thread because the interpreter ends; all are unsubscribed."""
        with self._condition:
            self._forget_subscribers()
            ending = self._dismiss_thread()
        _join(ending)

    def _forget_subscribers(self) -> None:
        for subscriber in self._schedule.scheduled():
            subscriber.pauses.stop()
        self._schedule.clear()


def process_thread() -> SamplingThread:
    """Return the one that all samplers of this process share."""
    return _PROCESS_THREAD


def _follow_process(sampling: SamplingThread) -> None:
    """Follow this process's forks and its exit: once, since fork handlers cannot be taken back."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(
            before=sampling.before_fork,
            after_in_parent=sampling.after_fork_in_parent,
            after_in_child=sampling.after_fork_in_child,
        )
    atexit.register(sampling.shut_down)


def _join(thread: threading.Thread | None) -> None:
    if thread is not None and thread.ident != threading.get_ident():
        thread.join(STOP_SECONDS)


_PROCESS_THREAD = SamplingThread(process_wide=True)
