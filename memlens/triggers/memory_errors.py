"""A snapshot when the program runs out of memory: on an unhandled MemoryError.

The hooks see errors that nobody handles: of the main thread (``sys.excepthook``), of other threads
(``threading.excepthook``), and of asyncio, whose loops report errors of callbacks and of tasks that
nobody awaits. Where a framework catches the error before, `notice_memory_errors` sees it.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from functools import partial
from types import TracebackType
from typing import Any, TypeVar, cast

from memlens._options import check_bytes, check_seconds
from memlens.process.headroom import HeadroomMeter
from memlens.triggers.guards import HeadroomGuard
from memlens.triggers.protocol import Host
from memlens.triggers.reserve import MemoryReserve
from memlens.triggers.turns import quick_turns

__all__ = ("OnMemoryError", "notice_memory_error", "notice_memory_errors", "on_memory_error")

F = TypeVar("F", bound=Callable[..., Any])
_INVOKE = "_make_invoke_excepthook"
_started: list[OnMemoryError] = []


def on_memory_error(
    *, reserve_bytes: int | None = None, min_seconds: float = 60.0
) -> OnMemoryError:
    """Return a trigger that takes a snapshot on a MemoryError that nobody handles.

    ``reserve_bytes``: address space to hold back for the snapshot, which the program cannot use; None
    is about an eighth of the limit, 32 to 256 MiB; 60 MiB without a limit. It is released before the
    snapshot and taken again afterwards. Further errors within ``min_seconds`` take none.

    A capture of many small objects needs more than that where the limit is hard (``ulimit -v``):
    then the log says how much, and `before_limit` takes a snapshot while there is room. A soft limit
    (``resource.setrlimit``) does not bind the capturing child. A control group gives no MemoryError:
    the kernel kills the process.

    Raises ``OptionError`` for an option that is not valid.
    """
    if reserve_bytes is not None:
        check_bytes("reserve_bytes", reserve_bytes, 1)
    return OnMemoryError(MemoryReserve(reserve_bytes), check_seconds("min_seconds", min_seconds, 0))


class OnMemoryError:
    """The trigger of `on_memory_error`."""

    def __init__(self, reserve: MemoryReserve, min_seconds: float) -> None:
        self._reserve = reserve
        self._min_seconds = min_seconds
        self._host: Host | None = None
        self._guard: HeadroomGuard | None = None
        self._hooks: list[_Hook] = []
        self._handling: int | None = None  # the thread that handles an error

    def __repr__(self) -> str:
        return "on_memory_error()"

    def start(self, host: Host) -> None:
        """Reserve memory and install the hooks, which call the previous ones afterwards."""
        self._host = host
        self._handling = None
        self._guard = HeadroomGuard(HeadroomMeter(), is_urgent=True)
        self._reserve.take()
        if not self._hooks:
            self._hooks = _install(self)
        if self not in _started:
            _started.append(self)

    def stop(self) -> None:
        """Remove the hooks, unless others were installed above them, and release the reserve."""
        self._host = None
        self._reserve.release()
        if self in _started:
            _started.remove(self)
        self._hooks = [hook for hook in self._hooks if not hook.remove()]

    def begin(self, error: BaseException | None) -> None:
        """Take a snapshot if this is a MemoryError. The reserve stays available until `end`.

        Other threads that run out of memory meanwhile neither wait nor take the reserve back.
        """
        host = self._host
        if host is None or self._handling is not None or not _is_memory_error(error):
            return
        self._reserve.release()  # first: from here on there is memory
        self._handling = threading.get_ident()
        try:
            with quick_turns():
                host.fire_and_wait("memory-error", min_seconds=self._min_seconds, guard=self._guard)
        except BaseException:  # a signal handler has raised
            self.end()
            raise

    def end(self) -> None:
        """Take the reserve again, after the error was reported."""
        if self._handling == threading.get_ident():
            self._handling = None
            if self._host is not None:  # else stopped meanwhile
                self._reserve.take()


def _is_memory_error(error: BaseException | None) -> bool:
    """Tell whether an error is a MemoryError, or a group that contains one."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(MemoryError) is not None
    return isinstance(error, MemoryError)


def notice_memory_error(error: BaseException | None) -> None:
    """Take a snapshot if an error that somebody handles is a MemoryError.

    Does nothing unless a profiler with `on_memory_error` is running.
    """
    for trigger in _started[:]:
        trigger.begin(error)
        trigger.end()


class notice_memory_errors(ContextDecorator):  # noqa: N801 - used like a function
    """Take a snapshot for a MemoryError that leaves the block or function, and let it pass on.

    For errors that a framework would catch: a context manager, and a decorator of functions and of
    coroutine functions. Does nothing unless a profiler with `on_memory_error` is running.
    """

    def __enter__(self) -> notice_memory_errors:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        notice_memory_error(error)

    def __call__(self, function: F) -> F:
        """Return the function with its MemoryErrors noticed."""
        if not inspect.iscoroutinefunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        async def noticed(*arguments: Any, **options: Any) -> Any:
            with notice_memory_errors():
                return await function(*arguments, **options)

        return cast(F, noticed)


class _Hook:
    """A function of a module or class that is replaced, and put back if it is still ours."""

    def __init__(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        self._owner, self._name = owner, name
        self._previous = getattr(owner, name)
        self._ours = make(self._previous)
        setattr(owner, name, self._ours)

    def remove(self) -> bool:
        """Put the previous function back; return False if somebody has replaced ours."""
        if getattr(self._owner, self._name) is not self._ours:
            return False
        setattr(self._owner, self._name, self._previous)
        return True


def _install(trigger: OnMemoryError) -> list[_Hook]:
    from asyncio.base_events import BaseEventLoop

    def main_hook(previous: Any) -> Any:
        def excepthook(
            kind: type[BaseException], error: BaseException, traceback: TracebackType | None
        ) -> None:
            trigger.begin(error)
            try:
                previous(kind, error, traceback)
            finally:
                trigger.end()

        return excepthook

    def thread_hook(previous: Any) -> Any:
        def excepthook(arguments: threading.ExceptHookArgs) -> None:
            trigger.begin(arguments.exc_value)
            try:
                previous(arguments)
            finally:
                trigger.end()

        return excepthook

    def loop_hook(previous: Any) -> Any:
        @functools.wraps(previous)
        def call_exception_handler(loop: Any, context: dict[str, Any]) -> None:
            trigger.begin(context.get("exception"))
            try:
                previous(loop, context)
            finally:
                trigger.end()

        return call_exception_handler

    hooks = [
        _Hook(sys, "excepthook", main_hook),
        _Hook(threading, "excepthook", thread_hook),
        _Hook(BaseEventLoop, "call_exception_handler", loop_hook),
    ]
    if hasattr(threading, _INVOKE):
        hooks.append(_Hook(threading, _INVOKE, partial(_release_first, trigger)))
    return hooks


def _release_first(trigger: OnMemoryError, previous: Any) -> Any:
    """Return a `threading._make_invoke_excepthook` for threads that start from now on.

    Where not even a few bytes are left, the interpreter fails to prepare the arguments of
    ``threading.excepthook``, and the hook is never called. This function runs before that.
    """

    def make_invoke_excepthook() -> Any:
        invoke = previous()

        def invoke_excepthook(thread: threading.Thread) -> None:
            trigger.begin(sys.exception())
            try:
                invoke(thread)
            finally:
                trigger.end()

        return invoke_excepthook

    return make_invoke_excepthook
