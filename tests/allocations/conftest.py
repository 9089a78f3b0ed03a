"""Tracing is one switch for the process: every test here must leave it off."""

import tracemalloc

import pytest


@pytest.fixture(autouse=True)
def _tracing_is_left_off():
    assert not tracemalloc.is_tracing(), "a test before this one left tracing on"
    yield
    was_on = tracemalloc.is_tracing()
    tracemalloc.stop()
    assert not was_on, "this test left tracing on"
