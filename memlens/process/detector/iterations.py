"""Counts the interpreter's blocks while a step is repeated, without adding to them."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable

__all__ = ("MIN_ITERATIONS", "blocks_after")

MIN_ITERATIONS = 32
POINTS = 64


def blocks_after(step: Callable[[], object], n: int) -> array[int]:
    """Return the blocks in use, after a collection, at 64 or more moments of ``n`` calls of a step.

    The readings are stored in an array made beforehand: a list of them would grow by one object a
    reading, and the tool would find its own leak.
    """
    calls = max(1, n // POINTS)
    blocks = array("q", bytes(8 * (n // calls)))
    for i in range(len(blocks)):
        for _ in range(calls):
            step()
        gc.collect()
        blocks[i] = sys.getallocatedblocks()
    return blocks
