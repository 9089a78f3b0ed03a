"""take_heap_snapshot: capture the heap of this process as a value."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from memlens import _core
from memlens._atomic import checked_path
from memlens._core.sampler_api import OwnWork, read_samples
from memlens._interpreter import require_usable_interpreter
from memlens._options import check_boolean, check_text, shown
from memlens._package import CODE_FOLDER
from memlens.errors import CaptureError, OptionError
from memlens.heap.capture.forked import SnapshotTask
from memlens.heap.capture.hashed_names import hash_names
from memlens.heap.capture.native_options import native_options
from memlens.heap.graph.allocation_sites import lost_samples, site_sections
from memlens.heap.graph.checked_core import core_turns
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.snapshot_file import facts_text
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("collect_garbage", "start_heap_snapshot", "take_heap_snapshot")

_NAMES = ("plain", "hashed")
_MODES = ("auto", "fork", "inline")
_OWN_FACTS = frozenset(
    "collected core gc_enabled lost_samples mode names pause_seconds pid platform process"
    " python reason threads timestamp values".split()
)
_MAX_ROUNDS = 3  # of collections: finalizers may release objects that need another round
# Identifies this process in its snapshots. A forked child inherits it but has another pid.
_PROCESS = os.urandom(8).hex()


def take_heap_snapshot(
    path: str | os.PathLike[str] | None = None,
    *,
    mode: str = "auto",
    collect: bool | None = None,
    values: bool = False,
    names: str = "plain",
    reason: str = "manual",
    facts: Mapping[str, Any] | None = None,
) -> HeapSnapshot:
    """Capture all objects of this process and their references.

    - ``path``: also save the snapshot there.
    - ``mode``: ``"fork"`` captures in a forked child, so that this process pauses only for the
      fork. ``"inline"`` captures in this process and pauses it. ``"auto"`` forks on Linux if the
      native core is available.
    - ``collect``: collect garbage first. The default is yes for an inline capture. A forked one
      marks garbage instead, and views leave it out.
    - ``values``: store the text of strings and numbers and the keys of dicts.
    - ``names``: ``"hashed"`` replaces every word of a name that is not an identifier of the
      program's code files by a keyed hash: names that were made from data cannot be read.
    - ``reason``: a word to record. ``facts``: JSON-ready values to record, under names that memlens
      does not use itself.

    While a `MemoryProfiler` or `AllocationProfiler` samples allocations, the snapshot also records
    where the sampled objects were allocated: ``summary(by="site")``, `Node.allocated_at`.

    Runs no code of the program's objects. Raises ``OptionError`` for an option that is not valid,
    ``CaptureError`` if the heap cannot be captured, ``OutputError`` if it cannot be saved.
    """
    require_usable_interpreter("a snapshot")
    forks = _forks(mode)
    with OwnWork():
        if forks:
            task = start_heap_snapshot(
                path, collect=collect, values=values, names=names, reason=reason, facts=facts
            )
            return task.result()
        _check_options(collect, values, names, reason, facts)
        with core_turns:
            snapshot = _take_inline(collect, values, names, reason, facts)
        if path is not None:
            snapshot.save(path)
        return snapshot


def _take_inline(
    collect: bool | None, values: bool, names: str, reason: str, facts: Mapping[str, Any] | None
) -> HeapSnapshot:
    started = time.perf_counter()
    collected = collect_garbage() if collect is not False else None
    sites: dict[str, Any] = {}
    lost: list[int] = []
    before = read_samples()
    if before is not None:
        sites = site_sections(before)
    blocks = _Blocks(sites["site_address"].tobytes() if sites else b"")
    native = native_options(forked=False)
    sections: dict[str, Any] = _core.capture(
        values=values, own_prefix=CODE_FOLDER, blocks=blocks, **native
    )
    if before is not None:
        lost = lost_samples(before, read_samples())
    pause_seconds = time.perf_counter() - started
    record = _facts("inline", reason, values, collected, pause_seconds, facts)
    record["lost_samples"] = lost
    sections |= sites
    if names == "hashed":
        sections, record = hash_names(sections, record)
    return HeapSnapshot(HeapGraph(sections, record))


class _Blocks(bytes):
    """Addresses: of a class of ours, so that the capture tells them from the program's objects."""

    __slots__ = ()


def start_heap_snapshot(
    path: str | os.PathLike[str] | None = None,
    *,
    collect: bool | None = None,
    values: bool = False,
    names: str = "plain",
    reason: str = "manual",
    facts: Mapping[str, Any] | None = None,
) -> SnapshotTask:
    """Start a snapshot in a forked child and return immediately.

    The options are those of `take_heap_snapshot`. Raises ``CaptureError`` if the core cannot fork
    or the fork fails, ``OutputError`` if the file cannot be created.
    """
    require_usable_interpreter("a snapshot")
    _forks("fork")
    _check_options(collect, values, names, reason, facts)
    started = time.perf_counter()
    collected = collect_garbage() if collect else None
    record = _facts("fork", reason, values, collected, time.perf_counter() - started, facts)
    target = None if path is None else checked_path(path)
    hashes_names = names == "hashed"
    return SnapshotTask(
        target, record, values=values, hashes_names=hashes_names, own_prefix=CODE_FOLDER
    )


def _check_options(
    collect: bool | None, values: bool, names: str, reason: str, facts: Mapping[str, Any] | None
) -> None:
    check_boolean("values", values)
    if collect is not None:
        check_boolean("collect", collect)
    check_text("reason", reason)
    if facts is not None and not isinstance(facts, Mapping):
        raise OptionError(f"facts must be a dict of names and values, not {shown(facts)}")
    if names not in _NAMES:
        raise OptionError(f"unknown names {names!r}: choose one of {', '.join(_NAMES)}")
    if values and names == "hashed":
        raise OptionError("values=True stores data as text: it cannot be used with names='hashed'")
    own = sorted(_OWN_FACTS.intersection(facts or ()))
    if own:
        raise OptionError(f"the fact {own[0]!r} is recorded by memlens: use another name")
    facts_text(facts or {})


def collect_garbage() -> dict[str, int]:
    """Collect garbage until nothing is freed, at most 3 times; return rounds and freed objects."""
    freed: list[int] = []
    while len(freed) < _MAX_ROUNDS and (not freed or freed[-1]):
        freed.append(gc.collect())
    return {"rounds": len(freed), "objects": sum(freed)}


def _forks(mode: str) -> bool:
    """Return whether a mode means a forked capture. Raises if the mode cannot be used."""
    if mode not in _MODES:
        raise OptionError(f"unknown mode {mode!r}: choose one of {', '.join(_MODES)}")
    if mode == "fork" and _core.fork_capture is None:
        raise CaptureError(
            "mode 'fork' needs the native core, which is not installed; use mode 'auto'"
        )
    # On macOS a forked child must not use system frameworks, so captures are inline there.
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
        "gc_enabled": gc.isenabled(),
        "threads": {str(thread.ident): thread.name for thread in threading.enumerate()},
        **(more or {}),
    }
