from __future__ import annotations

import gc
import threading

import pytest

from memlens.process.sampling_thread import process_thread


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    """Whatever a test does with samplers, threads and collector hooks are as they were."""
    assert not process_thread().is_alive
    threads = threading.enumerate()
    yield
    assert not process_thread().is_alive
    assert threading.enumerate() == threads
    # Not compared as a whole: Hypothesis leaves a callback of its own.
    assert not [callback for callback in gc.callbacks if "PauseCounter" in repr(callback)]
