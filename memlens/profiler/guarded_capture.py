"""A capture under the eyes of a guard, which slows the program down or ends the capture."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from memlens import _core
from memlens.errors import CaptureError
from memlens.heap.capture.forked import SnapshotTask
from memlens.heap.capture.take import start_heap_snapshot, take_heap_snapshot
from memlens.triggers.protocol import CaptureGuard

__all__ = ("Captured", "guarded_capture")

_RUN_SECONDS = 0.03
_HOLD_SECONDS = 0.2  # then other threads run for the 20 to 40 ms that a look of the guard takes


class Captured(NamedTuple):
    """What is known of a snapshot that is not opened."""

    object_count: int
    pause_seconds: float
    timestamp: float


def guarded_capture(
    guard: CaptureGuard, path: str, *, reason: str, facts: Mapping[str, Any]
) -> Captured:
    """Capture the heap into a file as `take_heap_snapshot` does, with a guard.

    The file is not opened: where memory has run out, that could fail.

    Raises ``CaptureError`` if the guard refuses the capture or ends it. Without a forked capture (the
    pure core, or not Linux) the program stands still anyway, and the guard is only asked before.
    """
    refusal = guard.refusal()
    if refusal is not None:
        raise CaptureError(f"no snapshot was taken: {refusal}")
    if _core.fork_capture is None or sys.platform != "linux":
        snapshot = take_heap_snapshot(path, reason=reason, facts=facts)
        return Captured(snapshot.object_count, snapshot.pause_seconds, snapshot.timestamp)
    task = start_heap_snapshot(path, reason=reason, facts=facts)
    try:
        _attend(task, guard)
    except BaseException:
        task.cancel()
        raise
    task.complete()
    return Captured(task.progress.object_count, task.pause_seconds, task.timestamp)


def _attend(task: SnapshotTask, guard: CaptureGuard) -> None:
    while not task.done():
        pace = guard.pace()
        if pace == "kill":
            raise CaptureError(
                "the snapshot was given up, because the memory that is left would not have sufficed"
                " for the program and the capture"
            )
        holds = pace == "hold"
        task.wait(_HOLD_SECONDS if holds else _RUN_SECONDS, holds=holds)
