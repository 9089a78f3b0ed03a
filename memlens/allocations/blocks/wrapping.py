"""Wrapping a function so that each call of it is measured, whatever kind of function it is.

A generator, coroutine or async generator is measured only while its own code runs, from each resume
to the next suspend; the wrapper is of the same kind, with the same name and signature. Nothing that
passes through, arguments sent in, values yielded, exceptions, is kept alive by the wrapper while
the program does something else.
"""

from __future__ import annotations

import functools
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from memlens.allocations.blocks.measurement import BlockMeasurement

__all__ = ("MeasuredRuns", "measured_function")

# The flags of a code object (inspect.CO_*; importing inspect would cost more than all of memlens).
_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200

_Result = TypeVar("_Result")
_Function = Callable[..., Any]


class MeasuredRuns(Protocol):
    """Who begins the measurement of a call and takes its end."""

    def begin(self) -> BlockMeasurement | None:
        """Begin a measurement; None where this call is not to be measured."""

    def end(self, measurement: BlockMeasurement, error: type[BaseException] | None) -> None:
        """Take a measurement whose last step is over, and how it ended."""


def measured_function(function: _Function, runs: MeasuredRuns) -> _Function:
    """Return a wrapper of the same kind as ``function`` whose calls are measured."""
    flags = _code_flags(function)
    if flags & _COROUTINE:
        return _coroutine(function, runs)
    if flags & _ASYNC_GENERATOR:
        return _async_generator(function, runs)
    if flags & _GENERATOR:
        wrapper = _generator(function, runs)
        return types.coroutine(wrapper) if flags & _ITERABLE_COROUTINE else wrapper
    return _plain(function, runs)


def _code_flags(function: Any) -> int:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code.co_flags if isinstance(code, types.CodeType) else 0


class _Life:
    """Ends a measurement when the ``with`` is left."""

    __slots__ = ("_measurement", "_runs")

    def __init__(self, measurement: BlockMeasurement | None, runs: MeasuredRuns) -> None:
        self._measurement = measurement
        self._runs = runs

    def __enter__(self) -> None:
        pass

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._measurement is not None:
            # GeneratorExit tells a generator that nobody wants more of it: no failure.
            self._runs.end(self._measurement, None if error is GeneratorExit else error)


def _plain(function: _Function, runs: MeasuredRuns) -> _Function:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> Any:
        measurement = runs.begin()
        if measurement is None:
            return function(*args, **kwargs)
        with _Life(measurement, runs), measurement:
            return function(*args, **kwargs)

    return wrapper


def _generator(function: _Function, runs: MeasuredRuns) -> _Function:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> Generator[Any, Any, Any]:
        body = function(*args, **kwargs)
        del args, kwargs  # the body drops its arguments when it likes
        measurement = runs.begin()
        if measurement is None:
            return (yield from body)
        with _Life(measurement, runs):
            return (yield from _measured_steps(measurement, body))

    return wrapper


def _coroutine(function: _Function, runs: MeasuredRuns) -> _Function:
    @functools.wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> Any:
        body = function(*args, **kwargs)
        del args, kwargs
        measurement = runs.begin()
        if measurement is None:
            return await body
        with _Life(measurement, runs):
            return await _Measured(measurement, body)

    return wrapper


def _async_generator(function: _Function, runs: MeasuredRuns) -> _Function:
    @functools.wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> AsyncGenerator[Any, Any]:
        body = function(*args, **kwargs)
        del args, kwargs
        measurement = runs.begin()
        with _Life(measurement, runs):
            inbox: list[Any] = [None]
            outbox: list[Any] = []
            step = body.asend
            while True:
                try:
                    outbox.append(await _Measured(measurement, step(inbox.pop())))
                except StopAsyncIteration:
                    return
                try:
                    inbox.append((yield outbox.pop()))
                    step = body.asend
                except GeneratorExit:
                    await _Measured(measurement, body.aclose())
                    raise
                except BaseException as error:  # noqa: BLE001 - it is for the body to handle
                    inbox.append(error)
                    step = body.athrow

    return wrapper


class _Measured(Generic[_Result]):
    """Awaits ``body``, measured while its own code runs."""

    __slots__ = ("_body", "_measurement")

    def __init__(self, measurement: BlockMeasurement | None, body: Awaitable[_Result]) -> None:
        self._measurement = measurement
        self._body = body

    def __await__(self) -> Generator[Any, Any, _Result]:
        steps = self._body.__await__()
        return steps if self._measurement is None else _measured_steps(self._measurement, steps)


def _measured_steps(
    measurement: BlockMeasurement, body: Generator[Any, Any, _Result]
) -> Generator[Any, Any, _Result]:
    # What passes through waits in a list and is popped, never in a variable: a variable would keep
    # it alive while the body runs, or is suspended, and tie an exception to its own traceback.
    inbox: list[Any] = [None]
    outbox: list[Any] = []
    step: Callable[[Any], Any] = body.send
    while True:
        try:
            with measurement:
                outbox.append(step(inbox.pop()))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        try:
            inbox.append((yield outbox.pop()))
            step = body.send
        except GeneratorExit:
            with measurement:
                body.close()
            raise
        except BaseException as error:  # noqa: BLE001 - it is for the body to handle
            inbox.append(error)
            step = body.throw
