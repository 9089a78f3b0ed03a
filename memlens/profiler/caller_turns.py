"""CallerTurns: who captures or analyses, one at a time, and whether somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from memlens._fork import ForkSafeLock

__all__ = ("CallerTurns",)


class CallerTurns:
    """Gives turns under a lock. ``clock`` returns seconds."""

    def __init__(self, lock: ForkSafeLock, clock: Callable[[], float]) -> None:
        self._lock = lock
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Forget the callers of the parent process, in a forked child."""
        self._callers: list[object] = []
        self.held_seconds = 0.0  # by turns that are over

    @property
    def has_waiting(self) -> bool:
        """Whether somebody waits for a turn."""
        return bool(self._callers)

    @contextmanager
    def take(self, *, holds_program: bool = False) -> Iterator[float]:
        """Hold the lock; give the seconds waited for it, of a caller that was ready before.

        ``holds_program``: the program does no work until the turn is over.
        """
        asked, caller = self._clock(), object()
        try:
            self._callers.append(caller)
            self._lock.acquire()
        finally:
            if caller in self._callers:
                self._callers.remove(caller)
        try:
            yield max(0.0, self._clock() - asked)
        finally:
            if holds_program:
                self.held_seconds += max(0.0, self._clock() - asked)
            self._lock.release()
