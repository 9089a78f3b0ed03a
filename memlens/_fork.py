"""What must happen in a forked child: locks are free again, and objects forget their parent.

Only the forking thread exists in the child. A lock that another thread held at the fork would stay
locked for ever, and threads, timers and measurements belong to the parent.

One handler of ``os.register_at_fork`` serves all of memlens: fork handlers cannot be removed. It
acquires nothing before the fork, so other libraries' handlers never meet a lock that it holds. In
the child it first frees the locks and then calls the registered callbacks.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import MethodType, TracebackType

__all__ = ("ForkSafeLock", "call_in_forked_child")

_Callback = Callable[[], object]

_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
_callbacks: list[Callable[[], _Callback | None]] = []  # each gives its callback, None once it died
_is_registered = False


class ForkSafeLock:
    """A re-entrant lock that is free in a forked child unless the forking thread holds it.

    Re-entrant, because signal handlers and finalizers run in the middle of any code.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)
        _register_once()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire the lock as ``threading.RLock.acquire`` does."""
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        """Release the lock; only the thread that holds it may do so."""
        self._lock.release()

    def is_owned(self) -> bool:
        """Return whether the current thread holds the lock."""
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def _free_in_child(self) -> None:
        if self._lock.acquire(blocking=False):
            self._lock.release()  # it was free, or the forking thread holds it and will release it
        else:
            self._lock = threading.RLock()


def call_in_forked_child(callback: _Callback) -> None:
    """Call ``callback()`` in every child that this process forks from now on.

    Callbacks run in the order of registration, in the forking thread. A bound method is referenced
    weakly: it is no longer called once its object is gone. An exception is reported by the
    interpreter (``sys.unraisablehook``) after all callbacks were called.
    """
    _callbacks[:] = [known for known in _callbacks if known() is not None]
    if isinstance(callback, MethodType):
        _callbacks.append(weakref.WeakMethod(callback))
    else:
        _callbacks.append(lambda: callback)
    _register_once()


def _register_once() -> None:
    global _is_registered
    if not _is_registered:
        _is_registered = True
        if hasattr(os, "register_at_fork"):  # Windows has no fork
            os.register_at_fork(after_in_child=_after_fork_in_child)


def _after_fork_in_child() -> None:
    for lock in list(_locks):
        lock._free_in_child()
    failure: BaseException | None = None
    for known in list(_callbacks):
        callback = known()
        if callback is None:
            continue
        try:
            callback()
        except BaseException as error:  # noqa: BLE001 - raised below, after the other callbacks
            failure = failure or error
    if failure is not None:
        raise failure
