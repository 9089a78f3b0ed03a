"""AllocationSource: the allocation side of a profiler that must never take the program down."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from memlens._core.sampler_api import why_unavailable
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profiler import DEFAULT_INTERVAL_BYTES, AllocationProfiler
from memlens.errors import MemlensError, OptionError

__all__ = ("WAYS", "AllocationSource")

WAYS = ("sampling", "tracemalloc", None)
_said: set[str] = set()  # reasons already logged, once a process


class AllocationSource:
    """Profiles allocations by ``how``: ``"sampling"``, ``"tracemalloc"``, or None: not at all.

    Where sampling is asked for and cannot be done, nothing is profiled: that is logged once a
    process, and `health` says why. It never falls back to tracemalloc, which would make a service
    several times slower without being asked. Raises OptionError.
    """

    def __init__(self, how: str | None, interval_bytes: int = DEFAULT_INTERVAL_BYTES) -> None:
        if how not in WAYS:
            raise OptionError(
                f"unknown allocations={how!r}: use 'sampling', 'tracemalloc', or None for off"
            )
        self.how = how
        self._profiler: AllocationProfiler | None = None
        self._last: AllocationProfile | None = None
        self._failures = 0
        self._reason: str | None = None if how else "not asked for"
        if how == "sampling" and (reason := why_unavailable()) is not None:
            AllocationProfiler(interval_bytes, backend="tracemalloc")  # checks the interval
            self._say_off(reason)
        elif how is not None:
            self._profiler = AllocationProfiler(interval_bytes, backend=how)

    def start(self) -> None:
        """Begin with an empty profile; nothing where it runs already, or cannot."""
        if self._profiler is None or self._profiler.is_running:
            return
        try:
            self._profiler.start()
            self._reason = None
        except MemlensError as error:
            self._failed(error)

    def stop(self, last: Callable[[], object] | None = None) -> None:
        """Stop; the profile up to now stays. Nothing where it does not run.

        ``last`` is called before sampling ends, and is no part of the profile: a snapshot that is
        to know the sites of its objects.
        """
        profile = self.profile()
        try:
            if last is not None:
                last()
        finally:
            if self._profiler is not None and self._profiler.is_running:
                self._end(self._profiler)
            self._last = profile

    def _end(self, profiler: AllocationProfiler) -> None:
        try:
            profiler.stop()
        except MemlensError as error:
            self._failed(error)

    def profile(self) -> AllocationProfile | None:
        """Return the profile since the start, or that of the last run; None where there is none."""
        profiler = self._profiler
        if profiler is not None and profiler.is_running:
            try:
                self._last = profiler.profile()
            except MemlensError as error:  # somebody stopped tracemalloc: the program goes on
                self._failed(error)
        return self._last

    def health(self) -> dict[str, Any]:
        """Return ``how``, ``running``, ``off_because``, ``failures`` and the profiler's numbers."""
        numbers = self._profiler.health() if self._profiler is not None else {"is_running": False}
        return {
            **numbers,
            "how": self.how,
            "off_because": None if numbers["is_running"] else self._reason,
            "failures": self._failures,
        }

    def _failed(self, error: MemlensError) -> None:
        self._failures += 1
        self._say_off(str(error))

    def _say_off(self, reason: str) -> None:
        self._reason = reason
        if reason not in _said:
            _said.add(reason)
            logging.getLogger("memlens").warning("allocations are not profiled: %s", reason)
