"""A thread for slow work: snapshots, comparisons and the user's callback.

The thread exists only while there is work, so an idle profiler has no worker thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from memlens._own_thread import OwnThread

__all__ = ("Worker",)


class Worker:
    """Runs jobs one after another in a daemon thread, by default called ``memlens-worker``.

    A job is not queued if one of the same name is waiting, so the queue is never longer than the
    number of names. An exception of a job is passed to ``on_error`` and does not end the thread.
    """

    def __init__(
        self, on_error: Callable[[BaseException], object], name: str = "memlens-worker"
    ) -> None:
        self._on_error = on_error
        self._name = name
        self._condition = threading.Condition(threading.RLock())
        self._waiting: dict[str, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None

    def submit(self, name: str, job: Callable[[], object]) -> bool:
        """Queue a job. Returns False if one of this name is waiting. Never blocks."""
        with self._condition:
            if name in self._waiting:
                return False
            self._waiting[name] = job
            if self._thread is None:
                try:
                    thread = OwnThread(self._run, self._name)
                    self._thread = thread
                    thread.start()
                except (RuntimeError, MemoryError) as error:  # the program continues without
                    self._thread = None
                    self._waiting.clear()
                    if "interpreter shutdown" not in str(error):  # from 3.12 on; no time is left
                        self._on_error(error)
                    return False
        return True

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until no work is left; False after the timeout, or in the worker thread itself."""
        thread = self._thread
        if thread is not None and thread.ident == threading.get_ident():
            return False
        with self._condition:
            return self._condition.wait_for(lambda: self._thread is None, timeout_seconds)

    def drop_waiting(self) -> None:
        """Remove the jobs that have not started."""
        with self._condition:
            self._waiting.clear()

    def _run(self) -> None:
        me = threading.current_thread()
        try:
            while (job := self._next_job(me)) is not None:
                try:
                    job()
                except BaseException as error:  # noqa: BLE001 - must not disturb the program
                    self._on_error(error)
                del job
        finally:  # also if on_error failed: the next job must get a new thread
            with self._condition:
                if self._thread is me:
                    self._thread = None
                    self._condition.notify_all()

    def _next_job(self, me: threading.Thread) -> Callable[[], object] | None:
        with self._condition:
            while not self._waiting:
                self._thread = None
                if not self._waiting:  # a finalizer may have submitted a job just before
                    self._condition.notify_all()
                    return None
                self._thread = me
            return self._waiting.pop(next(iter(self._waiting)))
