"""OwnThread: a daemon thread of memlens, which leaves the signals of the process to the program.

A program may block a signal and wait for it, by ``sigwait`` or a ``signalfd``. The system gives a
signal of the process to any thread that does not block it: one of memlens would take it instead, and
where the program has no handler, that ends the process. So a thread of memlens blocks all signals.

What such a thread starts inherits the mask. The callbacks of the program are called with the mask that
the thread would have had, by `call_program`, because they may start processes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ("OwnThread", "call_program")

T = TypeVar("T")
_HAS_MASKS = hasattr(signal, "pthread_sigmask")  # not on Windows
# A fault is a signal to the thread that caused it. If that is blocked, no handler can report it.
_FAULTS = {
    getattr(signal, name)
    for name in ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")
    if hasattr(signal, name)
}
_BLOCKED = signal.valid_signals() - _FAULTS if _HAS_MASKS else set()
_PACKAGE = __name__.rpartition(".")[0] + "."


class _Masks(threading.local):
    """Of an own thread: the mask without memlens. None in a thread of the program."""

    of_program: set[Any] | None = None


_masks = _Masks()


class OwnThread(threading.Thread):
    """A daemon thread that calls ``target`` with ``arguments`` and blocks all signals but faults."""

    def __init__(self, target: Callable[..., object], name: str, *arguments: Any) -> None:
        super().__init__(target=target, name=name, args=arguments, daemon=True)
        self._creator = threading.get_native_id()
        self._mask: set[Any] = set()
        if _HAS_MASKS:
            outer = _masks.of_program
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if outer is None else outer

    def run(self) -> None:
        """Block the signals, then call the target."""
        # Of gevent it may be a greenlet: in a thread of the program.
        if _HAS_MASKS and threading.get_native_id() != self._creator:
            with suppress(MemoryError):  # then it works as any thread of the program
                signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
                _masks.of_program = self._mask
        super().run()


def call_program(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function of the program, in an own thread with the mask that it would have had.

    In any other thread, and if the function is one of memlens, it is just called.
    """
    mask = _masks.of_program
    module = getattr(function, "__module__", None)
    if mask is None or (isinstance(module, str) and module.startswith(_PACKAGE)):
        return function(*arguments)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        return function(*arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
