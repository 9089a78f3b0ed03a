"""What a confirmed leak means: how long until the limit, and which kind of memory it is."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Protocol

from memlens.process.detector.alert import Verdict

__all__ = ("Watched", "kind_of_growth", "time_to_limit")

_HOUR_SECONDS = 3600.0


class Watched(Protocol):
    """What is asked of a detector."""

    @property
    def verdict(self) -> Verdict:
        """What it thinks now."""

    def floor_growth_since(self, since: float) -> tuple[float, float]:
        """Return the growth of its floor in bytes since an instant, and the level then."""

    def peak_bytes(self) -> float:
        """Return how high its readings reach now."""


def time_to_limit(
    leaking: Watched, limit_bytes: float, resident: Watched | None
) -> tuple[float, tuple[float, float]] | None:
    """Return the seconds until peaks meet the limit, and their interval; ``None`` if unknown.

    The limit is on resident memory: where that series is watched too, its level counts, and its
    slope once it is found to grow. Processes are killed at peaks, not at the floor.
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
    """Return which kind of memory grew since then, from the joint movement of several series.

    A series carries the growth where it accounts for half of it or more. Counts of blocks have
    no bytes to compare; they carry it where they grew at least half as much in proportion.
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
