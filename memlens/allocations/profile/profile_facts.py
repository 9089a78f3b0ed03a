"""ProfileFacts: how and when an allocation profile was made."""

from __future__ import annotations

from dataclasses import dataclass

from memlens._display import displayed

__all__ = ("ProfileFacts",)


@displayed
@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """How and when a profile was made. Sizes are in bytes, times in seconds.

    - ``source``: ``"sampling"`` or ``"tracemalloc"``.
    - ``interval_bytes``: the mean number of bytes between samples at the end (1: exact).
    - ``started_at``: Unix time.
    - ``rss_bytes``: resident memory of the process at the end; None if the platform does not
      report it.
    - ``dropped_samples``: live samples dropped to respect ``max_samples``. The remaining samples
      carry their weight.
    - ``hooks_bypassed``: another tool replaced the sampler's allocation hooks; nothing was counted
      after that.
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

    def __repr__(self) -> str:
        return f"<ProfileFacts: {self.source}, {self.duration_seconds:.1f} s of process {self.pid}>"
