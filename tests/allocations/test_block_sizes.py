"""Sizes, peaks and lines of measured blocks, nested ones included."""

import gc
import sys
import tracemalloc

import pytest

from memlens.allocations.blocks import measurement
from memlens.decorators import memory_block, profile_memory
from tests.allocations.measured import KIB, MIB, churn, near, quiet


def test_result_has_kept_memory_peak_and_line():
    with memory_block("import") as block:
        churn(5 * MIB)
        kept = bytearray(2 * MIB)
        line = sys._getframe().f_lineno - 1
    result = block.result
    assert result.name == "import"
    assert result.allocated_bytes == near(2 * MIB)
    assert result.peak_bytes == near(5 * MIB)
    assert result.lines[0].frame == (None, __file__, line)
    assert result.lines[0].difference_bytes == near(2 * MIB)
    assert (result.exception, result.overlapped, result.interrupted) == (None, False, False)
    assert not result.tracing_was_on
    assert result.tracing_bytes > 0
    assert result.steps == 1
    assert len(kept) == 2 * MIB


def test_freed_memory_is_negative():
    tracemalloc.start()
    data = bytearray(2 * MIB)
    with memory_block() as block:
        del data
    tracemalloc.stop()
    assert block.result.allocated_bytes == near(-2 * MIB)
    assert block.result.peak_bytes == near(0)


def test_empty_block_has_no_lines():
    with memory_block() as block:
        pass
    assert abs(block.result.allocated_bytes) < KIB
    assert block.result.peak_bytes < KIB
    assert block.result.lines == ()


def test_duration_comes_from_the_clock(monkeypatch):
    ticks = iter([10.0, 12.5])
    monkeypatch.setattr(measurement, "clock", lambda: next(ticks))
    with memory_block() as block:
        pass
    assert block.result.duration_seconds == 2.5


def test_lines_grew_most_and_none_is_of_memlens():
    with memory_block(limit=2) as block:
        kept = [bytearray(30 * KIB)]
        kept.append(bytearray(50 * KIB))
        kept.append(bytearray(40 * KIB))
        first = sys._getframe().f_lineno - 3
    rows = block.result.lines
    assert [row.frame.line - first for row in rows] == [1, 2]
    with memory_block(limit=1000) as outer:
        blocks = [memory_block(limit=1000) for _ in range(10)]
        for block in blocks:
            with block:
                kept.append(bytearray(10))
    files = {row.frame.file for row in outer.result.lines}
    assert __file__ in files
    assert not any("memlens/" in file or file == "<string>" for file in files)


def test_limit_zero_lists_no_lines():
    with memory_block(limit=0) as block:
        kept = bytearray(MIB)
    assert block.result.lines == ()
    assert block.result.allocated_bytes == near(len(kept))


def test_garbage_counts_unless_collect_is_true():
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


def test_peak_of_an_inner_block_counts_in_the_outer_block():
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


@pytest.mark.parametrize("limit", [0, 5])
def test_outer_block_keeps_its_peak_before_an_inner_block(limit):
    with memory_block() as outer:
        churn(10 * MIB)
        with memory_block(limit=limit) as inner:
            churn(MIB)
        with memory_block(limit=limit) as second:
            churn(2 * MIB)
    assert inner.result.peak_bytes == near(MIB)
    assert second.result.peak_bytes == near(2 * MIB)
    assert outer.result.peak_bytes == near(10 * MIB)


def test_blocks_and_functions_nest():
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


def test_tables_of_an_inner_block_are_not_in_the_peak_of_the_outer_block():
    tracemalloc.start()
    code = "\n".join(f"kept.append([{n}, 'x{n}' * 2])" for n in range(3000))
    kept = []
    exec(compile(code, "/app/generated.py", "exec"), {"kept": kept})
    with memory_block(limit=0) as outer:
        with memory_block(limit=5):
            pass
        for _ in range(5):
            with memory_block(limit=5):
                churn(MIB)
    tracemalloc.stop()
    # The table of lines takes about 700 KiB while an inner block runs.
    assert outer.result.peak_bytes == near(MIB)
    assert outer.result.allocated_bytes == near(0)


def test_memory_block_is_reusable_and_nests_in_itself():
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


def test_recursive_function_reports_its_outermost_call():
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


def test_blocks_that_end_out_of_order_are_overlapped_and_both_measured():
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
