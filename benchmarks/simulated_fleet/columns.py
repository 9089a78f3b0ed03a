"""The columns of the process, as Arrow arrays with dictionaries: each text is stored once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.simulated_fleet.hours import Hours
from benchmarks.simulated_fleet.lives import Lives, Pods
from benchmarks.simulated_fleet.plan import ServicePlan

__all__ = ("coded", "constant", "process_columns", "table_of", "times")

MEMLENS = ("0.12.0", "0.13.0")  # hosts got the newer one with the second release
PYTHONS = ("3.12.7", "3.13.1")


def coded(codes: np.ndarray, values: list[Any], mask: np.ndarray | None = None) -> pa.Array:
    """Return texts by their numbers. Only texts that occur are in the dictionary."""
    used, codes = np.unique(codes, return_inverse=True)
    dictionary = pa.array([values[one] for one in used], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=mask), dictionary)


def constant(text: str | None, count: int) -> pa.Array:
    """Return one text, or null, ``count`` times."""
    codes = pa.array(np.zeros(count, np.int32), mask=np.full(count, text is None))
    return pa.DictionaryArray.from_arrays(codes, pa.array([text or ""]))


def times(microseconds: np.ndarray) -> pa.Array:
    """Return times of the wall clock."""
    return pa.array(microseconds).cast(pa.timestamp("us", tz="UTC"))


def process_columns(
    service: ServicePlan,
    lives: Lives,
    pods: Pods,
    hours: Hours,
    rows: np.ndarray,
    offset: np.ndarray | None = None,
) -> dict[str, pa.Array]:
    """Return the columns of the process for ``rows``: the number of the process-hour of each row.

    ``offset``: seconds that a row is before the time of its process-hour.
    """  # fmt: skip
    at = hours.at
    wall, uptime = hours.wall[rows], (hours.true - lives.start[at])[rows]
    if offset is not None:
        wall = wall - np.round(offset * 1e6).astype(np.int64)
        uptime = uptime - offset
    names = [release.name for release in service.releases]
    kinds = [service.kind, "multiprocessing"]

    def spread(codes: np.ndarray, values: list[Any]) -> pa.Array:
        small = coded(codes, values)
        return pa.DictionaryArray.from_arrays(
            pa.array(small.indices.to_numpy()[rows]), small.dictionary
        )

    return {
        "service": constant(service.name, len(rows)),
        "release": spread(lives.release[at], names),
        "day": pa.array((wall // 86_400_000_000).astype(np.int32)).cast(pa.date32()),
        "host": spread(at, lives.host),
        "process": spread(at, lives.process),
        "kind": spread(lives.is_job[at].astype(int), kinds),
        "python": spread(pods.python[lives.pod[at]], list(PYTHONS)),
        "memlens": spread((lives.release[at] > 0).astype(int), list(MEMLENS)),
        "time": times(wall),
        "uptime_seconds": pa.array(uptime),
    }


def table_of(columns: dict[str, pa.Array], names: tuple[str, ...]) -> pa.Table:
    """Return columns in the order of a schema."""
    return pa.table({name: columns[name] for name in names})
