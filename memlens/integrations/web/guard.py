"""How much the endpoints may do: one expensive answer at a time, and so many in a minute."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

from memlens._fork import ForkSafeLock

__all__ = ("OF_PROCESS", "RateLimit", "Turn")

_WINDOW_SECONDS = 60.0


class Turn:
    """Lets one expensive answer be made at a time; a forked child has a turn of its own."""

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._taken_in = 0  # the process that holds it, 0 if none does

    def take(self) -> bool:
        """Take the turn if nobody has it; return whether that worked."""
        with self._lock:
            if self._taken_in == os.getpid():
                return False
            self._taken_in = os.getpid()
            return True

    def give_back(self) -> None:
        """Give the turn back."""
        with self._lock:
            self._taken_in = 0


OF_PROCESS = Turn()  # all endpoints of a process share it


class RateLimit:
    """Lets through at most ``max_per_minute`` requests in any 60 seconds."""

    def __init__(self, max_per_minute: int, clock: Callable[[], float]) -> None:
        self._lock = ForkSafeLock()
        self._times: deque[float] = deque(maxlen=max_per_minute)
        self._clock = clock

    def seconds_to_wait(self) -> float:
        """Count a request and return 0.0, or return how long to wait until one can be let through."""
        with self._lock:
            now = self._clock()
            if len(self._times) == self._times.maxlen:
                left = self._times[0] + _WINDOW_SECONDS - now
                if left > 0:
                    return left
            self._times.append(now)
            return 0.0
