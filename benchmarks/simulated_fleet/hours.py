"""Process-hours: when each process takes a snapshot and writes its tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulated_fleet.clocks import Clocks
from benchmarks.simulated_fleet.lives import Lives
from benchmarks.simulated_fleet.load import leaked_seconds
from benchmarks.simulated_fleet.plan import HOUR, FleetPlan

__all__ = ("Hours", "hours_of")

MICROSECONDS = 1_000_000
DAY_MICROSECONDS = 86_400 * MICROSECONDS


@dataclass(frozen=True)
class Hours:
    """Process-hours by column. ``at``: the process; ``true``: the time; ``wall``: what its clock shows.

    ``leaked``, ``known``: what the leaks hold, in bytes; ``number``: which hour of the process, from 1;
    0 is the end of a short process, which takes no snapshot. ``is_small``: nobody has merged its files.
    """

    at: np.ndarray
    true: np.ndarray
    wall: np.ndarray
    leaked: np.ndarray
    known: np.ndarray
    number: np.ndarray
    is_small: np.ndarray

    def __len__(self) -> int:
        return len(self.at)

    def take(self, places: np.ndarray) -> Hours:
        """Return some of them."""
        return Hours(*(getattr(self, name)[places] for name in self.__dataclass_fields__))

    @property
    def day(self) -> np.ndarray:
        """The day of each by the clock of the process: days since 1970."""
        return self.wall // DAY_MICROSECONDS


def hours_of(
    plan: FleetPlan, lives: Lives, clocks: Clocks, small: set[str], rng: np.random.Generator
) -> Hours:
    """Return the process-hours of the period. ``small``: hosts whose newest day is not merged."""
    lasts = np.minimum(lives.end, plan.end)
    counts = np.where(lives.is_job, 0, np.floor((lasts - lives.start) / HOUR)).astype(int)
    at = np.repeat(np.arange(len(lives)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    number = np.arange(len(at)) - first[at] + 1
    true = lives.start[at] + number * HOUR + rng.uniform(0.0, 40.0, len(at))
    jobs = np.flatnonzero(lives.is_job & (lasts > plan.begin))
    at = np.concatenate([at, jobs])
    number = np.concatenate([number, np.zeros(len(jobs), int)])
    true = np.concatenate([true, lasts[jobs]])
    kept = (true >= plan.begin) & (true <= lasts[at])
    at, number, true = at[kept], number[kept], true[kept]
    wall = np.round(clocks.wall(lives.pod[at], true) * MICROSECONDS).astype(np.int64)
    grown = leaked_seconds(lives.start[at], true) / HOUR
    is_new = true > plan.end - plan.unmerged_hours * HOUR
    if small:
        of_small = np.array([host in small for host in lives.host])
        is_new |= of_small[at] & (true > plan.end - 24 * HOUR)
    return Hours(at, true, wall, lives.leak[at] * grown, lives.known[at] * grown, number, is_new)
