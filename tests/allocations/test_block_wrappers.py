"""Decorated functions keep their kind, name, signature and behaviour."""

import asyncio
import functools
import inspect
import pickle
import sys

import pytest

from memlens.errors import OptionError
from tests.allocations.measured import MIB, near, quiet


def function(a, b: int = 2, *, c=3):
    """A function."""
    return a, b, c


async def coroutine_function(a):
    """A coroutine."""


def generator_function(a):
    """A generator."""
    yield a


async def async_generator_function(a):
    """An async generator."""
    yield a


KIND_TESTS = (
    inspect.isfunction,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    # Deprecated in favour of the function of inspect.
    *([asyncio.iscoroutinefunction] if sys.version_info < (3, 14) else []),
)


@pytest.mark.parametrize(
    "original",
    [function, coroutine_function, generator_function, async_generator_function],
)
def test_wrapper_has_kind_name_and_signature_of_the_function(original):
    wrapper = quiet(original)
    for asks in KIND_TESTS:
        assert asks(wrapper) == asks(original)
        partial = functools.partial(original, 1)
        assert asks(quiet(partial)) == (asks is inspect.isfunction or asks(partial))
    assert inspect.signature(wrapper) == inspect.signature(original)
    for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(wrapper, name) == getattr(original, name)
    assert wrapper.__wrapped__ is original
    assert wrapper.last_result is None


@quiet
def picklable():
    return 5


def test_decorated_function_can_be_pickled():
    assert pickle.loads(pickle.dumps(picklable)) is picklable


def test_return_values_pass_unchanged():
    value = object()
    assert quiet(lambda: value)() is value
    assert quiet(function)(1, c=5) == (1, 2, 5)


def test_methods_of_every_kind_can_be_decorated():
    class Loader:
        @quiet
        def method(self, size):
            return bytearray(size)

        @quiet
        @classmethod
        def above_class(cls, size):
            return cls, bytearray(size)

        @classmethod
        @quiet
        def below_class(cls, size):
            return cls, bytearray(size)

        @quiet
        @staticmethod
        def above_static(size):
            return bytearray(size)

        @staticmethod
        @quiet
        def below_static(size):
            return bytearray(size)

        @property
        @quiet
        def prop(self):
            return bytearray(MIB)

    loader = Loader()
    kept = [
        loader.method(MIB),
        loader.above_class(MIB),
        Loader.below_class(MIB),
        loader.above_static(MIB),
        Loader.below_static(MIB),
        loader.prop,
    ]
    assert kept[1][0] is kept[2][0] is Loader
    for name in ("method", "above_class", "below_class", "above_static", "below_static"):
        assert getattr(loader, name).last_result.allocated_bytes == near(MIB)
        assert getattr(loader, name).last_result.name.endswith(f"Loader.{name}")


def test_callable_object_can_be_decorated():
    class Call:
        def __call__(self, size):
            return bytearray(size)

    call = quiet(Call())
    data = call(MIB)
    assert call.last_result.allocated_bytes == near(len(data))
    assert quiet(len)("abc") == 3


@pytest.mark.parametrize("thing", [5, "name", property(len), int, None.__class__])
def test_objects_that_are_not_functions_cannot_be_decorated(thing):
    with pytest.raises(OptionError, match="only functions and methods can be measured"):
        quiet(thing) if callable(thing) else quiet()(thing)
