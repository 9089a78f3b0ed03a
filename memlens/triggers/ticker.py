"""Ticker: a daemon thread that repeats a step, which says when the next one is due."""

from __future__ import annotations

import threading
from collections.abc import Callable

from memlens._own_thread import OwnThread, out_of_sight

__all__ = ("Ticker",)

_STOP_SECONDS = 5.0
_RETRY_SECONDS = 1.0


class Ticker:
    """Calls ``step()`` in a thread of its own, again after as many seconds as it returns.

    An exception of a step is passed to ``on_error``; the next step comes a second later.
    """

    def __init__(
        self, name: str, step: Callable[[], float], on_error: Callable[[BaseException], object]
    ) -> None:
        self._name = name
        self._step = step
        self._on_error = on_error
        self._thread: OwnThread | None = None
        self._end = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread. Does nothing if it is running; in a forked child it is not.

        Raises ``RuntimeError`` if the system provides no thread.
        """
        if self.is_running:
            return
        self._end = end = threading.Event()  # one of a parent may be locked for ever
        thread = OwnThread(self._run, self._name, end)
        self._thread = thread
        thread.start()

    def stop(self) -> None:
        """End the thread, and wait up to 5 seconds for a step in progress."""
        self._end.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.wait_for_end(_STOP_SECONDS)

    def _run(self, end: threading.Event) -> None:
        seconds = 0.0
        while not self._is_over(end, seconds):
            try:
                seconds = self._step()
            except BaseException as error:  # noqa: BLE001 - must not disturb the program
                seconds = _RETRY_SECONDS
                self._on_error(error)

    @staticmethod
    def _is_over(end: threading.Event, seconds: float) -> bool:
        with out_of_sight():
            return end.wait(seconds)
