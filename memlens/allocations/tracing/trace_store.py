"""TraceStore: a bounded store of tracemalloc's traces, compared and grouped."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Sequence

from memlens.allocations.options import MAX_FRAMES, GroupBy, check_globs, check_whole
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
from memlens.errors import OptionError, TracingError

__all__ = ("TraceStore",)


class TraceStore:
    """Traces every allocation of the process while it is started, and keeps snapshots of them.

    Exact and slow (code that only allocates: some ten times slower with one frame, forty with 25;
    `benchmarks/sampler_overhead.py`): for a test, a block,
    a short window::

        with TraceStore() as store:
            before = store.take("before")
            ...
            after = store.take("after")
        print(store.compare(before, after))

    At most ``max_snapshots`` are kept, the oldest is dropped. A trace keeps the innermost
    ``frames`` frames, unless tracing was on already: then it keeps the depth that it has, and stays
    on when the store stops. Several stores, decorators and blocks share the tracing; the last one
    switches it off.

    A snapshot keeps the traces whose allocating file matches one of ``include`` (all do if it is
    empty) and none of ``exclude``, patterns as of ``fnmatch``. The frames of memlens,
    ``tracemalloc`` and the import system are left out unless ``internal`` is true.

    Raises ``OptionError`` for an option out of range.
    """

    def __init__(
        self,
        max_snapshots: int = 10,
        frames: int = 25,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        internal: bool = False,
    ) -> None:
        self.max_snapshots = check_whole("max_snapshots", max_snapshots, 1)
        self.frames = check_whole("frames", frames, 1, MAX_FRAMES)
        self.include = check_globs("include", include)
        self.exclude = check_globs("exclude", exclude)
        self.internal = internal
        self._snapshots: deque[TracedMemory] = deque(maxlen=max_snapshots)
        self._lease: TracingLease | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TraceStore:
        """Return a store, not started, with the snapshots of a file.

        Raises ``SnapshotFileError`` where the file is not ours, truncated, damaged or newer.
        """
        snapshots = load_traces(path)
        store = cls(max_snapshots=max(10, len(snapshots)))
        store._snapshots.extend(snapshots)
        return store

    @property
    def snapshots(self) -> tuple[TracedMemory, ...]:
        """The snapshots kept, oldest first."""
        return tuple(self._snapshots)

    @property
    def is_tracing(self) -> bool:
        """Whether the store is started and nobody has stopped its tracing since."""
        return self._lease is not None and self._lease.intact

    @property
    def tracing_bytes(self) -> int:
        """The memory that tracing itself uses now, in bytes."""
        import tracemalloc

        return tracemalloc.get_tracemalloc_memory()

    def start(self) -> None:
        """Switch tracing on, or join it where it is on. Does nothing if started already.

        Where somebody else has stopped the tracing since, it is started again.
        """
        if not self.is_tracing:
            self.stop()
            self._lease = acquire_tracing(self.frames)

    def stop(self) -> None:
        """Give the tracing up; it goes off if nobody else needs it. Repeatable; keeps snapshots."""
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def __enter__(self) -> TraceStore:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def take(self, label: str = "") -> TracedMemory:
        """Take a snapshot of all live traced memory, keep it and return it.

        Works also without `start` where somebody else traces. Raises ``TracingError`` where tracing
        is off.
        """
        snapshot = self._read(label)
        self._snapshots.append(snapshot)
        return snapshot

    def compare(
        self,
        before: TracedMemory,
        after: TracedMemory,
        group_by: GroupBy = "line",
        top: int | None = 10,
    ) -> TraceComparison:
        """Return what changed between two snapshots, largest change first (``top=None``: all).

        Grouped by the ``"line"`` or the ``"file"`` that allocated or by the whole ``"traceback"``.
        Raises ``ComparisonError`` where tracebacks of different depths would be compared.
        """
        return compare_traces(before, after, group_by, top)

    def top(self, n: int | None = 10, *, group_by: GroupBy = "line") -> TraceStatistics:
        """Return the ``n`` largest lines, files or tracebacks of the newest snapshot (None: all).

        Where no snapshot was taken yet, of the memory as it is now. Raises ``TracingError`` where
        there is neither a snapshot nor tracing.
        """
        snapshot = self._snapshots[-1] if self._snapshots else self._read("")
        return snapshot.top(n, group_by=group_by)

    def clear(self) -> None:
        """Forget the snapshots; tracing goes on."""
        self._snapshots.clear()

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the snapshots to a file for `load`; return its size in bytes.

        Raises ``OutputError`` where the file cannot be written.
        """
        return save_traces(path, self.snapshots)

    def _read(self, label: str) -> TracedMemory:
        import time
        import tracemalloc

        if type(label) is not str:
            raise OptionError(f"label must be text; got {label!r}")
        self._check_tracing()
        traced_bytes = tracemalloc.get_traced_memory()[0]
        raw = read_traces()
        # A filter for each snapshot: it remembers every file name that it has seen.
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
