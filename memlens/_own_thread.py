"""OwnThread: a daemon thread of memlens, which the program does not notice.

**Signals.** A program may block a signal and wait for it, by ``sigwait`` or a ``signalfd``. The system
gives a signal of the process to any thread that does not block it: one of memlens would take it
instead, and where the program has no handler, that ends the process. So a thread of memlens blocks all
signals. What such a thread starts inherits the mask. The callbacks of the program are called with the
mask that the thread would have had, by `call_program`, because they may start processes.

**The end of threads.** A program may join all threads that there are, or wait until it has only one.
So a thread that waits for work is not among those of `threading.enumerate`, see `out_of_sight`, and to
join one takes no time.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

__all__ = ("OwnThread", "call_program", "out_of_sight")

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
_RETRY_SECONDS = 0.1
_listed: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]


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
        try:
            super().run()
        finally:
            _listed.setdefault(threading.get_ident(), self)  # `threading` expects it there

    def join(self, timeout: float | None = None) -> None:
        """Return at once: the program has no reason to wait. See `wait_for_end`."""

    def wait_for_end(self, timeout_seconds: float | None = None) -> None:
        """Wait until the thread has ended, at most so long."""
        super().join(timeout_seconds)


@contextmanager
def out_of_sight() -> Iterator[None]:
    """Leave the current thread, if it is one of memlens, out of `threading.enumerate` for this block.

    In the block the thread may only wait: `threading.current_thread` does not know it.
    """
    ident = threading.get_ident()
    thread = _listed.get(ident)
    if not isinstance(thread, OwnThread):
        yield
        return
    del _listed[ident]
    try:
        yield
    finally:
        while _listed.get(ident) is not thread:
            try:
                _listed[ident] = thread
            except MemoryError:
                time.sleep(_RETRY_SECONDS)


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
