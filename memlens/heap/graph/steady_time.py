"""The time of a snapshot by a clock that is never set, for the time between two snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

__all__ = ("STEADY_FACT", "steady_seconds")

STEADY_FACT = "steady_timestamp"  # of snapshots


def steady_seconds(facts: Mapping[str, Any]) -> float:
    """Return when a snapshot was taken, in seconds since the epoch, for differences within a process.

    A profiler notes it (`memlens.process.start.steady_time`). The time of the wall clock, which may
    be set between two snapshots, is returned where that is not noted.
    """
    noted = facts.get(STEADY_FACT)
    if type(noted) is float and isfinite(noted):
        return noted
    return float(facts.get("timestamp", 0))
