from __future__ import annotations

import gc

import pytest

from memlens.process.sampling_thread import process_thread
from tests.own_threads import own_threads


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Whatever a test does with samplers, threads and collector hooks are as they were."""
    assert not process_thread().is_alive
    yield
    assert not process_thread().is_alive
    assert own_threads() == []
    # Not compared as a whole: Hypothesis leaves a callback of its own.
    assert not [callback for callback in gc.callbacks if "PauseCounter" in repr(callback)]
