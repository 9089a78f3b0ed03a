"""A snapshot when the process exits."""

from __future__ import annotations

import atexit

from memlens.triggers.protocol import Host

__all__ = ("AtExit", "at_exit")


def at_exit() -> AtExit:
    """Return a trigger that takes a snapshot when the interpreter exits.

    It is taken by ``atexit``: also after an exception of the main thread, but not where the process
    ends by a signal that Python does not handle, or by ``os._exit`` (as workers of
    ``multiprocessing`` do). A profiler that was stopped before takes none.
    """
    return AtExit()


class AtExit:
    """The trigger of `at_exit`."""

    def __init__(self) -> None:
        self._host: Host | None = None

    def __repr__(self) -> str:
        return "at_exit()"

    def start(self, host: Host) -> None:
        """Register the snapshot."""
        if self._host is None:
            atexit.register(self._exit)
        self._host = host

    def stop(self) -> None:
        """Take no snapshot at the exit."""
        self._host = None
        atexit.unregister(self._exit)

    def _exit(self) -> None:
        if self._host is not None:
            self._host.fire_and_wait("exit")
