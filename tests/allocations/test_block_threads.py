"""Measured blocks in several threads, and blocks that end with an exception."""

import contextlib
import gc
import sys
import threading
import tracemalloc
import weakref

import pytest

from memlens.allocations.blocks import measurement
from memlens.decorators import memory_block, profile_memory
from tests.allocations.measured import KIB, MIB, churn, near, quiet


def test_blocks_of_threads_at_the_same_time_are_overlapped():
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


def test_peak_stays_when_a_block_starts_in_another_thread():
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


def test_peak_is_recorded_while_another_thread_reads_its_lines(monkeypatch):
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


def test_threads_that_share_a_memory_block_end_their_own_run():
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
    # The first block started before the memory was allocated, the second one after.
    assert [result.peak_bytes for result in results] == [near(3 * MIB), near(0)]


def test_blocks_of_threads_in_sequence_do_not_overlap():
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


def test_many_threads_leave_no_running_blocks():
    barrier, results = threading.Barrier(8), []

    @profile_memory(report=results.append, limit=1)
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


def test_exception_passes_unchanged_and_is_named():
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


def test_sys_exit_passes():
    with pytest.raises(SystemExit), memory_block() as block:
        sys.exit(3)
    assert block.result.exception == "SystemExit"


def test_result_keeps_neither_exception_nor_arguments_alive():
    class Thing:
        pass

    @quiet
    def use(thing, fail):
        if fail:
            raise ValueError(thing)
        return thing

    gc.disable()  # everything must be freed by reference counts alone
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


def test_decorated_function_is_freed_without_garbage_collection():
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
