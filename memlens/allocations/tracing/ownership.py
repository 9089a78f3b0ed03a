"""Who keeps tracemalloc on. It is one switch for the whole process, so its users must share it.

Everything of ours that needs tracing holds a `TracingLease`. The first lease starts tracing if it
is off, the last one stops it, and only if the session is still the one we started: tracing that
somebody else switched on, before or after, is left on with its own depth.

A session is recognised by a *marker*, an object allocated while it ran: it has a trace for as long
as nobody stops tracing or clears the traces.
"""

from __future__ import annotations

import os
import sys
import threading

from memlens.allocations.options import MAX_FRAMES, check_whole

__all__ = ("TracingLease", "acquire_tracing", "tracing_is_borrowed")


class TracingLease:
    """Keeps tracing on until `release`; made by `acquire_tracing`.

    ``was_on`` tells whether tracing was on already. A lease that is dropped releases itself.
    """

    __slots__ = ("_marker", "_released", "was_on")

    def __init__(self, was_on: bool) -> None:
        self.was_on = was_on
        self._released = True  # until it is counted
        self._marker = object()

    @property
    def intact(self) -> bool:
        """Whether nobody stopped tracing or cleared its traces since the lease was taken."""
        return not self._released and _has_trace(self._marker)

    def release(self) -> None:
        """Give the lease back; the last one stops the tracing that we started. Repeatable."""
        if not self._released:
            self._released = True
            _tracing.give_back()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.release()


class _Tracing:
    """The count of leases, and the marker of the session that we started."""

    def __init__(self) -> None:
        # Re-entrant: a finaliser that runs inside may itself be measured.
        self._lock = threading.RLock()
        self._lease_count = 0
        self._session_marker: object | None = None

    def take(self, frames: int) -> TracingLease:
        import tracemalloc

        with self._lock:
            # Counted first: a finaliser that takes and gives back a lease in here must not find
            # itself the last one.
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

    def give_back(self) -> None:
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

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()  # another thread of the parent may have held it


def _has_trace(marker: object) -> bool:
    import tracemalloc

    # While tracing is off nothing has a trace.
    return tracemalloc.get_object_traceback(marker) is not None


_tracing = _Tracing()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tracing.after_fork_in_child)


def acquire_tracing(frames: int) -> TracingLease:
    """Switch tracing on, or join it with the depth that it has, and return the lease.

    ``frames`` is how many frames a trace keeps if tracing starts here. Raises ``OptionError`` where
    that is not 1 to 65535.
    """
    check_whole("frames", frames, 1, MAX_FRAMES)
    return _tracing.take(frames)


def tracing_is_borrowed() -> bool:
    """Tell whether the tracing session, if any, was started by somebody else."""
    return _tracing.is_borrowed()
