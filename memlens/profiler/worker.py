"""A thread of memlens's own for what takes long: snapshots, comparisons, the caller's callback.

It exists only while there is work, so an idle profiler has no more threads than its sampler's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ("Worker",)


class Worker:
    """Runs jobs one after another; a job whose name is waiting already is not queued again.

    So no more wait than there are names, however slow the work is. What a job raises is handed to
    ``on_error``, and never ends the thread.
    """

    def __init__(self, on_error: Callable[[BaseException], object]) -> None:
        self._on_error = on_error
        self._condition = threading.Condition(threading.RLock())
        self._waiting: dict[str, Callable[[], object]] = {}
        self._thread: threading.Thread | None = None

    def submit(self, name: str, job: Callable[[], object]) -> bool:
        """Let a job run soon; False where one of that name waits already. Never blocks."""
        with self._condition:
            if name in self._waiting:
                return False
            self._waiting[name] = job
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="memlens-watch", daemon=True)
                self._thread = thread
                try:
                    thread.start()
                except RuntimeError as error:  # no thread to be had: the application goes on
                    self._thread = None
                    self._waiting.clear()
                    self._on_error(error)
                    return False
        return True

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until nothing is left to do; False if that took too long, or for its own thread."""
        thread = self._thread
        if thread is not None and thread.ident == threading.get_ident():
            return False
        with self._condition:
            return self._condition.wait_for(lambda: self._thread is None, timeout_seconds)

    def drop_waiting(self) -> None:
        """Forget the jobs that have not begun."""
        with self._condition:
            self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._waiting:
                    self._thread = None
                    self._condition.notify_all()
                    return
                name = next(iter(self._waiting))
                job = self._waiting.pop(name)
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - watching never takes the program down
                self._on_error(error)
            del job
