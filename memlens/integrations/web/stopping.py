"""Stops slow work of another thread: kills the processes that do it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ("Stopper", "WorkStoppedError")


class WorkStoppedError(Exception):
    """The client has left, so nobody waits for the answer."""


class Stopper:
    """Ends the work of another thread, now or when it comes to its next step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ways: list[Callable[[], object]] = []
        self.is_stopped = False

    @contextmanager
    def stopped_by(self, way: Callable[[], object]) -> Iterator[None]:
        """Let `stop` call ``way`` during the block; raises `WorkStoppedError` after a stop."""
        with self._lock:
            self._ways.append(way)
            was_stopped = self.is_stopped
        try:
            if was_stopped:
                way()
                raise WorkStoppedError
            yield
            if self.is_stopped:
                raise WorkStoppedError
        finally:
            with self._lock:
                self._ways.remove(way)

    def stop(self) -> None:
        """Stop the work; may be called by any thread, and again."""
        with self._lock:
            ways = () if self.is_stopped else tuple(self._ways)
            self.is_stopped = True
        for way in ways:
            way()
