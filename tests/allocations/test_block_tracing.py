"""Measured blocks leave tracing, its depth and its peak in their previous state."""

import gc
import sys
import threading
import tracemalloc

import pytest

from memlens.allocations.blocks import measurement
from memlens.decorators import memory_block
from tests.allocations.measured import MIB, NOISE, churn, near, quiet


def test_tracing_of_the_application_stays_on_with_its_depth_and_peak():
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


def test_peak_of_the_application_stays_between_generator_steps():
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


def test_block_is_interrupted_if_tracing_is_stopped_inside():
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
    assert "stopped tracing" in str(inner.result)
    assert inner.result.lines == ()
    assert len(data) == MIB
    assert not tracemalloc.is_tracing()


def test_block_is_interrupted_if_tracing_is_restarted_inside():
    with memory_block() as block:
        tracemalloc.stop()
        tracemalloc.start(9)
        churn(MIB)
    assert block.result.interrupted
    assert tracemalloc.get_traceback_limit() == 9
    tracemalloc.stop()


def test_generator_continues_after_tracing_was_stopped_between_steps():
    @quiet
    def produce():
        yield bytearray(MIB)
        tracemalloc.stop()
        yield 2
        yield 3

    assert [item for item in produce() if type(item) is int] == [2, 3]
    assert produce.last_result.interrupted


def test_a_thousand_runs_leave_no_trace():
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


def test_memory_error_while_listing_lines_does_not_reach_the_program(monkeypatch, caplog):
    @quiet
    def work():
        return bytearray(MIB)

    def fail():
        raise MemoryError

    monkeypatch.setattr(measurement, "read_traces", fail)
    data = work()
    assert work.last_result.allocated_bytes == near(len(data))
    assert work.last_result.lines == ()
    assert "not enough memory" in caplog.text
