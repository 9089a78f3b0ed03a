"""ProfileFacts: what is known about an allocation profile besides its rows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("ProfileFacts",)


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """What is known about a profile besides its rows. Sizes in bytes, times in seconds.

    ``source`` is ``"sampling"`` or ``"tracemalloc"``; ``interval_bytes`` the mean distance of
    samples at the end (1: exact); ``started_at`` a Unix time; ``rss_bytes`` the process's resident
    memory when the profile was made, None where the platform did not tell; ``dropped_samples`` live
    samples given up to stay within bounds (their weight went to the others). ``hooks_bypassed``:
    another tool has taken the sampler's hooks away, so that the numbers end at that moment.
    """

    source: str
    interval_bytes: int
    started_at: float
    duration_seconds: float
    pid: int
    python: str
    rss_bytes: int | None = None
    dropped_samples: int = 0
    hooks_bypassed: bool = False
