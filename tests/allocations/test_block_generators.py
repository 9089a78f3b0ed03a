"""Measured coroutines, generators and async generators."""

import asyncio
import contextlib
import gc
import inspect
import tracemalloc
import types
import weakref

import pytest

from memlens.decorators import memory_block, profile_memory
from tests.allocations.measured import MIB, churn, near, quiet


def test_coroutine_is_measured_while_its_own_code_runs():
    @quiet
    async def keep(size_bytes):
        data = bytearray(size_bytes)
        await asyncio.sleep(0)
        churn(2 * size_bytes)
        await asyncio.sleep(0)
        return data

    results = []

    async def main():
        tasks = [asyncio.ensure_future(keep(n * MIB)) for n in (1, 2, 4)]
        for task in tasks:
            task.add_done_callback(lambda _: results.append(keep.last_result))
        return await asyncio.gather(*tasks)

    kept = asyncio.run(main())
    assert [len(data) for data in kept] == [MIB, 2 * MIB, 4 * MIB]
    assert inspect.iscoroutinefunction(keep)
    assert keep.last_result.allocated_bytes == near(4 * MIB)
    assert keep.last_result.peak_bytes == near(12 * MIB)
    assert keep.last_result.steps == 3
    assert not keep.last_result.overlapped


def test_each_task_has_its_own_numbers():
    results = []

    @profile_memory(report=results.append)
    async def keep(size_bytes):
        data = bytearray(size_bytes)
        await asyncio.sleep(0)
        return data

    async def main():
        return await asyncio.gather(*(keep(n * MIB) for n in (1, 2, 4)))

    kept = asyncio.run(main())
    assert [result.allocated_bytes for result in results] == [near(n * MIB) for n in (1, 2, 4)]
    assert len(kept) == 3


def test_recursive_coroutine_is_reported_once():
    results = []

    @profile_memory(report=results.append)
    async def descend(depth):
        data = bytearray(MIB)
        await asyncio.sleep(0)
        if depth:
            await descend(depth - 1)
        return len(data)

    assert asyncio.run(descend(3)) == MIB
    assert len(results) == 1
    assert results[0].peak_bytes == near(4 * MIB)


def test_cancelled_coroutine_is_reported_as_cancelled():
    @quiet
    async def wait():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            churn(MIB)

    async def main():
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert wait.last_result.exception == "CancelledError"
    assert wait.last_result.peak_bytes == near(MIB)


def test_memory_block_is_an_async_context_manager():
    async def main():
        async with memory_block("async") as block:
            data = bytearray(MIB)
            await asyncio.sleep(0)
        return block, data

    block, data = asyncio.run(main())
    assert block.result.allocated_bytes == near(len(data))


def test_generator_is_measured_while_its_own_code_runs():
    @quiet
    def produce():
        data = bytearray(MIB)
        yield 1
        churn(3 * MIB)
        yield 2
        return data

    kept = []
    for item in produce():
        kept.append((item, bytearray(20 * MIB)))
    result = produce.last_result
    assert [item for item, _ in kept] == [1, 2]
    assert result.peak_bytes == near(4 * MIB)
    assert result.allocated_bytes == near(MIB)  # the return value was still alive
    assert result.steps == 3
    assert "include what other code allocated" in str(result)


def test_measured_generator_behaves_like_the_original():
    def echo(log):
        received = None
        while True:
            try:
                received = yield received
                log.append(received)
            except ValueError as error:
                received = f"caught {error}"
            except GeneratorExit:
                log.append("closed")
                raise
            if received == "end":
                return "returned"

    def talk(generator_function):
        log = []
        generator = generator_function(log)
        said = [next(generator), generator.send(1), generator.throw(ValueError("x"))]
        try:
            generator.send("end")
        except StopIteration as stop:
            said.append(stop.value)
        other = generator_function(log)
        next(other)
        other.close()
        third = generator_function(log)
        next(third)
        with pytest.raises(KeyError):
            third.throw(KeyError("k"))
        return said, log

    measured = quiet(echo)
    assert talk(measured) == talk(echo)
    assert talk(echo)[0] == [None, 1, "caught x", "returned"]
    assert measured.last_result.exception == "KeyError"


def test_unfinished_generator_is_reported_when_closed():
    results = []

    @profile_memory(report=results.append)
    def produce():
        data = bytearray(MIB)
        yield data
        yield data

    generator = produce()
    assert not tracemalloc.is_tracing()
    data = next(generator)
    assert tracemalloc.is_tracing()
    assert results == []
    generator.close()
    assert results[0].peak_bytes == near(len(data))
    assert results[0].exception is None


def test_generator_is_measured_while_it_is_closed():
    @quiet
    def produce():
        try:
            yield
        finally:
            churn(MIB)

    generator = produce()
    next(generator)
    generator.close()
    assert produce.last_result.peak_bytes == near(MIB)


def test_generator_is_reported_if_it_was_started_even_if_deleted():
    results = []

    @profile_memory(report=results.append)
    def produce():
        yield

    never_started = produce()
    never_started.close()
    assert results == []
    dropped = produce()
    next(dropped)
    del dropped
    assert len(results) == 1


def test_recursive_generator_is_reported_once():
    results = []

    @profile_memory(report=results.append)
    def walk(depth):
        yield depth
        if depth:
            yield from walk(depth - 1)

    assert list(walk(3)) == [3, 2, 1, 0]
    assert len(results) == 1


def test_yielded_and_sent_values_are_not_kept_alive():
    class Thing:
        pass

    @quiet
    def relay():
        received = weakref.ref((yield Thing()))
        yield
        yield received() is None

    generator = relay()
    gone = weakref.ref(next(generator))
    assert gone() is None
    generator.send(Thing())
    assert next(generator)
    generator.close()


def test_thrown_exception_is_freed_without_garbage_collection():
    class FailedError(Exception):
        pass

    @quiet
    def body():
        yield 1

    gc.disable()
    try:
        generator = body()
        next(generator)
        error = FailedError()
        gone = weakref.ref(error)
        with contextlib.suppress(FailedError):
            generator.throw(error)
        del error, generator
        assert gone() is None
    finally:
        gc.enable()


def test_generator_can_drop_its_arguments():
    class Thing:
        pass

    @quiet
    def use(thing):
        gone = weakref.ref(thing)
        del thing
        yield gone() is None

    generator = use(Thing())
    assert next(generator)
    generator.close()


def test_measured_async_generator_behaves_like_the_original():
    async def echo(log):
        received = None
        while True:
            await asyncio.sleep(0)
            try:
                received = yield received
                log.append(received)
            except ValueError as error:
                received = f"caught {error}"
            except GeneratorExit:
                await asyncio.sleep(0)
                log.append("closed")
                raise
            if received == "end":
                return

    async def talk(function):
        log = []
        generator = function(log)
        said = [
            await generator.__anext__(),
            await generator.asend(1),
            await generator.athrow(ValueError("x")),
        ]
        with pytest.raises(StopAsyncIteration):
            await generator.asend("end")
        other = function(log)
        await other.__anext__()
        await other.aclose()
        third = function(log)
        await third.__anext__()
        with pytest.raises(KeyError):
            await third.athrow(KeyError("k"))
        return said, log

    measured = quiet(echo)
    assert asyncio.run(talk(measured)) == asyncio.run(talk(echo))
    assert measured.last_result.exception == "KeyError"


def test_async_generator_is_measured_while_its_own_code_runs():
    results = []

    @profile_memory(report=results.append)
    async def produce(depth):
        data = bytearray(MIB)
        yield 1
        await asyncio.sleep(0)
        churn(2 * MIB)
        if depth:
            async for item in produce(depth - 1):
                yield item
        yield len(data)

    async def main():
        kept = []
        async for item in produce(1):
            kept.append((item, bytearray(20 * MIB)))
        return [item for item, _ in kept]

    assert asyncio.run(main()) == [1, 1, MIB, MIB]
    assert len(results) == 1
    assert results[0].peak_bytes == near(4 * MIB)
    assert results[0].allocated_bytes == near(0)


def test_generator_based_coroutine_can_be_awaited():
    @quiet
    @types.coroutine
    def pause():
        return (yield)

    async def main():
        return await pause()

    coroutine = main()
    coroutine.send(None)
    with pytest.raises(StopIteration) as stop:
        coroutine.send(5)
    assert stop.value.value == 5
    assert pause.last_result.steps == 2
