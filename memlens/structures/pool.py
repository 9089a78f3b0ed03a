"""A pool of objects that are expensive to create."""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar, cast

from memlens.structures._arguments import require_callable, require_count, require_seconds
from memlens.structures._lease import Lease
from memlens.structures._loans import Loan, LoanTable, UnreleasedLease
from memlens.structures._slots import NEW, Slots

__all__ = ("Lease", "ObjectPool", "PoolStats", "UnreleasedLease")

T = TypeVar("T")
_NONE_FREE: Any = object()
_SWEEP_AT_LEAST = 64  # leases
_INITIAL_SIZE = 10
_DROPPED_PER_RELEASE = 2  # a release adds one idle object, so their number decreases


class PoolStats(NamedTuple):
    """The content of a pool, and its counts since creation."""

    idle: int
    leased: int
    total: int  # idle, leased and being created
    created: int
    acquired: int
    waits: int  # calls of acquire that had to wait
    discarded: int  # invalid, failed in ``reset``, or idle for too long
    lost: int  # never released, and no reference is left


class ObjectPool(Generic[T]):
    """A thread-safe pool. ``with pool.lease() as item:`` always releases the object.

    **Use it** for objects that take much longer to create than three microseconds: connections,
    parsers, large buffers (`BufferPool`). Python creates small objects faster than a pool.

    ``factory()`` creates an object; ``initial_size`` objects are created at once, by default 10, or
    ``max_size`` if that is less. ``max_size`` is the maximum number of objects (None: no bound).
    ``reset(item)`` cleans a released object; if it raises, the object is discarded and ``release``
    raises the error. ``validate(item)`` returns whether an idle object is still usable; if not, it
    is discarded and another one is created. ``dispose(item)`` closes a discarded object. Objects
    above ``initial_size`` that are idle for ``idle_seconds`` are discarded by later releases and by
    ``shrink()``. All these functions run without a lock in the calling thread (also that of an
    event loop).

    If all objects are leased, ``acquire`` waits. Threads and tasks wait in one queue, first come,
    first served, for at most ``timeout`` seconds (None: no limit, 0: no wait), then TimeoutError is
    raised.

    **Releasing** an object that is not on loan raises ValueError with the reason. A second
    ``release`` is not detected if another user has acquired the object in between; a `Lease` does
    detect it. The pool records the code that acquired each object (``frames`` calls; 0: none):
    ``unreleased()`` lists the objects on loan. If a user drops an object without releasing it, the
    pool detects it when the object is freed, or, for types without weak references, when no object
    is left. It then issues a ResourceWarning that names the code, and frees the place. Objects are
    compared by identity and need not be hashable.

    **Cost**: ``acquire`` and ``release`` together take about 3 µs, a third of it to record the
    calling code.
    """

    def __init__(
        self,
        factory: Callable[[], T],
        reset: Callable[[T], object] | None = None,
        initial_size: int | None = None,
        max_size: int | None = None,
        validate: Callable[[T], object] | None = None,
        *,
        dispose: Callable[[T], object] | None = None,
        idle_seconds: float = 60.0,
        frames: int = 4,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, function in (("reset", reset), ("validate", validate), ("dispose", dispose)):
            if function is not None:
                require_callable(name, function)
        require_callable("factory", factory)
        require_callable("clock", clock)
        limit = sys.maxsize if max_size is None else require_count("max_size", max_size)
        if initial_size is None:
            initial_size = min(_INITIAL_SIZE, limit)
        self._initial_size = require_count("initial_size", initial_size, minimum=0)
        if initial_size > limit:
            raise ValueError(f"initial_size ({initial_size}) is larger than max_size ({limit})")
        self._idle_seconds = require_seconds("idle_seconds", idle_seconds)
        self._factory, self._reset, self._validate = factory, reset, validate
        self._dispose, self._clock = dispose, clock
        self._slots: Slots[Any] = Slots(limit)
        self._loans: LoanTable[T] = LoanTable(require_count("frames", frames, minimum=0), clock)
        self._loans.on_death = self._slots.before_sleep = _settler(weakref.ref(self))
        self._sweep_at = _SWEEP_AT_LEAST
        self._created = self._discarded = self._lost = 0
        for _ in range(initial_size):
            self._slots.take()  # all places first, before an object is idle
        for _ in range(initial_size):
            self._slots.put(self._made(), clock())
        self._slots.taken = 0

    # Acquiring

    def acquire(self, timeout: float | None = None) -> T:
        """Return an object for use until ``release``. TimeoutError if none becomes free."""
        grant = self._take_free(timeout)
        if grant is _NONE_FREE:
            try:
                grant = self._slots.wait(timeout)
            except TimeoutError:
                self._refuse(timeout)
        return self._lent(grant)

    async def acquire_async(self, timeout: float | None = None) -> T:
        """Do the same as ``acquire`` without blocking the event loop."""
        grant = self._take_free(timeout)
        if grant is _NONE_FREE:
            try:
                grant = await self._slots.wait_async(timeout)
            except TimeoutError:
                self._refuse(timeout)
        return self._lent(grant)

    def lease(self, timeout: float | None = None) -> Lease[T]:
        """Return a context manager that acquires and releases; also for ``async with``."""
        return Lease(self, timeout)

    def _take_free(self, timeout: float | None) -> object:
        """Return an idle object, `NEW` or `_NONE_FREE`."""
        if timeout is not None:
            require_seconds("timeout", timeout, zero=True)
        if self._loans.dead:
            self._free_dead()
        if len(self._loans.by_id) >= self._sweep_at:  # rarely: whenever their number has doubled
            self._recover_abandoned()
            self._sweep_at = max(_SWEEP_AT_LEAST, 2 * len(self._loans.by_id))
        try:
            return self._slots.take()
        except LookupError:
            self._recover_abandoned()
        try:
            return self._slots.take()
        except LookupError:
            return _NONE_FREE

    def _lent(self, grant: object) -> T:
        """Return the object of a grant, as an object on loan; gives its place back if that fails."""
        stored = grant
        try:
            if stored is not NEW and not self._is_valid(stored):
                invalid, stored = stored, NEW  # which takes its place
                self._discard(invalid)
            if stored is NEW:
                stored = self._made()
            item = self._wrapped(stored)
            # No second reference to the lent object itself, so that its end can be detected.
            self._loans.lend(item, None if stored is item else stored)
        except BaseException:
            self._slots.forget()
            if stored is not NEW:
                self._discard(stored)
            raise
        if self._loans.dead:
            self._free_dead()
        return item

    def _wrapped(self, stored: object) -> T:
        """Return the object that the user gets for a stored object."""
        return cast("T", stored)

    def _unwrapped(self, item: T, loan: Loan) -> object:
        """Return the object to store for a released object."""
        return item

    def _is_valid(self, stored: object) -> bool:
        return self._validate is None or bool(self._validate(cast("T", stored)))

    def _made(self) -> object:
        stored = self._factory()
        with self._slots.lock:
            self._created += 1
        return stored

    def _refuse(self, timeout: float | None) -> NoReturn:
        longest = next(iter(self.unreleased()), None)
        raise TimeoutError(
            f"no object of the pool became free within {timeout} s: all {self._slots.size} are"
            f" leased. The longest lease: {longest}. Release objects or increase max_size"
        ) from None

    # Releasing

    def release(self, item: T) -> None:
        """Release an object. ValueError with the reason if it is not on loan."""
        loan = self._loans.end(item)
        if loan is None:
            raise ValueError(self._why_not_lent(item))
        self._take_back(self._unwrapped(item, loan))

    def _take_back(self, stored: object) -> None:
        try:
            if self._reset is not None:
                self._reset(cast("T", stored))
            now = self._clock()
            is_kept = self._slots.put(stored, now)
        except BaseException:
            self._slots.forget()
            self._discard(stored)
            raise
        if not is_kept:
            self._discard(stored)
        since = now - self._idle_seconds
        for old in self._slots.take_older(since, self._initial_size, _DROPPED_PER_RELEASE):
            self._discard(old)
        if self._loans.dead:
            self._free_dead()

    def _why_not_lent(self, item: T) -> str:
        name = f"a {type(item).__qualname__}"
        if any(item is other for other, _ in list(self._slots.idle)):
            return f"{name} was released twice: it is idle in the pool already"
        return (
            f"{name} is not on loan from this pool: it is not from this pool, or was released"
            " before. Release each object once, to the pool that it was acquired from"
        )

    def _discard(self, item: object) -> None:
        with self._slots.lock:
            self._discarded += 1
        if self._dispose is not None:
            self._dispose(cast("T", item))

    # Maintenance

    def shrink(self) -> int:
        """Discard objects that are idle for too long, down to ``initial_size``; return the count."""
        old = self._slots.take_older(
            self._clock() - self._idle_seconds, self._initial_size, sys.maxsize
        )
        for item in old:
            self._discard(item)
        return len(old)

    def unreleased(self, min_seconds: float = 0.0) -> tuple[UnreleasedLease, ...]:
        """Return the objects leased for at least ``min_seconds``, longest first."""
        self._recover_abandoned()
        return tuple(self._loans.unreleased(min_seconds))

    def lost(self) -> tuple[UnreleasedLease, ...]:
        """Return the last 100 objects that were never released and have no reference left."""
        self._recover_abandoned()
        return tuple(self._loans.lost)

    def _free_dead(self) -> None:
        """Free the places of objects that were freed while on loan."""
        dead = self._loans.dead
        while dead:
            try:
                dead.popleft()
            except IndexError:  # another thread was faster
                return
            with self._slots.lock:
                self._lost += 1
            self._slots.forget()

    def _recover_abandoned(self) -> None:
        """Take back objects that have no other references (see `LoanTable`)."""
        self._free_dead()
        for loan in self._loans.take_abandoned():
            with self._slots.lock:
                self._lost += 1
            self._take_back(loan.item)
            self._loans.report_lost(loan)

    def close(self) -> None:
        """Discard idle objects and refuse new leases. Leased objects are discarded on release."""
        for item in self._slots.close():
            self._discard(item)

    def stats(self) -> PoolStats:
        """Return content and counts."""
        self._free_dead()
        slots = self._slots
        return PoolStats(
            idle=len(slots.idle),
            leased=len(self._loans.by_id),
            total=slots.size,
            created=self._created,
            acquired=slots.taken,
            waits=slots.waits,
            discarded=self._discarded,
            lost=self._lost,
        )

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<{type(self).__name__} {stats.idle} idle, {stats.leased} leased>"


def _settler(pool: weakref.ref[ObjectPool[Any]]) -> Callable[[], None]:
    """Return a function that frees dead places if the lock is free. Keeps no pool alive."""

    def settle() -> None:
        alive = pool()
        if alive is not None and alive._loans.dead and alive._slots.lock.acquire(blocking=False):
            try:
                alive._free_dead()
            finally:
                alive._slots.lock.release()

    return settle
