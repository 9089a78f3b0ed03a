"""Which suspects each process-hour has: the leaks, and accusations of healthy processes by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from benchmarks.simulated_fleet import names
from benchmarks.simulated_fleet.columns import coded, constant
from benchmarks.simulated_fleet.hours import Hours
from benchmarks.simulated_fleet.lives import Lives
from benchmarks.simulated_fleet.load import leaked_seconds
from benchmarks.simulated_fleet.plan import HOUR, FleetPlan, ServicePlan
from benchmarks.simulated_fleet.process_rows import MIN_SNAPSHOTS, snapshot_counts

__all__ = ("CONFIDENCES", "SUSPECTS", "Accusations", "accuse", "suspect_rows")

SUSPECTS = (names.LEAK, names.KNOWN, names.NEW_CACHE, *names.FALSE_SUSPECTS)
CONFIDENCES = ("high", "medium", "low")
_SEEN = 0.9  # of the hours in which a leak grows
_CACHE_SHARE = 0.004  # of the processes whose new cache is accused while it warms up


@dataclass(frozen=True)
class Accusations:
    """Suspects by column: the process-hour, the number of the suspect, its confidence and growth."""

    hour: np.ndarray
    suspect: np.ndarray
    confidence: np.ndarray
    growth: np.ndarray
    retained: np.ndarray

    def of(self, places: np.ndarray, count: int) -> Accusations:
        """Return those of some process-hours of ``count``, with the new numbers of the hours."""
        new = np.full(count, -1)
        new[places] = np.arange(len(places))
        kept = np.flatnonzero(new[self.hour] >= 0)
        kept = kept[np.lexsort((-self.growth[kept], new[self.hour[kept]]))]
        return Accusations(
            new[self.hour[kept]], self.suspect[kept], self.confidence[kept], self.growth[kept],
            self.retained[kept],
        )  # fmt: skip

    def states(self, hours: Hours, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return for each process-hour whether it has a suspect, and the confidence of the verdict."""
        accused = np.zeros(len(hours), bool)
        accused[self.hour] = True
        snapshots = snapshot_counts(hours)
        confidence = np.where(snapshots < MIN_SNAPSHOTS, 2, np.where(snapshots < 5, 1, 0))
        confidence[self.hour] = self.confidence
        return accused, confidence


def accuse(
    plan: FleetPlan, service: ServicePlan, lives: Lives, hours: Hours, rng: np.random.Generator
) -> Accusations:
    """Return the suspects of all process-hours."""
    found = [
        _leak(lives, hours, number, rates, rng)
        for number, rates in ((0, lives.leak), (1, lives.known))
    ]
    found.append(_by_chance(plan, lives, hours, rng))
    new = np.array([release.has_new_cache for release in service.releases])[lives.release]
    warming = new[hours.at] & (hours.number >= 3) & (hours.number <= 5)
    chosen = rng.random(len(lives)) < _CACHE_SHARE * (plan.false_share > 0)
    where = np.flatnonzero(warming & chosen[hours.at])
    growth = 0.004 * lives.limit[hours.at[where]] / hours.number[where]
    found.append((where, np.full(len(where), 2), np.full(len(where), 2), growth, 3 * growth))
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return Accusations(
        *(column.astype(np.int64) for column in columns[:3]), *map(np.floor, columns[3:])
    )


def _leak(lives, hours, number, rates, rng):
    snapshots = snapshot_counts(hours)
    where = np.flatnonzero(
        (rates[hours.at] > 0) & (snapshots >= MIN_SNAPSHOTS) & (rng.random(len(hours)) < _SEEN)
    )
    at, true, window = hours.at[where], hours.true[where], (snapshots[where] - 1) * HOUR
    start = lives.start[at]
    held = rates[at] / HOUR * leaked_seconds(start, true)
    growth = held - rates[at] / HOUR * leaked_seconds(start, true - window)
    few = np.where(rng.random(len(where)) < 0.1, 2, 1)
    confidence = np.where((snapshots[where] >= 5) & (rng.random(len(where)) < 0.9), 0, few)
    return where, np.full(len(where), number), confidence, growth, held


def _by_chance(plan, lives, hours, rng):
    """Accuse single processes: one suspect for one or two hours, mostly with low confidence."""
    can = np.flatnonzero(hours.number >= MIN_SNAPSHOTS)
    lasts = np.zeros(len(lives), int)
    np.maximum.at(lasts, hours.at[can], hours.number[can])
    chosen = np.flatnonzero((rng.random(len(lives)) < plan.false_share) & (lasts > 0))
    hour = rng.integers(MIN_SNAPSHOTS, lasts[chosen] + 1)
    kinds = len(names.FALSE_SUSPECTS)
    odds = 1.0 / np.arange(1, kinds + 1)
    suspect = 3 + rng.choice(kinds, len(chosen), p=odds / odds.sum())
    takes = rng.integers(0, 2, len(chosen))  # hours more than one
    first, suspect_of, lasting = (np.full(len(lives), -9) for _ in range(3))
    first[chosen], suspect_of[chosen], lasting[chosen] = hour, suspect, takes
    since = hours.number - first[hours.at]
    where = can[((first[hours.at] > 0) & (since >= 0) & (since <= lasting[hours.at]))[can]]
    growth = rng.uniform(50e3, 2e6, len(where))
    confidence = np.where(rng.random(len(where)) < 0.15, 1, 2)
    return where, suspect_of[hours.at[where]], confidence, growth, growth * 3


def suspect_rows(hours: Hours, found: Accusations) -> dict[str, pa.Array]:
    """Return the columns of ``suspects``; ``found`` is sorted by process-hour."""
    number = found.suspect
    count = len(number)
    starts = np.searchsorted(found.hour, found.hour)
    growth = found.growth.astype(np.int64)

    def text(of) -> pa.Array:
        return coded(number, [of(one) for one in SUSPECTS])

    patterns = [one.pattern or "" for one in SUSPECTS]
    without = np.array([one.pattern is None for one in SUSPECTS])[number] if count else None
    types = pa.array([list(SUSPECTS[one].growing_types) for one in number], pa.list_(pa.string()))
    return {
        "fingerprint": text(lambda one: one.fingerprint),
        "rank": pa.array(np.arange(count) - starts + 1),
        "holder": text(lambda one: one.holder),
        "holder_type": text(lambda one: one.holder_type),
        "held_by": text(lambda one: f"module {one.holder}"),
        "growing_types": types,
        "pattern": coded(number, patterns, mask=without),
        "evidence": text(
            lambda one: f"{one.growing_types[0]} objects are added and none is removed"
        ),
        "suggestion": text(lambda one: f"Remove entries of {one.holder} when they are done with."),
        "origin": constant("the program", count),
        "site": text(lambda one: one.site),
        "confidence": coded(found.confidence, list(CONFIDENCES)),
        "count_growth": pa.array(growth // 600 + 1),
        "growth_bytes": pa.array(growth),
        "retained_bytes": pa.array(found.retained.astype(np.int64)),
        "window_seconds": pa.array((snapshot_counts(hours)[found.hour] - 1) * HOUR),
    }
