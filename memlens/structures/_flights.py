"""One computation per key: concurrent callers wait for the result of the first caller.

This is known as "single flight" (Go's ``golang.org/x/sync/singleflight``). Threads and tasks of any
event loop wait in the same queue, so any of them can compute.
"""

from __future__ import annotations

import sys
import threading
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from memlens.structures._views import SnapshotMapping
from memlens.structures._waiting import TaskWaiter, ThreadWaiter, Waiter

__all__ = ("ComputingMapping", "Flight", "FlightTable")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_MISSING: Any = object()


class Flight(Generic[V]):
    """One computation: its owner, its waiters and its result."""

    __slots__ = ("error", "has_value", "owner", "thread", "value", "waiters")

    def __init__(self, owner: object) -> None:
        self.owner = owner  # a task, or the number of a thread
        self.thread = threading.get_ident()
        self.waiters: list[Waiter] = []
        self.value: V
        self.has_value = False
        self.error: Exception | None = None

    def land(self, value: V) -> V:
        """Take the value for those who wait, and return it."""
        self.value, self.has_value = value, True
        return value

    def fail(self, error: BaseException | None) -> None:
        """Take the error for those who wait, unless they have a value or may try themselves."""
        if self.waiters and not self.has_value and isinstance(error, Exception):
            self.error = error

    def wake_all(self) -> None:
        """Wake all who wait, also where waking one of them fails. Nobody can join any more."""
        waiters = self.waiters
        try:
            while waiters:
                waiters.pop(0).wake()
        finally:
            if waiters:
                self.wake_all()


class FlightTable(Generic[V]):
    """The flights of one mapping, by key. Callers of every method hold the lock of the mapping."""

    __slots__ = ("_waited_for", "by_key")

    def __init__(self) -> None:
        self.by_key: dict[Hashable, Flight[V]] = {}
        self._waited_for: dict[object, Flight[V]] = {}  # by waiting thread or task

    def supersede(self, key: Hashable) -> None:
        """Discard the computation of a key, since the key was set or deleted in the meantime."""
        if self.by_key:
            self.by_key.pop(key, None)

    def is_current(self, key: Hashable, flight: Flight[V]) -> bool:
        """Return whether the result of this flight is still to be stored."""
        return self.by_key.get(key) is flight

    def join(self, flight: Flight[V], key: Hashable, me: object, waiter: Waiter) -> None:
        """Add a waiter. Raises RuntimeError if it would wait for itself, directly or indirectly."""
        step: Flight[V] | None = flight
        while step is not None:
            # A waiting thread blocks all tasks of its event loop, not only the current one.
            if me in (step.owner, step.thread):
                raise RuntimeError(
                    f"the computation of {key!r:.100} would wait for itself: compute() requested the"
                    " value that it computes, directly or through another key"
                )
            step = self._waited_for.get(step.owner)
        self._waited_for[me] = flight
        flight.waiters.append(waiter)

    def leave(self, flight: Flight[V], me: object, waiter: Waiter) -> None:
        """Remove a waiter, whatever ended its wait."""
        self._waited_for.pop(me, None)
        try:
            flight.waiters.remove(waiter)
        except ValueError:  # it has been woken
            pass

    def finish(self, key: Hashable, flight: Flight[V]) -> None:
        """Remove a flight that has ended, so that nobody joins it any more."""
        if self.by_key.get(key) is flight:
            del self.by_key[key]


class ComputingMapping(SnapshotMapping[K, V]):
    """A mapping that provides ``get_or_compute``, based on ``get``, ``peek`` and ``_keep``."""

    _lock: threading.RLock
    _flights: FlightTable[V]

    @abstractmethod
    def _keep(self, key: K, value: V, flight: Flight[V]) -> None:
        """Store a computed value if ``flight`` is current and the mapping accepts the value."""

    def get_or_compute(self, key: K, compute: Callable[[], V]) -> V:
        """Return the value of ``key``. If there is none, store and return ``compute()``.

        If several threads and tasks call this at the same time, ``compute()`` runs once, without a
        lock, and the others wait for it. If it raises an ``Exception``, all of them get the same
        exception; nothing is stored, so the next call computes again. (If each waiter retried, N
        callers would wait N times for a service that is down.) If the computing thread or task is
        interrupted (KeyboardInterrupt, cancellation), one of the waiters computes instead. If the
        key is set or deleted during the computation, that change stays. A value that the mapping
        does not accept is returned without being stored.

        Raises RuntimeError instead of a deadlock if ``compute()`` needs its own result.
        """
        value: V = self.get(key, _MISSING)
        return self._compute(key, compute) if value is _MISSING else value

    async def get_or_compute_async(self, key: K, compute: Callable[[], Awaitable[V]]) -> V:
        """Do the same as ``get_or_compute`` with an awaitable, without blocking the event loop."""
        value: V = self.get(key, _MISSING)
        return await self._compute_async(key, compute) if value is _MISSING else value

    def _compute(self, key: K, compute: Callable[[], V]) -> V:
        me, value = threading.get_ident(), _MISSING
        while value is _MISSING:
            own: Flight[V] = Flight(me)
            flight, waiter = own, ThreadWaiter()
            try:
                flight = self._join_or_start(key, own, waiter)
                if flight is not own:
                    waiter.wait()
                    value = _outcome(flight)
                elif own.has_value:
                    value = own.value
                else:
                    value = own.land(compute())
                    self._keep(key, value, own)  # may raise what size_of or on_evict raises
            finally:
                self._end(key, own, flight, waiter)
        return value  # type: ignore[no-any-return]  # V, or the sentinel that ended the loop

    async def _compute_async(self, key: K, compute: Callable[[], Awaitable[V]]) -> V:
        import asyncio

        value = _MISSING
        while value is _MISSING:
            own: Flight[V] = Flight(asyncio.current_task())
            flight, waiter = own, TaskWaiter()
            try:
                flight = self._join_or_start(key, own, waiter)
                if flight is not own:
                    await waiter.wait()
                    value = _outcome(flight)
                elif own.has_value:
                    value = own.value
                else:
                    value = own.land(await compute())
                    self._keep(key, value, own)
            finally:
                self._end(key, own, flight, waiter)
        return value  # type: ignore[no-any-return]

    def _join_or_start(self, key: K, own: Flight[V], waiter: Waiter) -> Flight[V]:
        """Return the flight to wait for, or ``own``: with the value if there is one by now."""
        with self._lock:
            value = self.peek(key, _MISSING)
            if value is not _MISSING:
                own.land(value)
                return own
            flight = self._flights.by_key.get(key)
            if flight is not None:
                self._flights.join(flight, key, own.owner, waiter)
                return flight
            self._flights.by_key[key] = own
            return own

    def _end(self, key: K, own: Flight[V], joined: Flight[V], waiter: Waiter) -> None:
        """Leave no flight behind that nobody flies, and let go who waits for this one.

        Allocates nothing: a key whose flight stayed, because memory ran out here, could never be
        computed again.
        """
        self._lock.acquire()
        try:
            if joined is own:
                self._flights.finish(key, own)
            else:
                self._flights.leave(joined, own.owner, waiter)
        finally:
            self._lock.release()
        own.fail(sys.exception())
        own.wake_all()


def _outcome(flight: Flight[V]) -> V | object:
    """Return the value of a flight or raise its error; the sentinel if it was interrupted."""
    if flight.error is not None:
        try:
            raise flight.error
        finally:
            del flight  # it would form a cycle: error -> traceback -> this frame -> flight -> error
    return flight.value if flight.has_value else _MISSING
