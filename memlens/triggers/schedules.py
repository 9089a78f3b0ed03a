"""A snapshot every so many seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from memlens._options import check_seconds
from memlens.triggers.protocol import Host
from memlens.triggers.ticker import Ticker

__all__ = ("Every", "every")


def every(seconds: float) -> Every:
    """Return a trigger that takes a snapshot every ``seconds``, the first after that time.

    The periodic snapshots of the profiler serve its analysis and become rare; these come at a fixed
    interval and are handed to ``on_file``.

    Raises ``OptionError`` unless ``seconds`` is a positive number.
    """
    return Every(check_seconds("seconds", seconds))


class Every:
    """The trigger of `every`. ``clock`` returns monotonic seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._next = 0.0
        self._host: Host | None = None
        self._ticker = Ticker("memlens-schedule", self.step, self._fail)

    def __repr__(self) -> str:
        return f"every({self._seconds:g})"

    def start(self, host: Host) -> None:
        """Start the thread that waits."""
        self._host = host
        self._next = self._clock() + self._seconds
        self._ticker.start()

    def stop(self) -> None:
        """End the thread."""
        self._host = None
        self._ticker.stop()

    def step(self) -> float:
        """Request the snapshot that is due; return the seconds to the next one."""
        now = self._clock()
        if now >= self._next:
            self._next += self._seconds
            if self._next <= now:  # the machine was suspended: once is enough
                self._next = now + self._seconds
            if self._host is not None:
                self._host.fire("schedule")
        return max(0.0, self._next - now)

    def _fail(self, error: BaseException) -> None:
        if self._host is not None:
            self._host.note_failure(f"{self!r} failed", error)
