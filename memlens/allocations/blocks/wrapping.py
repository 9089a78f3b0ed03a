"""Wrap functions of every kind so that each call is measured.

A generator, coroutine or async generator is measured only while its own code runs, from each resume
to the next suspend. The wrapper is of the same kind, with the same name and signature. While other
code runs, the wrapper keeps no arguments, yielded values or exceptions alive.
"""

from __future__ import annotations

import functools
import types
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Generic, Protocol, TypeVar

from memlens.allocations.blocks.measurement import BlockMeasurement

__all__ = ("MeasuredRuns", "measured_function")

# Flags of code objects, as in inspect.CO_*; importing inspect takes longer than importing memlens.
_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200

_Result = TypeVar("_Result")
_Function = Callable[..., Any]


class MeasuredRuns(Protocol):
    """Starts the measurement of each call and receives its end."""

    def begin(self) -> BlockMeasurement | None:
        """Start a measurement, or return None if this call is not measured."""

    def end(self, measurement: BlockMeasurement, error: type[BaseException] | None) -> None:
        """Receive a measurement after its last step, with the type of its exception."""


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


class _MeasuredRun:
    """A context manager that ends a measurement on exit."""

    __slots__ = ("_measurement", "_runs")

    def __init__(self, measurement: BlockMeasurement | None, runs: MeasuredRuns) -> None:
        self._measurement = measurement
        self._runs = runs

    def __enter__(self) -> None:
        pass

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._measurement is not None:
            # GeneratorExit closes a generator that is not exhausted; it is not a failure.
            self._runs.end(self._measurement, None if error is GeneratorExit else error)


def _plain(function: _Function, runs: MeasuredRuns) -> _Function:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> Any:
        measurement = runs.begin()
        if measurement is None:
            return function(*args, **kwargs)
        with _MeasuredRun(measurement, runs), measurement:
            return function(*args, **kwargs)

    return wrapper


def _generator(function: _Function, runs: MeasuredRuns) -> _Function:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> Generator[Any, Any, Any]:
        body = function(*args, **kwargs)
        del args, kwargs  # the body decides when to drop its arguments
        measurement = runs.begin()
        if measurement is None:
            return (yield from body)
        with _MeasuredRun(measurement, runs):
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
        with _MeasuredRun(measurement, runs):
            return await _Measured(measurement, body)

    return wrapper


def _async_generator(function: _Function, runs: MeasuredRuns) -> _Function:
    @functools.wraps(function)
    async def wrapper(*args: object, **kwargs: object) -> AsyncGenerator[Any, Any]:
        body = function(*args, **kwargs)
        del args, kwargs
        measurement = runs.begin()
        with _MeasuredRun(measurement, runs):
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
                except BaseException as error:  # noqa: BLE001 - the body handles it
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
    # Values and exceptions are passed through lists and popped, never kept in variables. A variable
    # would keep them alive while the body runs or is suspended, and an exception in a variable
    # would form a cycle with its own traceback.
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
        except BaseException as error:  # noqa: BLE001 - the body handles it
            inbox.append(error)
            step = body.throw
