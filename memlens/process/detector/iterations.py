"""Counts the interpreter's memory blocks while a step is repeated, without adding blocks."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable

__all__ = ("MIN_ITERATIONS", "blocks_after")

MIN_ITERATIONS = 32
POINTS = 64


def blocks_after(step: Callable[[], object], n: int) -> array[int]:
    """Return the blocks in use at 64 or more points during ``n`` calls of ``step``.

    Each count follows a full collection. The counts are stored in an array of fixed size: a list
    would grow by one object per count, and the detector would report its own leak.
    """
    calls = max(1, n // POINTS)
    blocks = array("q", bytes(8 * (n // calls)))
    for i in range(len(blocks)):
        for _ in range(calls):
            step()
        gc.collect()
        blocks[i] = sys.getallocatedblocks()
    return blocks
