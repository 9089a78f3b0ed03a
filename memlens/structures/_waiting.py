"""Waiters: a thread or a task that waits until another thread or task wakes it.

``threading.Condition`` cannot wake a task, and ``asyncio.Condition`` cannot be used by a thread. Both
waiters have the method ``wake()``, so one queue can contain both and wake them in order.
"""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ("TaskWaiter", "ThreadWaiter", "Waiter")


class Waiter(Protocol):
    """A thread or task that waits until it is woken, once."""

    def wake(self) -> bool:
        """End the wait. Returns False if the waiter cannot continue (closed event loop)."""
        ...


class ThreadWaiter:
    """A waiting thread, for one ``wait()`` and one ``wake()`` in any order."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting = threading.Lock()
        self._waiting.acquire()

    def wake(self) -> bool:
        """End the wait."""
        self._waiting.release()
        return True

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until woken. Returns False if the timeout ends first."""
        if timeout_seconds is None:
            return self._waiting.acquire()
        return self._waiting.acquire(timeout=min(max(timeout_seconds, 0.0), threading.TIMEOUT_MAX))


class TaskWaiter:
    """A waiting asyncio task. Create it in its own event loop; any thread may call ``wake()``."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        """End the wait. Returns False if the event loop is closed."""
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop is closed, so its tasks never run again
            return False
        return True

    def _set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until woken. Returns False if the timeout ends first."""
        import asyncio

        # Not wait_for(): before 3.12 it could lose a cancellation that arrived with the result.
        done, _ = await asyncio.wait({self._future}, timeout=timeout_seconds)
        return bool(done)
