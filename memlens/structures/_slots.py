"""The part of a pool that counts: what lies idle, how many exist, who waits in which order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from memlens.structures._waiting import TaskWaiter, ThreadWaiter, Waiter

__all__ = ("NEW", "Slots")

T = TypeVar("T")
NEW: Any = object()  # the grant to make an object: its place is counted already
_NOTHING: Any = object()


class _Claim(Generic[T]):
    __slots__ = ("grant", "waiter")

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.grant: T = _NOTHING


class Slots(Generic[T]):
    """At most ``max_size`` objects, idle or lent; waiters are served first come, first served.

    An object that is given back goes straight to the first waiter, so nobody can overtake it.
    Whoever gets `NEW` must end with `put`, or with `forget` if the object could not be made.
    """

    __slots__ = (
        "_claims",
        "before_sleep",
        "closed",
        "idle",
        "lock",
        "max_size",
        "size",
        "taken",
        "waits",
    )

    def __init__(self, max_size: int) -> None:
        # Reentrant: the garbage collector may run a finaliser that gives an object back, any time.
        # Hence no call stands between a check and what follows from it.
        self.lock = threading.RLock()
        self.max_size = max_size
        self.size = 0  # idle, lent and being made
        self.idle: deque[tuple[T, float]] = deque()  # with the time it was put; newest last
        self.taken = self.waits = 0
        self.before_sleep: Callable[[], object] = lambda: None
        self.closed = False
        self._claims: deque[_Claim[T]] = deque()

    def take(self) -> T:
        """Return an idle object or `NEW`; LookupError when all are lent."""
        with self.lock:
            if self.idle:
                self.taken += 1
                return self.idle.pop()[0]
            if self.closed:
                raise RuntimeError("the pool is closed")
            if self.size < self.max_size:
                self.taken += 1
                self.size += 1
                return NEW  # type: ignore[no-any-return]
        raise LookupError

    def wait(self, timeout_seconds: float | None) -> T:
        """Do as ``take``, and wait where it would raise; TimeoutError when the time runs out."""
        waiter = ThreadWaiter()
        claim = self._claim(waiter)
        try:
            if claim.grant is _NOTHING:
                waiter.wait(timeout_seconds)
        except BaseException:
            self._withdraw(claim, give_back=True)
            raise
        return self._granted(claim)

    async def wait_async(self, timeout_seconds: float | None) -> T:
        """Do as ``wait`` without blocking the event loop."""
        waiter = TaskWaiter()
        claim = self._claim(waiter)
        try:
            if claim.grant is _NOTHING:
                await waiter.wait(timeout_seconds)
        except BaseException:
            self._withdraw(claim, give_back=True)
            raise
        return self._granted(claim)

    def _claim(self, waiter: Waiter) -> _Claim[T]:
        claim = _Claim[T](waiter)
        with self.lock:
            if self.closed:
                raise RuntimeError("the pool is closed")
            self.waits += 1
            self._claims.append(claim)  # first in the queue, then look: nothing slips through
            if self.idle:
                self.put(*self.idle.pop())
            elif self.size < self.max_size:
                self.size += 1
                self.forget()
        self.before_sleep()
        return claim

    def _granted(self, claim: _Claim[T]) -> T:
        self._withdraw(claim, give_back=False)
        if claim.grant is not _NOTHING:
            with self.lock:
                self.taken += 1
            return claim.grant
        if self.closed:
            raise RuntimeError("the pool is closed")
        raise TimeoutError

    def _withdraw(self, claim: _Claim[T], *, give_back: bool) -> None:
        with self.lock:
            if claim in self._claims:
                self._claims.remove(claim)
        if give_back and claim.grant is NEW:
            self.forget()
        elif give_back and claim.grant is not _NOTHING:
            self.put(claim.grant, time.monotonic())

    def put(self, item: T, now: float) -> bool:
        """Give an object to the first waiter, or lay it idle; False if the pool was closed."""
        with self.lock:
            if self._serve(item):
                return True
            if not self.closed:
                self.idle.append((item, now))
                return True
            self.size -= 1
        return False

    def forget(self) -> None:
        """An object is gone: the first waiter may make another."""
        with self.lock:
            if not self._serve(NEW):
                self.size -= 1

    def _serve(self, grant: T) -> bool:
        while self._claims:
            claim = self._claims.popleft()
            claim.grant = grant
            if claim.waiter.wake():
                return True
        return False

    def take_older(self, since: float, keep: int, most: int) -> list[T]:
        """Take out up to ``most`` objects that lie idle since then or longer, leaving ``keep``."""
        taken: list[T] = []
        with self.lock:
            while self.idle and len(taken) < most and self.idle[0][1] <= since and self.size > keep:
                taken.append(self.idle.popleft()[0])
                self.size -= 1
        return taken

    def close(self) -> list[T]:
        """Refuse from now on, wake all waiters and return what lay idle."""
        with self.lock:
            self.closed = True
            idle = [item for item, _ in self.idle]
            self.idle.clear()
            self.size -= len(idle)
            claims = list(self._claims)
            self._claims.clear()
        for claim in claims:
            claim.waiter.wake()
        return idle
