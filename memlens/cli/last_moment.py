"""A snapshot at the last moment at which the variables of a program's functions are alive.

At the end of a program the variables of ``main()`` are gone. From Python 3.12 on, ``sys.monitoring``
tells when a function that the program's module called is about to return; nothing else of the
program is slowed down. On 3.11 the last snapshot of the running program is the last periodic one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import CO_COROUTINE
from types import CodeType, FunctionType, MethodType
from typing import Any

__all__ = ("last_moments",)

_TOOL_NAME = "memlens run"
_TOOL_IDS = (4, 3)  # those that no kind of tool is meant to use
_MIN_SECONDS = 0.25  # between two snapshots at returns
_MIN_SHARE = 0.25  # of the time since the start, likewise


@contextmanager
def last_moments(
    module_code: CodeType,
    take: Callable[[], object],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Within the block call ``take`` before a function that the module called returns.

    Not each time, where a module calls functions in a loop: only if a quarter of the run has passed
    since the last time. Does nothing before Python 3.12, or if all tool ids are in use.
    """
    tool = _claim_tool() if sys.version_info >= (3, 12) else None
    if tool is None:
        yield
        return
    watch = _Watch(tool, module_code, take, clock)
    watch.start()
    try:
        yield
    finally:
        watch.stop()


def _claim_tool() -> int | None:
    monitoring = _monitoring()
    for tool in _TOOL_IDS:
        if monitoring.get_tool(tool) is None:
            monitoring.use_tool_id(tool, _TOOL_NAME)
            return tool
    return None


def _monitoring() -> Any:
    return vars(sys)["monitoring"]  # mypy checks for 3.11, which has none


class _Watch:
    """The events of one tool: calls in the module, and returns of what it called."""

    def __init__(
        self,
        tool: int,
        module_code: CodeType,
        take: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        self._tool, self._module_code = tool, module_code
        self._take, self._clock = take, clock
        self._started = self._taken = clock()
        self._watched: set[CodeType] = set()
        self._pid = os.getpid()

    def start(self) -> None:
        monitoring = _monitoring()
        events = monitoring.events
        monitoring.register_callback(self._tool, events.CALL, self._on_call)
        monitoring.register_callback(self._tool, events.PY_RETURN, self._on_return)
        monitoring.set_local_events(self._tool, self._module_code, events.CALL)

    def stop(self) -> None:
        monitoring = _monitoring()
        for code in (self._module_code, *self._watched):
            monitoring.set_local_events(self._tool, code, 0)
        monitoring.free_tool_id(self._tool)

    def _on_call(self, code: CodeType, offset: int, called: Any, first: Any) -> None:
        """Watch the returns of a Python function that the module calls."""
        function = called.__func__ if type(called) is MethodType else called
        if type(function) is FunctionType and function.__code__ not in self._watched:
            self._watched.add(function.__code__)
            monitoring = _monitoring()
            monitoring.set_local_events(self._tool, function.__code__, monitoring.events.PY_RETURN)

    def _on_return(self, code: CodeType, offset: int, value: object) -> object:
        """Take a snapshot, unless the function was called from elsewhere or one is recent."""
        returning = sys._getframe(1)
        caller = returning.f_back
        is_coroutine = code.co_flags & CO_COROUTINE
        if not is_coroutine and (caller is None or caller.f_code is not self._module_code):
            return _monitoring().DISABLE
        if os.getpid() != self._pid:
            return None  # a forked child reports for itself
        now = self._clock()
        if now - self._taken >= max(_MIN_SECONDS, _MIN_SHARE * (now - self._started)):
            self._take()
            self._taken = self._clock()
        return None
