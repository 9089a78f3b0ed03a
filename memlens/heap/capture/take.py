"""take_heap_snapshot: the live process, once, as a value."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from memlens import _core
from memlens._core.sampler_api import OwnWork, read_samples
from memlens._package import PACKAGE_FOLDER
from memlens.errors import CaptureError, OptionError
from memlens.heap.capture.forked import SnapshotTask
from memlens.heap.graph.allocation_sites import lost_samples, site_sections
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("collect_garbage", "start_heap_snapshot", "take_heap_snapshot")

_MODES = ("auto", "fork", "inline")
_MAX_ROUNDS = 3  # of collection: what finalisers let go needs another one
# The same for all snapshots of one process; with the pid it tells a forked child from its parent.
_PROCESS = os.urandom(8).hex()


def take_heap_snapshot(
    path: str | os.PathLike[str] | None = None,
    *,
    mode: str = "auto",
    collect: bool | None = None,
    values: bool = False,
    reason: str = "manual",
    facts: Mapping[str, Any] | None = None,
) -> HeapSnapshot:
    """Capture every object of this process, and who refers to whom.

    ``path``: also save it there. ``mode``: ``"fork"`` captures in a forked child, so that this
    process stops for the fork alone; ``"inline"`` within this process, which stops meanwhile;
    ``"auto"`` forks on Linux where the native core is there. ``collect``: collect garbage first (by
    default when inline; forked, what nothing reaches is marked and left out of views). ``values``:
    store the text of strings and numbers and the keys of dicts, which are left out otherwise.
    ``reason``: a word for the record. ``facts``: JSON-ready values to record beside ours.

    Taken while allocations are sampled (`MemoryProfiler`, `AllocationProfiler`), it knows where the
    sampled ones of its objects were allocated: ``summary(by="site")``, `Node.allocated_at`.

    Runs no code of the program's objects. Raises ``OptionError`` for an unknown mode,
    ``CaptureError`` where the heap cannot be captured, ``OutputError`` where it cannot be saved.
    """
    forks = _forks(mode)
    own_work = OwnWork.begin()  # no context manager: it would be an object of the heap
    try:
        if forks:
            task = start_heap_snapshot(
                path, collect=collect, values=values, reason=reason, facts=facts
            )
            return task.result()
        snapshot = _take_inline(collect, values, reason, facts)
        if path is not None:
            snapshot.save(path)
        return snapshot
    finally:
        OwnWork.end(own_work)


def _take_inline(
    collect: bool | None, values: bool, reason: str, facts: Mapping[str, Any] | None
) -> HeapSnapshot:
    started = time.perf_counter()
    collected = collect_garbage() if collect is not False else None
    sites, lost = {}, []
    before = read_samples()
    sections: dict[str, Any] = _core.capture(values=values, own_prefix=PACKAGE_FOLDER)
    if before is not None:
        lost = lost_samples(before, read_samples())
        sites = site_sections(before)
    pause_seconds = time.perf_counter() - started
    record = _facts("inline", reason, values, collected, pause_seconds, facts)
    record["lost_samples"] = lost
    return HeapSnapshot(HeapGraph({**sections, **sites}, record))


def start_heap_snapshot(
    path: str | os.PathLike[str] | None = None,
    *,
    collect: bool | None = None,
    values: bool = False,
    reason: str = "manual",
    facts: Mapping[str, Any] | None = None,
) -> SnapshotTask:
    """Start a snapshot in a forked child and return at once; options as of `take_heap_snapshot`.

    Raises ``CaptureError`` where this platform or core cannot fork, or the fork fails.
    """
    _forks("fork")
    started = time.perf_counter()
    collected = collect_garbage() if collect else None
    record = _facts("fork", reason, values, collected, time.perf_counter() - started, facts)
    target = None if path is None else os.fspath(path)
    return SnapshotTask(target, record, values=values, own_prefix=PACKAGE_FOLDER)


def collect_garbage() -> dict[str, int]:
    """Collect until nothing more is freed, at most 3 rounds; return rounds and objects freed."""
    freed: list[int] = []
    while len(freed) < _MAX_ROUNDS and (not freed or freed[-1]):
        freed.append(gc.collect())
    return {"rounds": len(freed), "objects": sum(freed)}


def _forks(mode: str) -> bool:
    """Tell whether a mode means a forked capture here; refuse what cannot be."""
    if mode not in _MODES:
        raise OptionError(f"unknown mode {mode!r}: choose one of {', '.join(_MODES)}")
    if mode == "fork" and _core.fork_capture is None:
        raise CaptureError(
            "mode 'fork' needs the native core, which this memlens does not have; use mode 'auto'"
        )
    # A forked child of a macOS process may not use the system's frameworks: inline there.
    return mode == "fork" or (
        mode == "auto" and _core.fork_capture is not None and sys.platform == "linux"
    )


def _facts(
    mode: str,
    reason: str,
    values: bool,
    collected: dict[str, int] | None,
    pause_seconds: float,
    more: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "process": _PROCESS,
        "timestamp": time.time(),
        "reason": reason,
        "mode": mode,
        "pause_seconds": pause_seconds,
        "collected": collected,
        "values": values,
        "core": _core.IMPLEMENTATION,
        "python": sys.version.split()[0],
        "platform": sys.platform,
        "freeze_count": gc.get_freeze_count(),
        "gc_enabled": gc.isenabled(),
        "threads": {str(thread.ident): thread.name for thread in threading.enumerate()},
        **(more or {}),
    }
