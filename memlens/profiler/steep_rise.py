"""SteepRise: memory that rises so fast that it reaches its limit before a trend is certain."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from itertools import combinations, pairwise

from memlens.process.detector.alert import LeakAlert
from memlens.process.reading import MemoryReading

__all__ = ("SteepRise",)

_READINGS = 6
_MIN_READINGS = 4  # each higher than the one before
_SOON_SECONDS = 900.0
_MIN_SHARE = 0.5  # of the limit that is used: below it, programs load their data


class SteepRise:
    """Follows the last few readings of resident memory against a limit.

    ``limit`` returns the limit in bytes, or None where there is none.
    """

    def __init__(self, limit: Callable[[], float | None]) -> None:
        self._limit = limit
        self._seen: deque[MemoryReading] = deque(maxlen=_READINGS)

    def reset(self) -> None:
        """Forget all readings, as in a forked child."""
        self._seen.clear()

    @property
    def is_rising(self) -> bool:
        """Whether each of the last few readings was higher than the one before."""
        seen = self._seen
        return len(seen) >= _MIN_READINGS and all(
            before.rss_bytes < after.rss_bytes
            and before.monotonic_seconds < after.monotonic_seconds
            for before, after in pairwise(seen)
        )

    def observe(self, reading: MemoryReading) -> LeakAlert | None:
        """Add a reading; return an alert if memory reaches its limit within a quarter of an hour.

        Only above half of the limit, and only while every reading is higher than the one before.
        """
        self._seen.append(reading)
        limit = self._limit() if self.is_rising else None
        if limit is None or reading.rss_bytes < _MIN_SHARE * limit:
            return None
        slopes = sorted(
            (after.rss_bytes - before.rss_bytes)
            / (after.monotonic_seconds - before.monotonic_seconds)
            for before, after in combinations(self._seen, 2)
        )
        slope = slopes[len(slopes) // 2]
        left = max(limit - reading.rss_bytes, 0)
        if left / slope > _SOON_SECONDS:
            return None
        return LeakAlert(
            series="rss",
            time=reading.monotonic_seconds,
            since=self._seen[0].monotonic_seconds,
            level_bytes=reading.rss_bytes,
            growth_bytes=reading.rss_bytes - self._seen[0].rss_bytes,
            slope_bytes_per_hour=slope * 3600,
            interval_bytes_per_hour=(slopes[0] * 3600, slopes[-1] * 3600),
            confidence=1 - 1 / math.factorial(len(self._seen)),  # of a rise by chance
            steepening=False,
            kind="steep",
            limit_bytes=limit,
            seconds_to_limit=left / slope,
            seconds_to_limit_interval=(left / slopes[-1], left / slopes[0]),
        )
