"""Process a stream of items in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from itertools import islice
from typing import Any, Generic, TypeVar

from memlens.structures._arguments import require_callable, require_count

__all__ = ("ChunkProcessor",)

A = TypeVar("A")
B = TypeVar("B")


class ChunkProcessor(Generic[A, B]):
    """Calls ``function(batch)`` with lists of ``batch_size`` items and yields the single results.

    **Use it** if the input is too large for memory and the function is more efficient for many
    items (inserts, requests, vector operations). ``function`` takes a list and returns an iterable
    of any number of results, or None. For ``process_async`` it may be a coroutine function.

    **Back-pressure**: nothing is read before a result is requested, so at most one batch and its
    results are in memory (``process_async``: ``concurrency`` batches). Results are in the order of
    the items. Errors of ``function`` and of the source are raised to the caller that iterates.
    """

    def __init__(
        self,
        function: Callable[[list[A]], Iterable[B] | Awaitable[Iterable[B] | None] | None],
        batch_size: int = 100,
        *,
        concurrency: int = 1,
    ) -> None:
        require_callable("function", function)
        self._function = function
        self._batch_size = require_count("batch_size", batch_size)
        self._concurrency = require_count("concurrency", concurrency)

    def __repr__(self) -> str:
        name = getattr(self._function, "__qualname__", type(self._function).__qualname__)
        return f"<ChunkProcessor of {name}: batches of {self._batch_size}>"

    def process(self, items: Iterable[A]) -> Iterator[B]:
        """Yield the results for all items. Raises TypeError if ``function`` is async."""
        iterator = iter(items)
        while batch := list(islice(iterator, self._batch_size)):
            results = self._function(batch)
            if isinstance(results, Awaitable):
                close = getattr(results, "close", None)
                if close is not None:
                    close()
                raise TypeError("the function is a coroutine function: use process_async()")
            yield from results or ()

    async def process_async(self, items: Iterable[A] | AsyncIterable[A]) -> AsyncIterator[B]:
        """Yield the results for all items, with up to ``concurrency`` batches at the same time."""
        import asyncio

        running: deque[asyncio.Task[Any]] = deque()
        batches = self._batches(items)
        try:
            exhausted = False
            while running or not exhausted:
                while not exhausted and len(running) < self._concurrency:
                    batch = await anext(batches, None)
                    if batch is None:
                        exhausted = True
                    else:
                        running.append(asyncio.create_task(self._run(batch)))
                if running:
                    for result in await running[0]:
                        yield result
                    running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await batches.aclose()

    async def _run(self, batch: list[A]) -> Iterable[B]:
        results = self._function(batch)
        if isinstance(results, Awaitable):
            results = await results
        return results or ()

    async def _batches(
        self, items: Iterable[A] | AsyncIterable[A]
    ) -> AsyncGenerator[list[A], None]:
        if not isinstance(items, AsyncIterable):
            iterator = iter(items)
            while batch := list(islice(iterator, self._batch_size)):
                yield batch
            return
        batch = []
        async for item in items:
            batch.append(item)
            if len(batch) == self._batch_size:
                yield batch
                batch = []
        if batch:
            yield batch
