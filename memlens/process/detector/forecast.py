"""Properties of a confirmed leak: the time until the limit and the kind of memory that grows."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Protocol

from memlens.process.detector.alert import Verdict

__all__ = ("Watched", "kind_of_growth", "time_to_limit")

_HOUR_SECONDS = 3600.0


class Watched(Protocol):
    """The part of a detector that this module needs."""

    @property
    def verdict(self) -> Verdict:
        """The current verdict."""

    def floor_growth_since(self, since: float) -> tuple[float, float]:
        """Return the growth of the floor in bytes since an instant, and its level at that time."""

    def peak_bytes(self) -> float:
        """Return the current height of the peaks of the readings, in bytes."""


def time_to_limit(
    leaking: Watched, limit_bytes: float, resident: Watched | None
) -> tuple[float, tuple[float, float]] | None:
    """Return the seconds until the peaks reach the limit, and their interval; None if unknown.

    The limit is on resident memory. If that series is available its level is used, and its slope
    once it is known to grow. The kernel kills at peaks, so the peaks count and not the floor.
    """
    growing = resident or leaking
    if growing.verdict.interval_bytes_per_hour is None:
        growing = leaking
    slope, interval = growing.verdict.slope_bytes_per_hour, growing.verdict.interval_bytes_per_hour
    if slope is None or interval is None or slope <= 0:
        return None
    room = max(limit_bytes - (resident or leaking).peak_bytes(), 0.0)
    low, high = interval
    return (
        room / slope * _HOUR_SECONDS,
        (room / high * _HOUR_SECONDS, room / low * _HOUR_SECONDS if low > 0 else inf),
    )


def kind_of_growth(
    series: str, leaking: Watched, related: Mapping[str, Watched], since: float
) -> str:
    """Return the kind of memory that grew since ``since``, by comparing several series.

    A series explains the growth if it accounts for at least half of it. Block counts are not in
    bytes; they explain the growth if their relative growth is at least half as large.
    """
    if series in ("python", "blocks"):
        return "python"
    growth, level = leaking.floor_growth_since(since)
    shares = {
        name: related[name].floor_growth_since(since)[0] / growth
        for name in ("python", "malloc")
        if name in related and growth > 0
    }
    if "blocks" in related and growth > 0 and level > 0:
        more, before = related["blocks"].floor_growth_since(since)
        shares.setdefault("python", more / before / (growth / level) if before > 0 else 0.0)
    if "python" not in shares:
        return "unknown"
    if shares["python"] >= 0.5:
        return "python"
    if "malloc" not in shares:
        return "native or fragmentation"
    return "native" if shares["malloc"] >= 0.5 else "fragmentation"
