"""BlockMeasurement: the measurement of one run of a block."""

from __future__ import annotations

import gc
import sys
import time
from sys import getsizeof

from memlens._frame import CallPath, Frame, is_program_file
from memlens._log import WARNING, log_event
from memlens.allocations.blocks.result import BlockResult
from memlens.allocations.blocks.running_blocks import RunningBlock, running_blocks
from memlens.allocations.tracing.filters import is_tracing_file
from memlens.allocations.tracing.ownership import acquire_tracing
from memlens.allocations.tracing.trace_table import TraceDifference
from memlens.allocations.tracing.traces import RawFrame, read_traces, sizes_by
from memlens.errors import TracingError

__all__ = ("BlockMeasurement",)

clock = time.perf_counter

_RawPath = tuple[RawFrame, ...]  # innermost first
_LineSizes = dict[RawFrame, list[int]]  # bytes and blocks by the line of the program
_LineTable = dict[_RawPath, list[int]]  # bytes and blocks of each call path


class BlockMeasurement:
    """Measures one run of a block: create it at the start, enter it for each step, then `finish`.

    A function call has one step. A generator or coroutine has a step each time it is resumed; what
    the program does between the steps is not counted. Tracing is on until `finish`. ``key``
    identifies the measured function, to recognise recursive calls. ``home_file``: lines of this file
    come first; what other code allocates for them belongs to the innermost of them in the call path.
    """

    def __init__(
        self,
        name: str,
        *,
        limit: int,
        frames: int,
        collect: bool,
        key: object = None,
        home_file: str | None = None,
    ) -> None:
        self._home_file = home_file
        self._name = name
        self._limit = limit
        self._collect = collect
        if collect:
            gc.collect()
        self._lease = acquire_tracing(frames)
        self._block = RunningBlock(self._lease, key)
        self._steps = 0
        self._lines: _LineTable = {}
        self._lines_bytes = 0
        if limit and self._lease.was_on:
            self._read_lines()
        self._started = self._ended = clock()

    def __enter__(self) -> None:
        self._steps += 1
        if not sys.is_finalizing():  # else tracing cannot be asked any more
            running_blocks.enter(self._block)

    def __exit__(self, *_: object) -> None:
        if not sys.is_finalizing():
            running_blocks.leave(self._block)
        self._ended = clock()

    def finish(self, exception: type[BaseException] | None = None) -> BlockResult:
        """End the block after its last step: release tracing and return the result."""
        import tracemalloc

        duration_seconds = self._ended - self._started
        steps = self._steps
        try:
            if self._collect:
                with self:
                    gc.collect()
            lines = self._growth() if self._limit else ()
            tracing_bytes = tracemalloc.get_tracemalloc_memory()
        finally:
            self._lease.release()
        return BlockResult(
            name=self._name,
            allocated_bytes=self._block.net_bytes,
            peak_bytes=self._block.peak_bytes,
            duration_seconds=duration_seconds,
            lines=lines,
            overlapped=self._block.overlapped,
            interrupted=self._block.interrupted,
            tracing_was_on=self._lease.was_on,
            tracing_bytes=tracing_bytes,
            exception=None if exception is None else exception.__name__,
            steps=steps,
        )

    def _read_lines(self) -> None:
        running_blocks.checkpoint()
        try:
            self._lines = _sum_by_path()
            self._lines_bytes = _traced_size(self._lines)
        finally:
            running_blocks.settle(self._lines_bytes)

    def _growth(self) -> tuple[TraceDifference, ...]:
        running_blocks.checkpoint()
        try:
            if self._block.interrupted:
                return ()
            return _largest_growth(self._lines, _sum_by_path(), self._limit, self._home_file)
        except TracingError:  # another thread has just stopped tracing
            self._block.interrupted = True
            return ()
        except MemoryError:
            # There is too little memory to list every block. The sizes are known, and our table
            # must not make the program fail.
            _warn_of_memory(self._name)
            return ()
        finally:
            self._lines = {}
            running_blocks.settle(-self._lines_bytes)


def _warn_of_memory(name: str) -> None:
    message = f"{name}: not enough memory to list its lines"
    log_event(WARNING, "block_lines_missing", message, block=name)


def _sum_by_path() -> _LineTable:
    # The keys are tuples that tracemalloc made, so that they are not traced.
    sizes = sizes_by((trace[2], trace[1]) for trace in read_traces())
    # Lists, not tuples: after the table is dropped, thousands of tuples would stay in the free list
    # of the interpreter and look like memory that the program keeps.
    return {path: [sum(blocks), len(blocks)] for path, blocks in sizes.items()}


def _traced_size(lines: _LineTable) -> int:
    # Without the keys: tracemalloc does not trace the tuples that it creates.
    return getsizeof(lines) + sum(
        getsizeof(sums) + sum(getsizeof(number) for number in sums if number > 256)
        for sums in lines.values()
    )


def _largest_growth(
    before: _LineTable, after: _LineTable, limit: int, home_file: str | None
) -> tuple[TraceDifference, ...]:
    old, new = _by_place(before, home_file), _by_place(after, home_file)
    grown = []
    for line, callers in new.items():
        if is_tracing_file(line[0]):
            continue
        for caller, (size, count) in callers.items():
            old_size, old_count = old.get(line, {}).get(caller, (0, 0))
            if size > old_size:
                grown.append((old_size - size, line, caller, old_size, old_count, count))
    grown.sort()
    return tuple(
        TraceDifference(_call_path(line, caller), old_size, old_size - shrinkage, old_count, count)
        for shrinkage, line, caller, old_size, old_count, count in grown[:limit]
    )


def _by_place(table: _LineTable, home_file: str | None) -> dict[RawFrame, _LineSizes]:
    """Add up call paths by the line that allocated and by the program's line, which may be the same.

    As in `_sum_by_path`, no tuples are made.
    """
    is_own: dict[str, bool] = {}
    found: dict[RawFrame, _LineSizes] = {}
    for path, (size, count) in table.items():
        for file, _ in path:
            if file not in is_own:
                is_own[file] = is_program_file(file)
        home = next((frame for frame in path if frame[0] == home_file), None)
        caller = home or next((frame for frame in path if is_own[frame[0]]), path[0])
        sums = found.setdefault(path[0], {}).setdefault(caller, [0, 0])
        sums[0] += size
        sums[1] += count
    return found


def _call_path(line: RawFrame, caller: RawFrame) -> CallPath:
    return (Frame(None, *line),) if caller == line else (Frame(None, *caller), Frame(None, *line))
