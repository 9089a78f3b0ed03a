"""Share tracemalloc, which is on or off for the whole process, between its users.

Every part of memlens that needs tracing holds a `TracingLease`. The first lease starts tracing if
it is off. The last release stops tracing, but only the session that a lease started: tracing that
other code started, before or after, stays on with its own depth.

A session is recognised by a *marker*: an object allocated while the session ran. It has a trace
until somebody stops tracing or clears the traces.
"""

from __future__ import annotations

import sys

from memlens._fork import ForkSafeLock
from memlens._interpreter import require_usable_interpreter
from memlens._options import check_integer
from memlens.allocations.options import MAX_FRAMES

__all__ = ("TracingLease", "acquire_tracing", "tracing_is_borrowed")


class TracingLease:
    """Keeps tracing on until `release`. Created by `acquire_tracing`.

    ``was_on`` says whether tracing was on before. A lease without references releases itself.
    """

    __slots__ = ("_marker", "_released", "was_on")

    def __init__(self, was_on: bool) -> None:
        self.was_on = was_on
        self._released = True  # until the lease is counted
        self._marker = object()

    @property
    def intact(self) -> bool:
        """Whether tracing has run without stop or clearing since the lease was acquired."""
        return not self._released and _has_trace(self._marker)

    def release(self) -> None:
        """Release the lease; the last release stops our tracing. Does nothing the second time."""
        if not self._released:
            self._released = True
            _tracing.release()

    def __del__(self) -> None:
        if hasattr(self, "_released") and not sys.is_finalizing():
            self.release()


class _Tracing:
    """The number of leases and the marker of the session that we started."""

    def __init__(self) -> None:
        # Reentrant: a finaliser may run while the lock is held and acquire a lease itself.
        self._lock = ForkSafeLock()
        self._lease_count = 0
        self._session_marker: object | None = None

    def acquire(self, frames: int) -> TracingLease:
        import tracemalloc

        with self._lock:
            # Counted first: if a finaliser acquires and releases a lease in here, its release
            # must not count as the last one.
            self._lease_count += 1
            try:
                was_on = tracemalloc.is_tracing()
                if not was_on:
                    tracemalloc.start(frames)
                    self._session_marker = object()
                lease = TracingLease(was_on)
            except BaseException:
                self._lease_count -= 1
                raise
            lease._released = False
        return lease

    def release(self) -> None:
        import tracemalloc

        with self._lock:
            self._lease_count -= 1
            if self._lease_count == 0:
                if not self.is_borrowed():
                    tracemalloc.stop()
                self._session_marker = None

    def is_borrowed(self) -> bool:
        marker = self._session_marker
        return marker is None or not _has_trace(marker)


def _has_trace(marker: object) -> bool:
    import tracemalloc

    # While tracing is off, no object has a trace.
    return tracemalloc.get_object_traceback(marker) is not None


_tracing = _Tracing()


def acquire_tracing(frames: int) -> TracingLease:
    """Start tracing if it is off and return a lease that keeps it on.

    ``frames`` is the number of frames that a trace keeps. If tracing is on already, it keeps its
    depth. Raises ``OptionError`` if ``frames`` is not 1 to 65535, ``CaptureError`` in a last finalizer.
    """
    require_usable_interpreter("a trace of allocations")
    check_integer("frames", frames, 1, MAX_FRAMES)
    return _tracing.acquire(frames)


def tracing_is_borrowed() -> bool:
    """Return whether other code started the tracing session, or there is no session of ours."""
    return _tracing.is_borrowed()
