"""Work in batches: items in, batches through a function, results out, never all at once."""

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
    """Calls ``function(batch)`` with lists of ``batch_size`` items and yields the results singly.

    **Use it** between a source that is too large for memory and a function that is better called
    for many items than for one (inserts, requests, vector work). ``function`` takes a list and
    returns an iterable of results, of any length, or None for none; for ``process_async`` it may
    also be a coroutine function.

    **Back-pressure**: nothing is read before somebody asks for a result, so at most one batch is in
    memory, with its results (``process_async``: ``concurrency`` batches). Results keep the order
    of the items. An error of ``function`` or of the source reaches whoever iterates.
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

    def process(self, items: Iterable[A]) -> Iterator[B]:
        """Yield the results for all items; TypeError if ``function`` is a coroutine function."""
        iterator = iter(items)
        while batch := list(islice(iterator, self._batch_size)):
            results = self._function(batch)
            if isinstance(results, Awaitable):
                close = getattr(results, "close", None)
                if close is not None:
                    close()
                raise TypeError("the function must be awaited: use process_async()")
            yield from results or ()

    async def process_async(self, items: Iterable[A] | AsyncIterable[A]) -> AsyncIterator[B]:
        """Yield the results for all items, with up to ``concurrency`` batches under way."""
        import asyncio

        under_way: deque[asyncio.Task[Any]] = deque()
        batches = self._batches(items)
        try:
            exhausted = False
            while under_way or not exhausted:
                while not exhausted and len(under_way) < self._concurrency:
                    batch = await anext(batches, None)
                    if batch is None:
                        exhausted = True
                    else:
                        under_way.append(asyncio.create_task(self._run(batch)))
                if under_way:
                    for result in await under_way[0]:
                        yield result
                    under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
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
