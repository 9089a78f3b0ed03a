"""The stand-in for the sampler where there is no C core: tracemalloc, exact and slow.

It knows what is alive and where it was allocated; not what was allocated and freed again, nor when.
"""

from __future__ import annotations

import tracemalloc

from memlens._frame import Frame
from memlens.allocations.profile.rows import AllocationRow
from memlens.errors import TracingError

__all__ = ("TracemallocSource",)

FRAMES = 25  # of a call path; more makes tracemalloc slower still


class TracemallocSource:
    """Traces between `start` and `stop`; leaves tracing on where it was on before."""

    def __init__(self) -> None:
        self._ours = False

    def start(self) -> None:
        """Start tracing, unless it is on."""
        self._ours = not tracemalloc.is_tracing()
        if self._ours:
            tracemalloc.start(FRAMES)

    def stop(self) -> None:
        """Stop tracing where `start` started it."""
        if self._ours and tracemalloc.is_tracing():
            tracemalloc.stop()

    def reset(self) -> None:
        """Forget what was traced. Raises TracingError where the traces are somebody else's."""
        if not self._ours:
            raise TracingError(
                "tracemalloc was on before this profiler started: its traces are not ours to "
                "clear. Stop tracemalloc first, or start another profiler."
            )
        tracemalloc.clear_traces()

    def rows(self) -> list[AllocationRow]:
        """Return what is alive by call path. Raises TracingError where tracing was stopped."""
        if not tracemalloc.is_tracing():
            raise TracingError(
                "somebody stopped tracemalloc while this profiler used it: start it again"
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
