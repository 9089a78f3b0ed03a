"""Check that each test leaves tracemalloc off, since it is on or off for the whole process."""

import tracemalloc

import pytest


@pytest.fixture(autouse=True)
def _tracing_is_left_off():
    assert not tracemalloc.is_tracing(), "a test before this one left tracing on"
    yield
    was_on = tracemalloc.is_tracing()
    tracemalloc.stop()
    assert not was_on, "this test left tracing on"
