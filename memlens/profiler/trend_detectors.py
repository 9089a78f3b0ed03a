"""The leak detectors of a profiler: one for live blocks, one for resident memory.

Live blocks belong to Python. Right after a full collection they contain no garbage, so such a count
is used if there was one since the last reading. Resident memory counts against the limit, and
includes memory outside Python.
"""

from __future__ import annotations

from collections.abc import Callable

from memlens.process.detector.alert import DetectorReport, LeakAlert
from memlens.process.detector.forecast import time_to_limit
from memlens.process.detector.leak_detector import MemoryLeakDetector
from memlens.process.limits import memory_limit
from memlens.process.reading import MemoryReading
from memlens.profiler.steep_rise import SteepRise

__all__ = ("TrendDetectors",)

_MIN_BLOCKS = 1000.0  # minimum growth; fewer blocks are noise in any program


class TrendDetectors:
    """Passes readings of this process to the detectors, and keeps the newest alert until taken.

    ``clean_blocks`` returns the live blocks right after the last full collection, or None if there
    was none since its last call. ``limit_bytes`` is the limit of resident memory; None is that of
    the container or the machine, read each time. The other options are those of `MemoryLeakDetector`.
    """

    def __init__(
        self,
        clean_blocks: Callable[[], int | None],
        *,
        sample_interval: float,
        window_size: int | None,
        warmup_seconds: float,
        min_window_seconds: float,
        growth_threshold: float,
        limit_bytes: int | None = None,
    ) -> None:
        def limit() -> float | None:
            return memory_limit().limit_bytes if limit_bytes is None else limit_bytes

        def detector(
            series: str, min_growth: float, related: dict[str, MemoryLeakDetector]
        ) -> MemoryLeakDetector:
            return MemoryLeakDetector(
                sample_interval,
                window_size,
                warmup_seconds,
                min_window_seconds,
                growth_threshold,
                self._note,
                min_growth_bytes=min_growth,
                limit=limit,
                related=related,
                series=series,
            )

        self._clean_blocks = clean_blocks
        self._pending: LeakAlert | None = None
        self._resident = detector("rss", 2.0 * 1024 * 1024, {})
        self._blocks = detector("blocks", _MIN_BLOCKS, {"rss": self._resident})
        self._resident.relate("blocks", self._blocks)
        self._steep = SteepRise(limit)
        self._steep_alert: LeakAlert | None = None

    def observe(self, reading: MemoryReading) -> None:
        """Add a reading, at its time on the monotonic clock."""
        live, time = reading.allocated_blocks, reading.monotonic_seconds
        clean = self._clean_blocks()
        self._resident.observe(reading.rss_bytes, time)
        self._blocks.observe(live if clean is None else min(live, clean), time)
        self._steep_alert = self._steep.observe(reading)

    def reset(self) -> None:
        """Forget all readings, as in a forked child."""
        self._pending = self._steep_alert = None
        self._steep.reset()
        self._resident.reset()
        self._blocks.reset()

    @property
    def has_alert(self) -> bool:
        """Whether there is an alert that was not taken and still holds."""
        if self._pending is not None and not self._is_leaking():
            self._pending = None  # withdrawn before it was taken
        return self._pending is not None

    def take_alert(self) -> LeakAlert | None:
        """Return the pending alert and clear it."""
        alert, self._pending = self._pending, None
        return alert

    @property
    def steep_alert(self) -> LeakAlert | None:
        """The alert of the last reading, where memory rises steeply against the limit."""
        return self._steep_alert

    @property
    def is_leaking(self) -> bool:
        """Whether a trend shows a leak now, or memory still rises steeply."""
        return self._is_leaking() or self._steep.is_rising

    def report(self) -> tuple[DetectorReport, ...]:
        """Return the report of each detector."""
        return self._blocks.report(), self._resident.report()

    def states(self) -> dict[str, str]:
        """Return what each detector says of its series, in a word."""
        return {one.series: one.verdict.state for one in self.report()}

    def seconds_to_limit(self, limit_bytes: float | None) -> float | None:
        """Return the seconds until resident memory reaches the limit.

        None unless memory rises steeply or a leak is confirmed, and resident memory grows.
        """
        steep = self._steep_alert
        if steep is not None:
            return steep.seconds_to_limit
        if limit_bytes is None or not self._is_leaking():
            return None
        left = time_to_limit(self._resident, limit_bytes, self._resident)
        return left[0] if left else None

    def _is_leaking(self) -> bool:
        return self._blocks.verdict.is_leak or self._resident.verdict.is_leak

    def _note(self, alert: LeakAlert) -> None:
        # Of two alerts at once, keep the more specific one of Python's blocks.
        if self._pending is None or alert.series == "blocks":
            self._pending = alert
