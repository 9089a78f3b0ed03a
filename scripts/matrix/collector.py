"""A plugin for pytest: the collector is off, or all objects are frozen, as ``MATRIX_GC`` says."""

from __future__ import annotations

import gc
import os


def pytest_collection_finish() -> None:
    """Set the mode when all tests are imported."""
    mode = os.environ.get("MATRIX_GC", "on")
    if mode == "off":
        gc.disable()
    elif mode == "frozen":
        gc.collect()
        gc.freeze()
