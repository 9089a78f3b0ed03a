"""AllocationSource: optional allocation profiling that never disturbs the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memlens._core.sampler_api import why_unavailable
from memlens._log import warn_once
from memlens._options import check_choice
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profiler import (
    DEFAULT_INTERVAL_BYTES,
    AllocationProfiler,
    IntervalStart,
)
from memlens.allocations.sampling.site_tables import LiveSites
from memlens.errors import MemlensError

__all__ = ("MODES", "AllocationSource")

MODES = ("sampling", "tracemalloc", None)


class AllocationSource:
    """Profiles allocations in one of the `MODES`; None turns it off.

    If sampling is requested but unavailable, nothing is profiled: the reason is logged once per
    process and shown by `health`. There is no fallback to tracemalloc, which would make a service
    several times slower without the user's consent. ``interval_bytes`` is the average number of
    bytes between samples. Raises ``OptionError``.
    """

    def __init__(self, mode: str | None, interval_bytes: int = DEFAULT_INTERVAL_BYTES) -> None:
        self.mode = check_choice("allocations", mode, MODES)
        self._profiler: AllocationProfiler | None = None
        self._last: AllocationProfile | None = None
        self._failures = 0
        self._off_reason: str | None = None if mode else "not requested"
        if mode == "sampling" and (reason := why_unavailable()) is not None:
            AllocationProfiler(interval_bytes, backend="tracemalloc")  # checks the interval
            self._turn_off(reason)
        elif mode is not None:
            self._profiler = AllocationProfiler(interval_bytes, backend=mode)

    def start(self) -> None:
        """Start with an empty profile. Does nothing if running or unavailable."""
        if self._profiler is None or self._profiler.is_running:
            return
        try:
            self._profiler.start()
            self._off_reason = None
        except MemlensError as error:
            self._failed(error)

    def stop(self, last: Callable[[], object] | None = None) -> None:
        """Stop and keep the profile. Does nothing if not running.

        ``last`` is called before sampling ends and is not part of the profile. It takes a snapshot
        that includes the allocation sites of its objects.
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
        """Return the profile since the start, or that of the last run; None if there is none."""
        profiler = self._profiler
        if profiler is not None and profiler.is_running:
            try:
                self._last = profiler.profile()
            except MemlensError as error:  # the program stopped tracemalloc
                self._failed(error)
        return self._last

    def interval_profile(
        self, since: IntervalStart | None
    ) -> tuple[AllocationProfile, IntervalStart] | None:
        """Return the profile of an interval and where the next one begins; None if not running."""
        profiler = self._profiler
        if profiler is None or not profiler.is_running:
            return None
        try:
            return profiler.interval_profile(since)
        except MemlensError as error:
            if profiler.is_running:  # the program stopped tracemalloc; else it ended meanwhile
                self._failed(error)
            return None

    def live_sites(self, limit: int) -> LiveSites | None:
        """Return the lines that allocated most of what is alive; None unless sampling runs."""
        return None if self._profiler is None else self._profiler.live_sites(limit)

    def health(self) -> dict[str, Any]:
        """Return ``mode``, ``off_reason``, ``failures`` and the numbers of the profiler."""
        numbers = self._profiler.health() if self._profiler is not None else {"is_running": False}
        return {
            **numbers,
            "mode": self.mode,
            "off_reason": None if numbers["is_running"] else self._off_reason,
            "failures": self._failures,
        }

    def _failed(self, error: MemlensError) -> None:
        self._failures += 1
        self._turn_off(str(error))

    def _turn_off(self, reason: str) -> None:
        self._off_reason = reason
        warn_once(f"allocations are not profiled: {reason}", event="allocations_off", reason=reason)
