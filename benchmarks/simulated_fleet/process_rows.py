"""Rows of ``readings`` and ``verdicts``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.simulated_fleet.columns import coded, constant
from benchmarks.simulated_fleet.hours import Hours
from benchmarks.simulated_fleet.lives import Lives
from benchmarks.simulated_fleet.plan import HOUR

__all__ = ("MIN_SNAPSHOTS", "reading_offsets", "reading_rows", "snapshot_counts", "verdict_rows")

MIN_SNAPSHOTS = 3  # fewer give no verdict
_MAX_SNAPSHOTS = 6
_SERIES = ("heap", "rss", "blocks")
_STATES = ("leak", "no leak", "unknown", "warming", "stable", "growing")
_LEAK, _NO_LEAK, _UNKNOWN, _WARMING, _STABLE, _GROWING = range(6)


def snapshot_counts(hours: Hours) -> np.ndarray:
    """Return how many snapshots are compared in each process-hour."""
    return np.minimum(hours.number, _MAX_SNAPSHOTS)


def reading_offsets(hours: Hours, uptime: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the process-hour of each reading, and by how many seconds it is older than that."""
    spans = np.where(hours.number > 0, HOUR, np.minimum(uptime, HOUR))
    counts = np.maximum((spans / step).astype(int), 1)
    rows = np.repeat(np.arange(len(hours)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    back = counts[rows] - 1 - (np.arange(len(rows)) - first[rows])
    return rows, np.minimum(back * step, uptime[rows])


def reading_rows(
    lives: Lives, hours: Hours, rows: np.ndarray, offset: np.ndarray, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """Return the columns of ``readings``."""
    at, true = hours.at[rows], hours.true[rows] - offset
    limit = lives.limit[at]
    used = lives.used(at, true) * rng.normal(1.0, 0.004, len(rows))
    used = np.minimum(used, limit * 0.999)
    count = len(rows)
    pages = (used / 4096).astype(np.int64)
    return {
        "rss_bytes": pa.array(pages * 4096),
        "malloc_bytes": pa.array((used * 0.62).astype(np.int64) // 16 * 16),
        "limit_bytes": pa.array(limit),
        "limit_source": constant("cgroup", count),
        "limit_used_bytes": pa.array((pages + 1800) * 4096),
        "allocated_blocks": pa.array((used / 290).astype(np.int64)),
        "full_collections": pa.array(((true - lives.start[at]) / 240).astype(np.int64)),
    }


def verdict_rows(
    lives: Lives,
    hours: Hours,
    accused: np.ndarray,
    confidence: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Return the columns of ``verdicts``: three rows for each process-hour.

    ``accused``: whether its heap has a suspect, ``confidence``: of the verdict over the heap.
    """  # fmt: skip
    count = len(hours)
    at, uptime = hours.at, hours.true - lives.start[hours.at]
    snapshots = snapshot_counts(hours)
    rate = lives.leak[at] + lives.known[at]
    leaks = (rate > 0) & (uptime > 4 * HOUR)
    state = np.empty((count, 3), int)
    state[:, 0] = np.where(snapshots < MIN_SNAPSHOTS, _UNKNOWN, np.where(accused, _LEAK, _NO_LEAK))
    warming = np.where(rng.random((count, 2)) < 0.004, _GROWING, _STABLE)
    warming[uptime < 2 * HOUR] = _WARMING
    warming[leaks] = _LEAK
    state[:, 1:] = warming
    window = np.empty((count, 3))
    window[:, 0] = np.maximum(snapshots - 1, 0) * HOUR
    window[:, 1:] = np.minimum(uptime, 6 * HOUR)[:, None]
    slope = rate[:, None] * np.array([np.nan, 1.0, 0.9]) + rng.normal(0.0, 2e5, (count, 3))
    width = np.abs(rng.normal(3e5, 5e4, (count, 3)))
    growth = np.where(np.isnan(slope), rate[:, None], slope) * window / HOUR
    left = lives.limit[at] - lives.used(at, hours.true)
    to_limit = np.full((count, 3), np.nan)
    to_limit[:, 1] = np.where(leaks, left / np.maximum(rate, 1.0) * HOUR, np.nan)
    texts = ["high", "medium", "low", "0.99999", "0.41"]
    trust = np.where(state == _LEAK, 3, 4)
    trust[:, 0] = confidence
    numbers = np.zeros((count, 3), int)
    numbers[:, 0] = snapshots
    return {
        "series": coded(np.tile(np.arange(3), count), list(_SERIES)),
        "state": coded(state.ravel(), list(_STATES)),
        "confidence": coded(trust.ravel(), texts),
        "growth_bytes": pa.array(growth.ravel().astype(np.int64)),
        "slope_bytes_per_hour": _known(slope),
        "slope_low_bytes_per_hour": _known(slope - width),
        "slope_high_bytes_per_hour": _known(slope + width),
        "seconds_to_limit": _known(to_limit),
        "window_seconds": pa.array(window.ravel()),
        "snapshot_count": pa.array(numbers.ravel()),
    }


def _known(values: np.ndarray) -> pa.Array:
    """Return numbers; NaN is null."""
    flat = values.ravel()
    return pa.array(flat, mask=np.isnan(flat))
