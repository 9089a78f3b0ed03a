"""MemoryBlock: measures a block of code or the calls of a function, as a decorator or a context.

Tracing is on while a block runs, which makes allocations about ten times slower
(`benchmarks/sampler_overhead.py`). Afterwards it is left in its previous state.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

from memlens._log import ERROR, log_event
from memlens._options import check_boolean, check_integer, check_text
from memlens.allocations.blocks.measurement import BlockMeasurement
from memlens.allocations.blocks.result import BlockResult
from memlens.allocations.blocks.running_blocks import running_blocks
from memlens.allocations.blocks.wrapping import measured_function
from memlens.allocations.options import MAX_FRAMES
from memlens.errors import OptionError, TracingError

__all__ = ("DEFAULT_FRAMES", "MemoryBlock", "Report")

DEFAULT_FRAMES = 6  # pandas, json and the like are rarely deeper when they allocate

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _TextStream(Protocol):
    def write(self, text: str, /) -> object: ...


class _Logger(Protocol):
    def info(self, message: str, /) -> object: ...


Report = Callable[[BlockResult], object] | _Logger | _TextStream | Literal["stderr"] | None


class MemoryBlock:
    """Measures a block of code (``with``, ``async with``) or each call of a function (``@``).

    - ``limit``: the number of lines to list, those that grew most. 0 lists none, which is faster if
      much memory is traced.
    - ``frames``: the number of frames that a trace keeps if tracing starts here. Of what a library
      allocates, the line of the program that called it is found among them. Each frame makes
      allocations slower: 1 is three times as fast as 8.
    - ``report``: the destination of each `BlockResult`: a function to call, a logger (level INFO),
      a text stream, ``"stderr"`` (``sys.stderr`` at that time), or None.
    - ``collect``: collect garbage before and after, so that garbage does not count.

    Exceptions pass through unchanged and are named in the result. If a report fails, the error is
    logged by the logger ``memlens`` and the program continues.

    As a decorator it measures each call separately, in any number of threads and tasks. Of a
    recursive function only the outermost call is measured. A generator or coroutine is measured
    while its own code runs, from each resume to the next suspend, and reported when it ends.
    Tracing is on until then, and its ``lines`` show the growth of the whole process. The attribute
    ``last_result`` of a decorated function is its newest result (None before the first). The
    wrapper has the kind, name and signature of the function.

    As a context manager it measures the time from entry to exit. The object can be reused, nested
    and shared by threads. Tasks that interleave in one thread need one object each.

    Raises ``OptionError`` for an option of the wrong type or out of range.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        limit: int = 5,
        frames: int = DEFAULT_FRAMES,
        report: Report = None,
        collect: bool = False,
    ) -> None:
        if name is not None:
            check_text("name", name)
        self.name = name
        self.limit = check_integer("limit", limit, 0)
        self.frames = check_integer("frames", frames, 1, MAX_FRAMES)
        self.collect = check_boolean("collect", collect)
        self.report = report
        self._deliver = _delivery(report)
        self._entered: list[tuple[int, BlockMeasurement]] = []
        self._result: BlockResult | None = None

    @property
    def result(self) -> BlockResult:
        """The result of the last run that ended.

        Raises ``TracingError`` if no run has ended yet.
        """
        if self._result is None:
            raise TracingError(
                f"the block {self.name or 'block'!r} has no result yet: read it after the with"
                " statement (a decorated function has its own, function.last_result)"
            )
        return self._result

    def __call__(self, function: _Function) -> _Function:
        """Return a wrapper of ``function`` that measures each call."""
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        if isinstance(function, type) or not callable(function):
            raise OptionError(
                f"only functions and methods can be measured; got {function!r}"
                " (put the decorator below @property, and on the methods of a class)"
            )
        calls = _MeasuredCalls(self, function)
        wrapper = measured_function(function, calls)
        calls.attributes = wrapper.__dict__
        calls.attributes["last_result"] = None
        return wrapper  # type: ignore[return-value]

    def __enter__(self) -> MemoryBlock:
        measurement = self._begin(self.name or "block", None)
        self._entered.append((threading.get_ident(), measurement))
        measurement.__enter__()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        measurement = self._last_entered()
        measurement.__exit__()
        self._result = measurement.finish(error)
        self._report(self._result)

    def __repr__(self) -> str:
        return f"<MemoryBlock {self.name or 'block'!r}: limit={self.limit}, frames={self.frames}>"

    async def __aenter__(self) -> MemoryBlock:
        return self.__enter__()

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.__exit__(error)

    def _begin(self, name: str, key: object) -> BlockMeasurement:
        return BlockMeasurement(
            name, limit=self.limit, frames=self.frames, collect=self.collect, key=key
        )

    def _report(self, result: BlockResult) -> None:
        try:
            self._deliver(result)
        except Exception as error:  # noqa: BLE001 - a failing report must not change the program
            log_event(
                ERROR,
                "block_report_failed",
                f"the report of {result.name} failed",
                exception=error,
                block=result.name,
                error=type(error).__name__,
            )

    def _last_entered(self) -> BlockMeasurement:
        # Each change of the list is one atomic operation, so threads can share it.
        thread = threading.get_ident()
        for entry in reversed(tuple(self._entered)):
            if entry[0] == thread:
                self._entered.remove(entry)
                return entry[1]
        return self._entered.pop()[1]  # the block was entered in another thread


class _MeasuredCalls:
    """Measures the calls of one decorated function."""

    def __init__(self, block: MemoryBlock, function: Callable[..., Any]) -> None:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        self._name: str = block.name or name
        self._block = block
        self._function = function
        # The attributes of the wrapper. A reference to the wrapper itself would form a cycle, and a
        # decorated closure would live until the next garbage collection.
        self.attributes: dict[str, Any] = {}

    def begin(self) -> BlockMeasurement | None:
        if sys.is_finalizing():
            return None  # nothing can be measured any more
        if running_blocks.is_running(self._function):
            return None  # a recursive call is part of the outermost one
        return self._block._begin(self._name, self._function)

    def end(self, measurement: BlockMeasurement, error: type[BaseException] | None) -> None:
        if sys.is_finalizing():
            return
        result = measurement.finish(error)
        self.attributes["last_result"] = result
        self._block._report(result)


def _delivery(report: Any) -> Callable[[BlockResult], object]:
    if report is None:
        return _discard
    if report == "stderr":
        return _print_to_stderr
    if hasattr(report, "info"):
        return lambda result: report.info(str(result))
    if hasattr(report, "write"):
        return lambda result: report.write(f"{result}\n")
    if callable(report):
        return report  # type: ignore[no-any-return]
    raise OptionError(
        f"report must be a function, a logger, a text stream, 'stderr' or None; got {report!r}"
    )


def _discard(result: BlockResult) -> None:
    pass


def _print_to_stderr(result: BlockResult) -> None:
    if sys.stderr is not None:  # None in a process without a console
        sys.stderr.write(f"{result}\n")
