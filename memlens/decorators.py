"""profile_memory and memory_block: what a function or a block does to the memory.

One object, `MemoryBlock`, is decorator and context manager, for code that is sync or async::

    @memlens.profile_memory                      # prints a report to stderr after each call
    def load(): ...

    @memlens.profile_memory(top=3, report=logging.getLogger("app"))
    async def fetch(): ...

    with memlens.memory_block("import") as block:
        ...
    print(block.result)

Tracing is on for as long as a block runs, which makes allocating some ten times slower
(`benchmarks/sampler_overhead.py`), and is left as it was found.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar, overload

from memlens.allocations.blocks.measurement import BlockMeasurement
from memlens.allocations.blocks.result import BlockResult
from memlens.allocations.blocks.running_blocks import running_blocks
from memlens.allocations.blocks.wrapping import measured_function
from memlens.allocations.options import MAX_FRAMES, check_whole
from memlens.errors import OptionError, TracingError

__all__ = ("BlockResult", "MemoryBlock", "Report", "memory_block", "profile_memory")

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _TextStream(Protocol):
    def write(self, text: str, /) -> object: ...


class _Logger(Protocol):
    def info(self, message: str, /) -> object: ...


Report = Callable[[BlockResult], object] | _Logger | _TextStream | Literal["stderr"] | None


class MemoryBlock:
    """Measures a block of code (``with``, ``async with``) or each call of a function (``@``).

    - ``top``: how many lines of growth to list; 0 lists none, which is faster where much is traced.
    - ``frames``: the frames that a trace keeps if tracing starts here; one is enough for the lines.
    - ``report``: who gets each `BlockResult`: a function is called with it, a logger logs it at
      level INFO, a text stream is written to, ``"stderr"`` is the standard error at that time, None
      is nobody.
    - ``collect``: run the garbage collector before and after, so that garbage does not count.

    An exception passes through unchanged and is named in the result. A report that fails is logged
    to the logger ``memlens`` and does not disturb the program.

    Decorated, each call is measured by itself, in any number of threads and tasks; of a recursive
    function only the outermost call is. A generator or a coroutine is measured while its own code
    runs, from each resume to the next suspend, and reported when it ends; its ``top`` is what grew
    in the process during its life, and tracing is on until then. The newest result of a decorated
    function is its attribute ``last_result`` (None before the first). The wrapper has the kind, the
    name and the signature of the function.

    As a context manager the whole time from start to end counts. The object can be used again, also
    nested and in several threads; tasks that interleave in one thread should have one each.

    Raises ``OptionError`` for an option of the wrong type or out of range.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        top: int = 5,
        frames: int = 1,
        report: Report = None,
        collect: bool = False,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise OptionError(f"name must be text; got {name!r}")
        if type(collect) is not bool:
            raise OptionError(f"collect must be True or False; got {collect!r}")
        self.name = name
        self.top = check_whole("top", top, 0)
        self.frames = check_whole("frames", frames, 1, MAX_FRAMES)
        self.collect = collect
        self.report = report
        self._deliver = _delivery(report)
        self._entered: list[tuple[int, BlockMeasurement]] = []
        self._result: BlockResult | None = None

    @property
    def result(self) -> BlockResult:
        """What the block did; of the last run that ended.

        Raises ``TracingError`` while none has ended.
        """
        if self._result is None:
            raise TracingError(
                f"the block {self.name or 'block'!r} has no result yet: read it after the with"
                " statement (a decorated function has its own, function.last_result)"
            )
        return self._result

    def __call__(self, function: _Function) -> _Function:
        """Return ``function`` wrapped so that each call is measured; the decorator itself."""
        if isinstance(function, (classmethod, staticmethod)):
            return type(function)(self(function.__func__))
        if isinstance(function, type) or not callable(function):
            raise OptionError(
                f"only functions and methods can be profiled; got {function!r}"
                " (put the decorator under @property, and on the methods of a class)"
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
        self._hand_over(self._result)

    async def __aenter__(self) -> MemoryBlock:
        return self.__enter__()

    async def __aexit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.__exit__(error)

    def _begin(self, name: str, key: object) -> BlockMeasurement:
        return BlockMeasurement(
            name, top=self.top, frames=self.frames, collect=self.collect, key=key
        )

    def _hand_over(self, result: BlockResult) -> None:
        try:
            self._deliver(result)
        except Exception:  # a report must not change what the program does
            import logging

            logging.getLogger("memlens").exception("the report of %s failed", result.name)

    def _last_entered(self) -> BlockMeasurement:
        # The list is changed by single operations only, so that threads can share it.
        thread = threading.get_ident()
        for entry in reversed(tuple(self._entered)):
            if entry[0] == thread:
                self._entered.remove(entry)
                return entry[1]
        return self._entered.pop()[1]  # left in another thread than it was entered in


class _MeasuredCalls:
    """Measures the calls of one decorated function."""

    def __init__(self, block: MemoryBlock, function: Callable[..., Any]) -> None:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        self._name: str = block.name or name
        self._block = block
        self._function = function
        # Those of the wrapper; to hold the wrapper itself would be a cycle, and a decorated closure
        # would then live until the collector runs.
        self.attributes: dict[str, Any] = {}

    def begin(self) -> BlockMeasurement | None:
        if running_blocks.is_running(self._function):
            return None  # a recursive call is part of the outermost one
        return self._block._begin(self._name, self._function)

    def end(self, measurement: BlockMeasurement, error: type[BaseException] | None) -> None:
        result = measurement.finish(error)
        self.attributes["last_result"] = result
        self._block._hand_over(result)


def memory_block(
    name: str = "block",
    *,
    top: int = 5,
    frames: int = 1,
    report: Report = None,
    collect: bool = False,
) -> MemoryBlock:
    """Return a `MemoryBlock` for a ``with`` statement; its ``result`` is there when it ends.

    Nothing is printed unless ``report`` says where. The options are those of `MemoryBlock`.
    """
    return MemoryBlock(name, top=top, frames=frames, report=report, collect=collect)


@overload
def profile_memory(function: _Function, /) -> _Function: ...


@overload
def profile_memory(
    *,
    name: str | None = None,
    top: int = 5,
    frames: int = 1,
    report: Report = "stderr",
    collect: bool = False,
) -> MemoryBlock: ...


def profile_memory(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    top: int = 5,
    frames: int = 1,
    report: Report = "stderr",
    collect: bool = False,
) -> Callable[..., Any] | MemoryBlock:
    """Measure each call of a function: ``@profile_memory`` or ``@profile_memory(top=3)``.

    By default each outermost call prints its report to stderr; ``report=None`` prints nothing, and
    ``function.last_result`` has the newest result in any case. The options are those of
    `MemoryBlock`.
    """
    block = MemoryBlock(name, top=top, frames=frames, report=report, collect=collect)
    return block if function is None else block(function)


def _delivery(report: Any) -> Callable[[BlockResult], object]:
    if report is None:
        return _to_nobody
    if report == "stderr":
        return _to_stderr
    if hasattr(report, "info"):
        return lambda result: report.info(str(result))
    if hasattr(report, "write"):
        return lambda result: report.write(f"{result}\n")
    if callable(report):
        return report  # type: ignore[no-any-return]
    raise OptionError(
        f"report must be a function, a logger, a text stream, 'stderr' or None; got {report!r}"
    )


def _to_nobody(result: BlockResult) -> None:
    pass


def _to_stderr(result: BlockResult) -> None:
    if sys.stderr is not None:  # a process without a console has none
        sys.stderr.write(f"{result}\n")
