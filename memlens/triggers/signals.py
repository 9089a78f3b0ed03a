"""A snapshot on a signal: ``kill -USR2 PID``."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from memlens._options import check_seconds, shown
from memlens.errors import OptionError
from memlens.triggers.protocol import Host

__all__ = ("OnSignal", "on_signal")

_REFUSED = ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGCHLD")


def on_signal(name: str | int = "SIGUSR2", *, min_seconds: float = 1.0) -> OnSignal:
    """Return a trigger that takes a snapshot when the process receives a signal.

    ``name``: the name or the number of the signal. Further signals within ``min_seconds``, or while
    a requested snapshot is waiting, request nothing. A handler that the program has set before is
    called afterwards. The snapshot is taken by the worker thread, so the handler returns at once,
    even if it has interrupted another snapshot. Python runs handlers in the main thread: while that
    thread is blocked in C code, nothing happens.

    Raises ``OptionError`` for a signal that does not exist or cannot be handled.
    """
    return OnSignal(_number(name), check_seconds("min_seconds", min_seconds, 0))


class OnSignal:
    """The trigger of `on_signal`."""

    def __init__(self, number: int, min_seconds: float) -> None:
        self._number = number
        self._min_seconds = min_seconds
        self._host: Host | None = None
        self._previous: Any = None
        self._is_installed = False

    def __repr__(self) -> str:
        return f"on_signal({signal.Signals(self._number).name!r})"

    def start(self, host: Host) -> None:
        """Set the handler. Raises ``OptionError`` outside the main thread."""
        self._host = host
        if self._is_installed:  # in a forked child
            return
        if threading.current_thread() is not threading.main_thread():
            raise OptionError(
                f"{self!r} needs the main thread, where Python sets signal handlers: start the"
                " profiler there"
            )
        previous = signal.getsignal(self._number)
        if previous is None:
            raise OptionError(
                f"{self!r}: a handler that was not set from Python has this signal; use another"
            )
        self._previous = previous
        signal.signal(self._number, self._handle)
        self._is_installed = True

    def stop(self) -> None:
        """Set the previous handler again, unless the program has set another one since."""
        self._host = None
        if (
            self._is_installed
            and threading.current_thread() is threading.main_thread()
            and signal.getsignal(self._number) == self._handle
        ):
            signal.signal(self._number, self._previous)
            self._is_installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        host = self._host
        if host is not None:
            host.fire("signal", min_seconds=self._min_seconds)
        if callable(self._previous):
            self._previous(number, frame)


def _number(name: str | int) -> int:
    try:
        number = signal.Signals[name] if isinstance(name, str) else signal.Signals(name)
        if isinstance(name, bool):
            raise ValueError
    except (KeyError, ValueError):
        raise OptionError(
            f"on_signal needs a signal such as 'SIGUSR2'; got {shown(name)}"
        ) from None
    if number.name in _REFUSED:
        raise OptionError(f"a Python program cannot handle {number.name}; use SIGUSR1 or SIGUSR2")
    return int(number)
