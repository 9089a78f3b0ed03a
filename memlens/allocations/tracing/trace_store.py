"""TraceStore: captures of tracemalloc's traces, to compare and group."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Sequence

from memlens._options import check_boolean, check_integer, check_text, check_texts
from memlens.allocations.options import MAX_FRAMES, GroupBy
from memlens.allocations.tracing.filters import FileFilter
from memlens.allocations.tracing.ownership import TracingLease, acquire_tracing
from memlens.allocations.tracing.trace_file import load_traces, save_traces
from memlens.allocations.tracing.trace_table import TraceComparison, TraceStatistics
from memlens.allocations.tracing.traces import (
    TracedMemory,
    compare_traces,
    read_traces,
    sum_by_path,
)
from memlens.errors import TracingError

__all__ = ("TraceStore",)


class TraceStore:
    """Traces every allocation of the process while it runs, and keeps captures of the live memory.

    Tracing is exact and slow. Code that only allocates becomes about ten times slower with one
    frame and forty times slower with 25 (`benchmarks/sampler_overhead.py`), so it is meant for a
    test, a block or a short period::

        with TraceStore() as store:
            before = store.take("before")
            ...
            after = store.take("after")
        print(store.compare(before, after))

    A capture is a `TracedMemory`. At most ``max_captures`` are kept; the oldest are dropped. A
    trace keeps the innermost ``frames`` frames. If tracing was on already, it keeps its depth and
    stays on when the store stops. Stores, decorators and blocks share the tracing; the last of
    them turns it off.

    A capture keeps the traces whose allocating file matches a pattern of ``include`` (or
    ``include`` is empty) and no pattern of ``exclude``. Patterns are those of ``fnmatch``. Frames
    of memlens, ``tracemalloc`` and the import system are dropped unless ``internal`` is true.

    Raises ``OptionError`` for an option of the wrong type or out of range.
    """

    def __init__(
        self,
        max_captures: int = 10,
        frames: int = 25,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        internal: bool = False,
    ) -> None:
        self.max_captures = check_integer("max_captures", max_captures, 1)
        self.frames = check_integer("frames", frames, 1, MAX_FRAMES)
        self.include = check_texts("include", include)
        self.exclude = check_texts("exclude", exclude)
        self.internal = check_boolean("internal", internal)
        self._captures: deque[TracedMemory] = deque(maxlen=max_captures)
        self._lease: TracingLease | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TraceStore:
        """Return a store that is not running, with the captures of a file.

        Raises ``SnapshotFileError`` if the file is of another kind, truncated, damaged or newer.
        """
        captures = load_traces(path)
        store = cls(max_captures=max(10, len(captures)))
        store._captures.extend(captures)
        return store

    @property
    def captures(self) -> tuple[TracedMemory, ...]:
        """The captures kept, oldest first."""
        return tuple(self._captures)

    @property
    def is_running(self) -> bool:
        """Whether the store was started and its tracing is still on."""
        return self._lease is not None and self._lease.intact

    @property
    def tracing_bytes(self) -> int:
        """The memory that tracing itself uses now."""
        import tracemalloc

        return tracemalloc.get_tracemalloc_memory()

    def start(self) -> None:
        """Start tracing, or share it if it is on. Does nothing if the store is running.

        If other code has stopped the tracing of the store, tracing is started again.
        """
        if not self.is_running:
            self.stop()
            self._lease = acquire_tracing(self.frames)

    def stop(self) -> None:
        """Stop tracing if nobody else needs it. Keeps captures. Does nothing if not running."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def __enter__(self) -> TraceStore:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def take(self, label: str = "") -> TracedMemory:
        """Capture all live traced memory, keep the capture and return it.

        Works without `start` if other code started tracing. Raises ``TracingError`` if tracing is
        off.
        """
        memory = self._read(label)
        self._captures.append(memory)
        return memory

    def compare(
        self,
        before: TracedMemory,
        after: TracedMemory,
        group_by: GroupBy = "line",
        limit: int | None = 10,
    ) -> TraceComparison:
        """Return the changes between two captures, largest first (``limit=None``: all).

        They are grouped by the ``"line"`` or ``"file"`` that allocated, or by ``"traceback"``.
        Raises ``ComparisonError`` for tracebacks of different depths.
        """
        return compare_traces(before, after, group_by, limit)

    def top(self, limit: int | None = 10, *, group_by: GroupBy = "line") -> TraceStatistics:
        """Return the ``limit`` largest lines, files or tracebacks of the newest capture.

        ``limit=None`` returns all. If there is no capture yet, the current memory is used. Raises
        ``TracingError`` if there is neither a capture nor tracing.
        """
        memory = self._captures[-1] if self._captures else self._read("")
        return memory.top(limit, group_by=group_by)

    def clear(self) -> None:
        """Drop the captures. Tracing continues."""
        self._captures.clear()

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the captures to a file that `load` reads; return its size in bytes.

        Raises ``OutputError`` if the file cannot be written.
        """
        return save_traces(path, self.captures)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<TraceStore: {len(self._captures)} captures, {self.frames} frames, {state}>"

    def _read(self, label: str) -> TracedMemory:
        import time
        import tracemalloc

        check_text("label", label)
        self._check_tracing()
        traced_bytes = tracemalloc.get_traced_memory()[0]
        raw = read_traces()
        # A new filter for each capture, since a filter caches every file name that it sees.
        keeps = FileFilter(self.include, self.exclude, internal=self.internal)
        paths, sizes_bytes, counts = sum_by_path(raw, keeps)
        return TracedMemory(
            label=label,
            taken_at=time.time(),
            pid=os.getpid(),
            python=".".join(map(str, sys.version_info[:3])),
            frame_limit=tracemalloc.get_traceback_limit(),
            traced_bytes=traced_bytes,
            tracing_bytes=tracemalloc.get_tracemalloc_memory(),
            paths=paths,
            sizes_bytes=sizes_bytes,
            counts=counts,
        )

    def _check_tracing(self) -> None:
        import tracemalloc

        if tracemalloc.is_tracing():
            return
        if self._lease is None:
            raise TracingError("tracing is off: call start(), or use the store in a with statement")
        raise TracingError("other code stopped tracemalloc since start(): call start() again")
