"""Sleepers: a thread or a task that waits until another one wakes it.

``threading.Condition`` cannot wake a task and ``asyncio.Condition`` cannot be used from a thread;
these two have one ``wake()`` each, so a queue of waiters can hold both and serve them in order.
"""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ("TaskWaiter", "ThreadWaiter", "Waiter")


class Waiter(Protocol):
    """Somebody who sleeps until woken, once."""

    def wake(self) -> bool:
        """Wake the sleeper; False when it can no longer hear (its event loop is closed)."""
        ...


class ThreadWaiter:
    """A sleeping thread. One sleep, one ``wake()``, in any order."""

    __slots__ = ("_asleep",)

    def __init__(self) -> None:
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def wake(self) -> bool:
        """End the sleep."""
        self._asleep.release()
        return True

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Sleep until woken; False when the time ran out first."""
        if timeout_seconds is None:
            return self._asleep.acquire()
        return self._asleep.acquire(timeout=min(max(timeout_seconds, 0.0), threading.TIMEOUT_MAX))


class TaskWaiter:
    """A sleeping asyncio task, made in its own event loop; ``wake()`` may come from any thread."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        import asyncio

        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> bool:
        """End the sleep; False when the loop was closed meanwhile."""
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop is closed: its tasks will never run again
            return False
        return True

    def _set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Sleep until woken; False when the time ran out first."""
        import asyncio

        # Not wait_for(): until 3.12 it could swallow a cancellation that came with the result.
        done, _ = await asyncio.wait({self._future}, timeout=timeout_seconds)
        return bool(done)
