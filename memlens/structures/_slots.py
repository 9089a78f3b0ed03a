"""The idle objects of a pool, the number of its objects, and the queue of waiters."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from memlens.structures._waiting import TaskWaiter, ThreadWaiter, Waiter

__all__ = ("NEW", "Slots")

T = TypeVar("T")
NEW: Any = object()  # permission to create an object, which is counted already
_NOTHING: Any = object()


class _Claim(Generic[T]):
    __slots__ = ("grant", "waiter")

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.grant: T = _NOTHING


class Slots(Generic[T]):
    """At most ``max_size`` objects, idle or on loan. Waiters are served first come, first served.

    A released object is passed directly to the first waiter, so no other caller can take it. A
    caller that receives `NEW` must later call `put`, or `forget` if it could not create the object.
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
        # Reentrant: at any time the garbage collector may run a finaliser that releases an object.
        # Therefore no call may come between a check and the action that depends on it.
        self.lock = threading.RLock()
        self.max_size = max_size
        self.size = 0  # idle, on loan and being created
        self.idle: deque[tuple[T, float]] = deque()  # with the time of its release; newest last
        self.taken = self.waits = 0
        self.before_sleep: Callable[[], object] = lambda: None
        self.closed = False
        self._claims: deque[_Claim[T]] = deque()

    def take(self) -> T:
        """Return an idle object or `NEW`. Raises LookupError if all objects are on loan."""
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
        """Do the same as ``take``, but wait for an object. Raises TimeoutError."""
        waiter = ThreadWaiter()
        claim = _Claim[T](waiter)
        try:
            self._enqueue(claim)
            if claim.grant is _NOTHING:
                waiter.wait(timeout_seconds)
        except BaseException:
            self._withdraw(claim, give_back=True)
            raise
        return self._granted(claim)

    async def wait_async(self, timeout_seconds: float | None) -> T:
        """Do the same as ``wait`` without blocking the event loop."""
        waiter = TaskWaiter()
        claim = _Claim[T](waiter)
        try:
            self._enqueue(claim)
            if claim.grant is _NOTHING:
                await waiter.wait(timeout_seconds)
        except BaseException:
            self._withdraw(claim, give_back=True)
            raise
        return self._granted(claim)

    def _enqueue(self, claim: _Claim[T]) -> None:
        with self.lock:
            if self.closed:
                raise RuntimeError("the pool is closed")
            self.waits += 1
            self._claims.append(claim)  # before the check, so that no release is missed
            if self.idle:
                self._offer(*self.idle.pop())
            elif self.size < self.max_size:
                self.size += 1
                self.forget()
        self.before_sleep()

    def _offer(self, item: T, since: float) -> None:
        """Pass an idle object to the first waiter; if that fails, its place is for another object."""
        try:
            self.put(item, since)
        except BaseException:
            self.forget()
            raise

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
        """Pass an object to the first waiter or keep it idle. Returns False if the pool is closed."""
        with self.lock:
            if self._serve(item):
                return True
            if not self.closed:
                self.idle.append((item, now))
                return True
            self.size -= 1
        return False

    def forget(self) -> None:
        """Remove a discarded object from the count; the first waiter may create another.

        Allocates nothing if none waits: what memory ran out for must not keep its place.
        """
        self.lock.acquire()
        try:
            if not self._serve(NEW):
                self.size -= 1
        finally:
            self.lock.release()

    def _serve(self, grant: T) -> bool:
        while self._claims:
            claim = self._claims.popleft()
            claim.grant = grant
            try:
                is_woken = claim.waiter.wake()
            except BaseException:
                claim.grant = _NOTHING
                self._claims.appendleft(claim)
                raise
            if is_woken:
                return True
        return False

    def take_older(self, since: float, keep: int, limit: int) -> list[T]:
        """Remove up to ``limit`` objects that are idle since ``since``, leaving at least ``keep``."""
        taken: list[T] = []
        with self.lock:
            while (
                self.idle and len(taken) < limit and self.idle[0][1] <= since and self.size > keep
            ):
                taken.append(self.idle.popleft()[0])
                self.size -= 1
        return taken

    def close(self) -> list[T]:
        """Refuse further calls, wake all waiters and return the idle objects."""
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
