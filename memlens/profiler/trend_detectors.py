"""The leak detectors of a profiler: one for live blocks, one for resident memory.

Live blocks are Python's own; right after a full collection they are what is really in use, so that
such a count is taken where there was one since the last reading. Resident memory is what runs
against the limit, and shows what is not Python's.
"""

from __future__ import annotations

from collections.abc import Callable

from memlens.process.detector.alert import DetectorReport, LeakAlert
from memlens.process.detector.leak_detector import MemoryLeakDetector
from memlens.process.limits import memory_limit
from memlens.process.reading import MemoryReading

__all__ = ("TrendDetectors",)

_MIN_BLOCKS = 1000.0  # of growth; fewer are any program's noise


class TrendDetectors:
    """Feeds readings of this process to its detectors, and keeps the newest alert until taken.

    ``clean_blocks`` gives the live blocks right after the last full collection and forgets them,
    None where there was none since it was asked last. Options as of `MemoryLeakDetector`.
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
    ) -> None:
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
                limit=lambda: memory_limit().limit_bytes,
                related=related,
                series=series,
            )

        self._clean_blocks = clean_blocks
        self._pending: LeakAlert | None = None
        self._resident = detector("rss", 2.0 * 1024 * 1024, {})
        self._blocks = detector("blocks", _MIN_BLOCKS, {"rss": self._resident})
        self._resident.relate("blocks", self._blocks)

    def observe(self, reading: MemoryReading) -> None:
        """Take a reading, at its time on the monotonic clock."""
        live, time = reading.allocated_blocks, reading.monotonic_seconds
        clean = self._clean_blocks()
        self._resident.observe(reading.rss_bytes, time)
        self._blocks.observe(live if clean is None else min(live, clean), time)

    def reset(self) -> None:
        """Begin anew, as in a forked child."""
        self._pending = None
        self._resident.reset()
        self._blocks.reset()

    @property
    def alerting(self) -> bool:
        """Whether there is an alert that nobody has taken and that still holds."""
        if self._pending is not None and not self._leaking():
            self._pending = None  # withdrawn before anybody looked
        return self._pending is not None

    def take_alert(self) -> LeakAlert | None:
        """Return the alert that waits, once."""
        alert, self._pending = self._pending, None
        return alert

    def report(self) -> tuple[DetectorReport, ...]:
        """Return what each detector has seen."""
        return self._blocks.report(), self._resident.report()

    def _leaking(self) -> bool:
        return self._blocks.verdict.is_leak or self._resident.verdict.is_leak

    def _note(self, alert: LeakAlert) -> None:
        # Of two at once, the one of Python's blocks says more.
        if self._pending is None or alert.series == "blocks":
            self._pending = alert
