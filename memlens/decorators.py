"""profile_memory and memory_block: measure the memory of a function or a block of code.

Both return a `MemoryBlock`, which works in sync and async code::

    @memlens.profile_memory                      # prints a report to stderr after each call
    def load(): ...

    @memlens.profile_memory(limit=3, report=logging.getLogger("app"))
    async def fetch(): ...

    with memlens.memory_block("import") as block:
        ...
    print(block.result)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from memlens.allocations.blocks.memory_block import DEFAULT_FRAMES, MemoryBlock, Report

__all__ = ("memory_block", "profile_memory")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def memory_block(
    name: str = "block",
    *,
    limit: int = 5,
    frames: int = DEFAULT_FRAMES,
    report: Report = None,
    collect: bool = False,
) -> MemoryBlock:
    """Return a `MemoryBlock` for a ``with`` statement; its ``result`` is set when the block ends.

    Nothing is printed unless ``report`` is given. The options are those of `MemoryBlock`.
    """
    return MemoryBlock(name, limit=limit, frames=frames, report=report, collect=collect)


@overload
def profile_memory(function: _Function, /) -> _Function: ...


@overload
def profile_memory(
    *,
    name: str | None = None,
    limit: int = 5,
    frames: int = DEFAULT_FRAMES,
    report: Report = "stderr",
    collect: bool = False,
) -> MemoryBlock: ...


def profile_memory(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    limit: int = 5,
    frames: int = DEFAULT_FRAMES,
    report: Report = "stderr",
    collect: bool = False,
) -> Callable[..., Any] | MemoryBlock:
    """Measure each call of a function: ``@profile_memory`` or ``@profile_memory(limit=3)``.

    By default each outermost call prints its report to stderr. ``report=None`` prints nothing. The
    newest result is ``function.last_result``. The options are those of `MemoryBlock`.
    """
    block = MemoryBlock(name, limit=limit, frames=frames, report=report, collect=collect)
    return block if function is None else block(function)
