"""Lease: the loan of an object of a pool, as a context manager."""

from __future__ import annotations

from types import TracebackType
from typing import Generic, Protocol, TypeVar

__all__ = ("Lease",)

T = TypeVar("T")


class Pool(Protocol[T]):
    """The methods of a pool that a lease uses."""

    def acquire(self, timeout: float | None = None) -> T:
        """Return an object for use until ``release``."""
        ...

    async def acquire_async(self, timeout: float | None = None) -> T:
        """Do the same as ``acquire`` without blocking the event loop."""
        ...

    def release(self, item: T) -> None:
        """Release an object."""
        ...


class Lease(Generic[T]):
    """A context manager for one loan: acquires on entry, releases on exit."""

    __slots__ = ("_item", "_pool", "_timeout", "_used")

    def __init__(self, pool: Pool[T], timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._used = False
        self._item: T

    def __enter__(self) -> T:
        self._begin()
        self._item = self._pool.acquire(self._timeout)
        return self._item

    async def __aenter__(self) -> T:
        self._begin()
        self._item = await self._pool.acquire_async(self._timeout)
        return self._item

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        item = self._item
        del self._item
        self._pool.release(item)

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(error_type, error, traceback)

    def __repr__(self) -> str:
        state = "used" if self._used else "new"
        return f"<Lease of {self._pool!r}, {state}>"

    def _begin(self) -> None:
        if self._used:
            raise RuntimeError(
                "a lease can be used once: call pool.lease() for each with statement"
            )
        self._used = True
