import asyncio
import contextlib
import functools
import gc
import inspect
import io
import logging
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
import types
import weakref

import pytest

from memlens import decorators
from memlens.allocations.blocks import measurement
from memlens.decorators import BlockResult, memory_block, profile_memory
from memlens.errors import OptionError, TracingError

KIB, MIB = 1 << 10, 1 << 20
NOISE = 16 * KIB  # frames, argument tuples, the event loop's own objects

quiet = functools.partial(profile_memory, report=None)


@pytest.fixture(autouse=True)
def _tracing_is_left_off():
    assert not tracemalloc.is_tracing(), "a test before this one left tracing on"
    yield
    was_on = tracemalloc.is_tracing()
    tracemalloc.stop()
    assert not was_on, "this test left tracing on"


def near(size_bytes):
    return pytest.approx(size_bytes, abs=NOISE)


def churn(size_bytes):
    """Allocate and free."""
    bytearray(size_bytes)


# What is measured


def test_a_block_knows_what_it_kept_its_peak_and_where():
    with memory_block("import") as block:
        churn(5 * MIB)
        kept = bytearray(2 * MIB)
        line = sys._getframe().f_lineno - 1
    result = block.result
    assert result.name == "import"
    assert result.allocated_bytes == near(2 * MIB)
    assert result.peak_bytes == near(5 * MIB)
    assert result.top[0].frame == (None, __file__, line)
    assert result.top[0].difference_bytes == near(2 * MIB)
    assert (result.exception, result.overlapped, result.interrupted) == (None, False, False)
    assert not result.tracing_was_on
    assert result.tracing_bytes > 0
    assert result.steps == 1
    assert len(kept) == 2 * MIB


def test_memory_that_a_block_frees_is_negative():
    tracemalloc.start()
    data = bytearray(2 * MIB)
    with memory_block() as block:
        del data
    tracemalloc.stop()
    assert block.result.allocated_bytes == near(-2 * MIB)
    assert block.result.peak_bytes == near(0)


def test_a_block_that_does_nothing_has_nothing_to_show():
    with memory_block() as block:
        pass
    assert abs(block.result.allocated_bytes) < KIB
    assert block.result.peak_bytes < KIB
    assert block.result.top == ()


def test_the_duration_is_the_clocks(monkeypatch):
    ticks = iter([10.0, 12.5])
    monkeypatch.setattr(measurement, "clock", lambda: next(ticks))
    with memory_block() as block:
        pass
    assert block.result.duration_seconds == 2.5


def test_the_lines_are_those_that_grew_most_and_none_of_ours():
    with memory_block(top=2) as block:
        kept = [bytearray(30 * KIB)]
        kept.append(bytearray(50 * KIB))
        kept.append(bytearray(40 * KIB))
        first = sys._getframe().f_lineno - 3
    rows = block.result.top
    assert [row.frame.line - first for row in rows] == [1, 2]
    with memory_block(top=1000) as outer:
        blocks = [memory_block(top=1000) for _ in range(10)]
        for block in blocks:
            with block:
                kept.append(bytearray(10))
    files = {row.frame.file for row in outer.result.top}
    assert __file__ in files
    assert not any("memlens/" in file or file == "<string>" for file in files)


def test_no_lines_are_listed_where_none_are_wanted():
    with memory_block(top=0) as block:
        kept = bytearray(MIB)
    assert block.result.top == ()
    assert block.result.allocated_bytes == near(len(kept))


def test_garbage_counts_unless_collecting_is_asked_for():
    class Cycle:
        def __init__(self):
            self.me = self
            self.data = bytearray(100 * KIB)

    gc.disable()
    try:
        with memory_block() as plain:
            Cycle()
        with memory_block(collect=True) as collected:
            Cycle()
    finally:
        gc.enable()
        gc.collect()
    assert plain.result.allocated_bytes == near(100 * KIB)
    assert collected.result.allocated_bytes == near(0)
    assert collected.result.peak_bytes == near(100 * KIB)


# Nesting


def test_the_peak_of_an_inner_block_is_part_of_the_outer_ones():
    with memory_block("outer") as outer:
        base = bytearray(3 * MIB)
        with memory_block("inner") as inner:
            churn(10 * MIB)
        del base
        churn(2 * MIB)
    assert inner.result.peak_bytes == near(10 * MIB)
    assert outer.result.peak_bytes == near(13 * MIB)
    assert outer.result.allocated_bytes == near(0)
    assert inner.result.tracing_was_on
    assert not outer.result.tracing_was_on


@pytest.mark.parametrize("top", [0, 5])
def test_a_peak_before_an_inner_block_is_not_lost_to_the_outer_one(top):
    with memory_block() as outer:
        churn(10 * MIB)
        with memory_block(top=top) as inner:
            churn(MIB)
        with memory_block(top=top) as second:
            churn(2 * MIB)
    assert inner.result.peak_bytes == near(MIB)
    assert second.result.peak_bytes == near(2 * MIB)
    assert outer.result.peak_bytes == near(10 * MIB)


def test_blocks_nest_in_functions_and_functions_in_blocks():
    @quiet
    def inner():
        churn(4 * MIB)
        return bytearray(MIB)

    @quiet
    def outer():
        with memory_block() as block:
            data = inner()
        blocks.append(block)
        churn(6 * MIB)
        return data

    blocks = []
    data = outer()
    assert inner.last_result.peak_bytes == near(4 * MIB)
    assert blocks[0].result.peak_bytes == near(4 * MIB)
    assert outer.last_result.peak_bytes == near(7 * MIB)
    assert outer.last_result.allocated_bytes == near(len(data))


def test_our_own_tables_are_not_in_the_peak_of_a_block_around():
    tracemalloc.start()
    code = "\n".join(f"kept.append([{n}, 'x{n}' * 2])" for n in range(3000))
    kept = []
    exec(compile(code, "/app/generated.py", "exec"), {"kept": kept})
    with memory_block(top=0) as outer:
        with memory_block(top=5):
            pass
        for _ in range(5):
            with memory_block(top=5):
                churn(MIB)
    tracemalloc.stop()
    # The table of the lines is some 700 KiB while an inner block runs.
    assert outer.result.peak_bytes == near(MIB)
    assert outer.result.allocated_bytes == near(0)


def test_one_object_can_be_used_again_and_within_itself():
    block = memory_block("again")
    with block:
        first = bytearray(MIB)
        with block:
            second = bytearray(2 * MIB)
        assert block.result.allocated_bytes == near(2 * MIB)
    assert block.result.allocated_bytes == near(3 * MIB)
    with block:
        pass
    assert block.result.allocated_bytes == near(0)
    assert len(first) + len(second) == 3 * MIB


def test_of_a_recursive_function_the_outermost_call_is_reported():
    results = []

    @profile_memory(report=results.append)
    def descend(depth):
        data = bytearray(MIB)
        if depth:
            descend(depth - 1)
        return len(data)

    assert descend(4) == MIB
    assert len(results) == 1
    assert results[0].peak_bytes == near(5 * MIB)
    assert results[0].allocated_bytes == near(0)
    descend(0)
    assert len(results) == 2


def test_functions_that_call_each_other_are_both_reported():
    @quiet
    def even(n):
        data = bytearray(MIB)
        return odd(n - 1) if n else len(data) > 0

    @quiet
    def odd(n):
        return even(n - 1) if n else False

    assert even(4)
    assert even.last_result.peak_bytes == near(3 * MIB)
    assert odd.last_result.peak_bytes == near(2 * MIB)


def test_blocks_that_end_out_of_order_are_flagged_and_both_measured():
    first, second = memory_block("first"), memory_block("second")
    first.__enter__()
    data = bytearray(MIB)
    second.__enter__()
    churn(3 * MIB)
    first.__exit__(None, None, None)
    churn(5 * MIB)
    second.__exit__(None, None, None)
    assert first.result.peak_bytes == near(4 * MIB)
    assert second.result.peak_bytes == near(5 * MIB)
    assert first.result.overlapped
    assert second.result.overlapped
    assert len(data) == MIB


# Threads


def test_blocks_of_several_threads_that_overlap_are_flagged():
    both_inside, results = threading.Barrier(2), []

    @profile_memory(report=results.append)
    def work():
        both_inside.wait()
        data = bytearray(MIB)
        both_inside.wait()
        return data

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.overlapped for result in results] == [True, True]
    assert all(result.peak_bytes >= MIB for result in results)
    assert "other measured blocks ran at the same time" in str(results[0])


def test_a_peak_in_one_thread_is_not_lost_when_a_block_begins_in_another():
    inside, go_on = threading.Event(), threading.Event()
    long, short = memory_block("long"), memory_block("short")

    def work():
        with long:
            churn(10 * MIB)
            inside.set()
            go_on.wait()

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    with short:
        churn(MIB)
    go_on.set()
    thread.join()
    assert long.result.peak_bytes == near(10 * MIB)
    assert short.result.peak_bytes == near(MIB)
    assert long.result.overlapped
    assert short.result.overlapped


def test_a_peak_in_one_thread_is_not_lost_while_the_lines_of_another_are_read(monkeypatch):
    inside, reading, churned, go_on = (threading.Event() for _ in range(4))
    long, short = memory_block("long"), memory_block("short")

    def work():
        with long:
            inside.set()
            reading.wait()
            churn(10 * MIB)
            churned.set()
            go_on.wait()

    def read_while_the_other_churns():
        reading.set()
        churned.wait()
        return []

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    with monkeypatch.context() as patch:
        patch.setattr(measurement, "read_traces", read_while_the_other_churns)
        short.__enter__()
    short.__exit__(None, None, None)
    go_on.set()
    thread.join()
    assert long.result.peak_bytes == near(10 * MIB)
    assert short.result.peak_bytes == near(0)


def test_threads_that_share_one_object_end_their_own_run_of_it():
    results = []
    first_inside, second_inside, first_done = (threading.Event() for _ in range(3))
    shared = memory_block("shared", report=results.append)

    def first():
        with shared:
            kept = bytearray(3 * MIB)
            first_inside.set()
            second_inside.wait()
            del kept
        first_done.set()

    def second():
        first_inside.wait()
        with shared:
            second_inside.set()
            first_done.wait()

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The first began before its memory was there, the second after.
    assert [result.peak_bytes for result in results] == [near(3 * MIB), near(0)]


def test_blocks_of_threads_one_after_the_other_do_not_overlap():
    results = []

    @profile_memory(report=results.append)
    def work():
        churn(MIB)

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [result.overlapped for result in results] == [False] * 3
    assert all(result.peak_bytes == near(MIB) for result in results)


def test_many_threads_leave_nothing_behind():
    barrier, results = threading.Barrier(8), []

    @profile_memory(report=results.append, top=1)
    def work(depth):
        churn(KIB)
        return depth and work(depth - 1)

    def run():
        barrier.wait()
        for _ in range(20):
            work(3)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 160
    assert not tracemalloc.is_tracing()


# Exceptions


def test_an_exception_passes_unchanged_and_is_named():
    error = KeyError("missing")

    @quiet
    def fail():
        churn(MIB)
        raise error

    with pytest.raises(KeyError) as caught:
        fail()
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    assert fail.last_result.exception == "KeyError"
    assert fail.last_result.peak_bytes == near(MIB)
    with pytest.raises(KeyError), memory_block() as block:
        raise error
    assert block.result.exception == "KeyError"
    assert ", raised KeyError" in str(block.result)


def test_sys_exit_passes_too():
    with pytest.raises(SystemExit), memory_block() as block:
        sys.exit(3)
    assert block.result.exception == "SystemExit"


def test_a_result_keeps_neither_the_exception_nor_anything_of_the_call_alive():
    class Thing:
        pass

    @quiet
    def use(thing, fail):
        if fail:
            raise ValueError(thing)
        return thing

    gc.disable()  # references alone must free it all
    try:
        for fail in (False, True):
            thing = Thing()
            gone = weakref.ref(thing)
            with contextlib.suppress(ValueError):
                use(thing, fail)
            del thing
            assert gone() is None
    finally:
        gc.enable()


def test_a_decorated_function_is_freed_when_it_is_dropped():
    def make():
        data = bytearray(10)

        @quiet
        def use():
            return data

        use()
        return use

    gc.disable()
    try:
        use = make()
        gone = weakref.ref(use)
        del use
        assert gone() is None
    finally:
        gc.enable()


# Coroutines, generators, async generators


def test_a_coroutine_is_measured_while_its_own_code_runs():
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
    assert asyncio.iscoroutinefunction(keep)
    assert keep.last_result.allocated_bytes == near(4 * MIB)
    assert keep.last_result.peak_bytes == near(12 * MIB)
    assert keep.last_result.steps == 3
    assert not keep.last_result.overlapped


def test_each_of_several_tasks_has_its_own_numbers():
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


def test_a_coroutine_that_awaits_itself_is_reported_once():
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


def test_a_cancelled_coroutine_is_reported_as_such():
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


def test_a_block_can_be_an_async_context_manager():
    async def main():
        async with memory_block("async") as block:
            data = bytearray(MIB)
            await asyncio.sleep(0)
        return block, data

    block, data = asyncio.run(main())
    assert block.result.allocated_bytes == near(len(data))


def test_a_generator_is_measured_while_its_own_code_runs():
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
    assert result.allocated_bytes == near(MIB)  # its return value was still there
    assert result.steps == 3
    assert "lines include what other code allocated" in str(result)


def test_a_generator_behaves_as_if_it_were_not_measured():
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


def test_a_generator_that_is_not_finished_is_reported_when_it_is_closed():
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


def test_a_generator_is_measured_while_it_is_closed():
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


def test_a_generator_counts_only_if_it_was_started_and_also_if_it_is_dropped():
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


def test_a_recursive_generator_is_reported_once():
    results = []

    @profile_memory(report=results.append)
    def walk(depth):
        yield depth
        if depth:
            yield from walk(depth - 1)

    assert list(walk(3)) == [3, 2, 1, 0]
    assert len(results) == 1


def test_what_a_generator_yields_and_receives_is_not_kept_alive():
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


def test_an_exception_thrown_in_is_freed_by_references_alone():
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


def test_a_generator_drops_its_arguments_when_it_likes():
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


def test_an_async_generator_behaves_as_if_it_were_not_measured():
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


def test_an_async_generator_is_measured_while_its_own_code_runs():
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


def test_a_generator_based_coroutine_can_still_be_awaited():
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


# What a decorated function still is


def function(a, b: int = 2, *, c=3):
    """A function."""
    return a, b, c


async def coroutine_function(a):
    """A coroutine."""


def generator_function(a):
    """A generator."""
    yield a


async def async_generator_function(a):
    """An async generator."""
    yield a


@pytest.mark.parametrize(
    "original",
    [function, coroutine_function, generator_function, async_generator_function],
)
def test_kind_name_and_signature_are_those_of_the_function(original):
    wrapper = quiet(original)
    for asks in (
        inspect.isfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction,
    ):
        assert asks(wrapper) == asks(original)
        partial = functools.partial(original, 1)
        assert asks(quiet(partial)) == asks(partial) or asks is inspect.isfunction
    assert inspect.signature(wrapper) == inspect.signature(original)
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(wrapper, name) == getattr(original, name)
    assert wrapper.__wrapped__ is original
    assert wrapper.last_result is None


@quiet
def picklable():
    return 5


def test_a_decorated_function_can_still_be_pickled():
    assert pickle.loads(pickle.dumps(picklable)) is picklable


def test_return_values_pass_unchanged():
    value = object()
    assert quiet(lambda: value)() is value
    assert quiet(function)(1, c=5) == (1, 2, 5)


def test_methods_of_every_kind_can_be_decorated():
    class Loader:
        @quiet
        def method(self, size):
            return bytearray(size)

        @quiet
        @classmethod
        def above_class(cls, size):
            return cls, bytearray(size)

        @classmethod
        @quiet
        def below_class(cls, size):
            return cls, bytearray(size)

        @quiet
        @staticmethod
        def above_static(size):
            return bytearray(size)

        @staticmethod
        @quiet
        def below_static(size):
            return bytearray(size)

        @property
        @quiet
        def prop(self):
            return bytearray(MIB)

    loader = Loader()
    kept = [
        loader.method(MIB),
        loader.above_class(MIB),
        Loader.below_class(MIB),
        loader.above_static(MIB),
        Loader.below_static(MIB),
        loader.prop,
    ]
    assert kept[1][0] is kept[2][0] is Loader
    for name in ("method", "above_class", "below_class", "above_static", "below_static"):
        assert getattr(loader, name).last_result.allocated_bytes == near(MIB)
        assert getattr(loader, name).last_result.name.endswith(f"Loader.{name}")


def test_an_object_that_can_be_called_can_be_decorated():
    class Call:
        def __call__(self, size):
            return bytearray(size)

    call = quiet(Call())
    data = call(MIB)
    assert call.last_result.allocated_bytes == near(len(data))
    assert quiet(len)("abc") == 3


@pytest.mark.parametrize("thing", [5, "name", property(len), int, None.__class__])
def test_what_is_no_function_cannot_be_decorated(thing):
    with pytest.raises(OptionError, match="only functions and methods can be profiled"):
        quiet(thing) if callable(thing) else quiet()(thing)


# Tracing is left as it was found


def test_tracing_of_the_application_stays_on_with_its_depth_and_its_peak():
    tracemalloc.start(3)
    churn(20 * MIB)
    known_peak = tracemalloc.get_traced_memory()[1]
    for _ in range(3):
        with memory_block() as block:
            churn(MIB)
            with memory_block():
                churn(2 * MIB)
    assert block.result.peak_bytes == near(2 * MIB)
    assert block.result.tracing_was_on
    assert tracemalloc.is_tracing()
    assert tracemalloc.get_traceback_limit() == 3
    assert tracemalloc.get_traced_memory()[1] == pytest.approx(known_peak, abs=NOISE)
    with memory_block():
        churn(30 * MIB)
    assert tracemalloc.get_traced_memory()[1] >= 30 * MIB
    tracemalloc.stop()


def test_the_peak_of_the_application_stays_between_the_steps_of_a_generator():
    tracemalloc.start()
    churn(20 * MIB)

    @quiet
    def produce():
        churn(MIB)
        yield tracemalloc.get_traced_memory()[1]
        churn(2 * MIB)

    generator = produce()
    assert next(generator) < 20 * MIB
    assert tracemalloc.get_traced_memory()[1] >= 20 * MIB
    assert list(generator) == []
    assert tracemalloc.get_traced_memory()[1] >= 20 * MIB
    tracemalloc.stop()


def test_tracing_that_is_switched_off_inside_is_noted_and_nothing_fails():
    with memory_block("outer") as outer:
        data = bytearray(MIB)
        with memory_block("inner") as inner:
            churn(2 * MIB)
            tracemalloc.stop()
        with memory_block("next") as after:
            kept = bytearray(MIB)
    assert inner.result.interrupted
    assert outer.result.interrupted
    assert not after.result.interrupted
    assert after.result.allocated_bytes == near(len(kept))
    assert "switched off" in str(inner.result)
    assert inner.result.top == ()
    assert len(data) == MIB
    assert not tracemalloc.is_tracing()


def test_tracing_that_is_restarted_inside_is_noted_and_left_on():
    with memory_block() as block:
        tracemalloc.stop()
        tracemalloc.start(9)
        churn(MIB)
    assert block.result.interrupted
    assert tracemalloc.get_traceback_limit() == 9
    tracemalloc.stop()


def test_a_generator_whose_tracing_is_switched_off_between_its_steps_goes_on():
    @quiet
    def produce():
        yield bytearray(MIB)
        tracemalloc.stop()
        yield 2
        yield 3

    assert [item for item in produce() if type(item) is int] == [2, 3]
    assert produce.last_result.interrupted


def test_a_thousand_runs_leave_everything_as_it_was():
    @quiet
    def work():
        return None

    work()
    threads, collecting = threading.active_count(), (gc.isenabled(), gc.get_threshold())
    references = sys.getrefcount(work)
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(1000):
        work()
        with memory_block(collect=False):
            pass
    gc.collect()
    assert abs(len(gc.get_objects()) - objects) < 50
    assert not tracemalloc.is_tracing()
    assert threading.active_count() == threads
    assert (gc.isenabled(), gc.get_threshold()) == collecting
    assert sys.getrefcount(work) == references


def test_a_table_that_does_not_fit_into_memory_does_not_disturb_the_program(monkeypatch, caplog):
    @quiet
    def work():
        return bytearray(MIB)

    def fail():
        raise MemoryError

    monkeypatch.setattr(measurement, "read_traces", fail)
    data = work()
    assert work.last_result.allocated_bytes == near(len(data))
    assert work.last_result.top == ()
    assert "too little memory" in caplog.text


# Where the result goes


def test_a_decorated_function_prints_its_report_to_stderr(capsys):
    @profile_memory
    def load():
        return bytearray(MIB)

    load()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"{load.last_result}\n"
    assert "load: +1.00 MiB kept" in printed.err


def test_a_block_prints_nothing(capsys):
    with memory_block():
        pass
    assert capsys.readouterr() == ("", "")


def test_a_report_goes_to_a_function_a_stream_or_a_logger(caplog):
    results, stream = [], io.StringIO()
    with memory_block("100 %s", report=results.append) as block:
        pass
    assert results == [block.result]
    with memory_block("100 %s", report=stream) as block:
        pass
    assert stream.getvalue() == f"{block.result}\n"
    with (
        caplog.at_level(logging.INFO, "app"),
        memory_block("100 %s", report=logging.getLogger("app")) as block,
    ):
        pass
    assert [(r.name, r.getMessage()) for r in caplog.records] == [("app", str(block.result))]


def test_a_process_without_stderr_runs_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert profile_memory(lambda: 5)() == 5


def test_a_report_that_fails_is_logged_and_does_not_disturb(caplog):
    @profile_memory(report=lambda result: 1 / 0)
    def load():
        return 5

    assert load() == 5
    assert load.last_result is not None
    assert "the report of" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_one_block_can_decorate_several_functions():
    block = memory_block("shared")
    first, second = block(lambda: bytearray(MIB)), block(lambda: None)
    data = first()
    second()
    assert first.last_result.allocated_bytes == near(len(data))
    assert second.last_result.allocated_bytes == near(0)
    assert first.last_result.name == second.last_result.name == "shared"


def test_a_block_without_a_result_yet_says_so():
    block = memory_block("later")
    with pytest.raises(TracingError, match="'later' has no result yet"):
        _ = block.result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": -1}, "top must be a whole number, 0 or more"),
        ({"frames": 0}, "frames must be a whole number, 1 to 65535"),
        ({"collect": 1}, "collect must be True or False"),
        ({"report": 5}, "report must be a function"),
        ({"report": "stdout"}, "report must be a function"),
        ({"name": 5}, "name must be text"),
    ],
)
def test_bad_options_are_told_of_at_once(options, message):
    with pytest.raises(OptionError, match=message):
        memory_block(**options)
    with pytest.raises(OptionError, match=message):
        profile_memory(**options)


def test_a_result_is_text_of_at_most_100_columns_and_plain_values():
    with memory_block("long name " * 30) as block:
        kept = bytearray(MIB)
    result = block.result
    lines = str(result).splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert "+1.00 MiB kept, 1.00 MiB at the peak, in " in lines[0]
    assert lines[1].split() == ["growth", "new", "blocks", "where"]
    assert __file__[-40:] in lines[2]
    plain = result.to_dict()
    assert plain["allocated_bytes"] == result.allocated_bytes
    assert plain["top"][0]["difference_bytes"] == result.top[0].difference_bytes
    assert set(plain) == {*BlockResult._fields, "notes"}
    assert pickle.loads(pickle.dumps(result)) == result
    with pytest.raises(AttributeError):
        result.name = "other"
    assert len(kept) == MIB


def test_importing_the_decorators_is_light():
    # Without the package's own __init__, which imports the other instruments too.
    heavy = ["inspect", "asyncio", "tracemalloc", "pickle", "hashlib", "ctypes", "logging"]
    script = f"""
import sys, types
package = types.ModuleType("memlens")
package.__path__ = [{os.path.dirname(decorators.__file__)!r}]
sys.modules["memlens"] = package
before = set(sys.modules)
import memlens.decorators
print([name for name in {heavy} if name in set(sys.modules) - before])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
