"""TracemallocSource: tracemalloc in place of the sampler, where there is no C core.

It is exact and slow. It knows which blocks are live and where they were allocated, but not which
blocks were freed, nor when a block was allocated.
"""

from __future__ import annotations

import tracemalloc

from memlens._frame import Frame
from memlens.allocations.profile.rows import AllocationRow
from memlens.errors import TracingError

__all__ = ("TracemallocSource",)

FRAMES = 25  # of a call path; more frames make tracemalloc even slower


class TracemallocSource:
    """Traces between `start` and `stop`. Leaves tracing on if it was on before."""

    def __init__(self) -> None:
        self._ours = False

    def start(self) -> None:
        """Start tracing if it is off."""
        self._ours = not tracemalloc.is_tracing()
        if self._ours:
            tracemalloc.start(FRAMES)

    def stop(self) -> None:
        """Stop tracing if `start` started it."""
        if self._ours and tracemalloc.is_tracing():
            tracemalloc.stop()

    def reset(self) -> None:
        """Clear the traces. Raises TracingError if other code started tracing."""
        if not self._ours:
            raise TracingError(
                "other code started tracemalloc before this profiler, so its traces cannot be"
                " cleared: stop tracemalloc first, or start another profiler"
            )
        tracemalloc.clear_traces()

    def rows(self) -> list[AllocationRow]:
        """Return the live memory by call path. Raises TracingError if tracing was stopped."""
        if not tracemalloc.is_tracing():
            raise TracingError(
                "other code stopped tracemalloc while this profiler was running: start it again"
            )
        snapshot = tracemalloc.take_snapshot()
        return [
            AllocationRow(
                call_path=tuple(
                    Frame(None, frame.filename, frame.lineno) for frame in found.traceback
                ),
                live_bytes=float(found.size),
                live_count=float(found.count),
                live_samples=found.count,
                allocated_bytes=None,
                allocated_bytes_stderr=None,
                allocated_count=None,
                allocated_count_stderr=None,
                allocated_samples=None,
            )
            for found in snapshot.statistics("traceback")
        ]
