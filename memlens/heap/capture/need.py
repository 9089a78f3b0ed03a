"""What a capture of the heap as it is now will need: memory and time, estimated before it begins.

A forked child shares the heap of its parent, but its own columns take memory: 50 to 90 bytes for each
allocated block in heaps of records, instances, lists, strings and caches. With the file that it
writes, which counts as memory of the control group until it is on the disk, that is 85 to 115
(`benchmarks/capture_need.py`). As address space the columns take 100, because they grow by half of
their size at a time. Lists of many references need more.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from memlens import _core

__all__ = ("CaptureNeed", "capture_need")

_BASE_BYTES = 16 << 20
_RESIDENT_BYTES_PER_BLOCK = 110
_ADDRESS_BYTES_PER_BLOCK = 100
_SECONDS_PER_BLOCK = 1e-6
_BASE_SECONDS = 0.3
_PURE_TIMES = 8  # the capture in Python keeps objects where C keeps numbers


@dataclass(frozen=True, slots=True)
class CaptureNeed:
    """What a capture needs: bytes of memory, bytes of address space, and seconds."""

    resident_bytes: int
    address_bytes: int
    seconds: float


def capture_need(blocks: int | None = None) -> CaptureNeed:
    """Estimate what a capture of this process needs.

    ``blocks``: the allocated blocks, by default those of now. Counting them takes up to a
    millisecond for each GiB.
    """
    if blocks is None:
        blocks = sys.getallocatedblocks()
    times = 1 if _core.fork_capture is not None else _PURE_TIMES
    return CaptureNeed(
        _BASE_BYTES + times * _RESIDENT_BYTES_PER_BLOCK * blocks,
        _BASE_BYTES + times * _ADDRESS_BYTES_PER_BLOCK * blocks,
        _BASE_SECONDS + times * _SECONDS_PER_BLOCK * blocks,
    )
