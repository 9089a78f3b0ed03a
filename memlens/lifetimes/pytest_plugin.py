"""The plugin for pytest: a fixture that expects objects to be collected at the end of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

__all__ = ("expect_collected",)


@pytest.fixture
def expect_collected() -> Iterator[Callable[..., None]]:
    """Return a function: the test fails if an object given to it is alive at the end.

    The check runs when the fixture is torn down: what the test's own variables hold is gone by then.
    The values of other fixtures are kept by pytest until all are torn down.
    """
    from memlens.lifetimes.expectations import Expectations

    expectations = Expectations()

    def expect(obj: object, reason: str = "end of the test") -> None:
        expectations.expect_collected(obj, 0.0, reason)

    yield expect
    expectations.assert_collected()
