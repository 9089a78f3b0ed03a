"""Rows of ``types``, ``holders`` and ``allocations``: the largest of an hour, and the rest."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.simulated_fleet import names
from benchmarks.simulated_fleet.columns import coded
from benchmarks.simulated_fleet.heap import Shares

__all__ = ("ALLOCATION_SHARES", "HOLDER_SHARES", "TYPE_SHARES", "allocation_rows", "holder_rows",
           "type_rows")  # fmt: skip

# The rows that gain what leaks: see `names.types`, `names.holders` and `names.call_paths`.
TYPE_SHARES = Shares(((3, 0.5), (0, 0.3), (1, 0.2)), ((4, 0.7), (0, 0.3)), ((5, 0.6), (1, 0.4)))
HOLDER_SHARES = Shares(((0, 1.0),), ((1, 1.0),), ((2, 1.0),))
ALLOCATION_SHARES = Shares(((0, 1.0),), ((1, 1.0),), ((2, 1.0),))
SAMPLE_BYTES = 512 << 10  # the mean distance of samples of the allocation profile


def _ranked(sizes: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each row its number (-1: the rest), its size and its rank, largest first."""
    order = np.argsort(-sizes, axis=1)
    count = len(rest)
    numbers = np.hstack([order, np.full((count, 1), -1)])
    values = np.hstack([np.take_along_axis(sizes, order, axis=1), rest[:, None]])
    ranks = np.tile(np.append(np.arange(1, sizes.shape[1] + 1), 0), count)
    return numbers.ravel(), values.ravel(), ranks


def _names(numbers: np.ndarray, values: list[str]) -> pa.Array:
    return coded(np.maximum(numbers, 0), values, mask=numbers < 0)


def type_rows(sizes: np.ndarray, rest: np.ndarray) -> dict[str, pa.Array]:
    """Return the columns of ``types`` for the sizes of one row for each process-hour."""
    numbers, values, ranks = _ranked(sizes, rest)
    unit = 48 + 8 * (numbers % 13)
    return {
        "type": _names(numbers, names.types(sizes.shape[1])),
        "rank": pa.array(ranks),
        "count": pa.array((values / unit).astype(np.int64)),
        "size_bytes": pa.array(values.astype(np.int64)),
        "native_bytes": pa.array(np.where(numbers == 22, values * 0.9, 0.0).astype(np.int64)),
    }


def holder_rows(sizes: np.ndarray, rest: np.ndarray) -> dict[str, pa.Array]:
    """Return the columns of ``holders``."""
    numbers, values, ranks = _ranked(sizes, rest)
    found = names.holders(sizes.shape[1])
    return {
        "holder": _names(numbers, [place for place, _ in found]),
        "rank": pa.array(ranks),
        "type": _names(numbers, [kind for _, kind in found]),
        "count": pa.array((values / (90 + numbers % 7)).astype(np.int64)),
        "size_bytes": pa.array(values.astype(np.int64)),
        "native_bytes": pa.array(np.zeros(len(values), np.int64)),
    }


def allocation_rows(
    sizes: np.ndarray, rest: np.ndarray, uptime: np.ndarray, rng: np.random.Generator
) -> dict[str, pa.Array]:
    """Return the columns of ``allocations``: estimates, scattered as their standard errors say.

    ``uptime``: how long the profile of each process-hour has run, in seconds.
    """
    width = sizes.shape[1] + 1
    paths = names.call_paths(sizes.shape[1])
    sizes, rest = (np.maximum(one + rng.normal(size=one.shape) * _error(one), 0.0)
                   for one in (sizes, rest))  # fmt: skip
    numbers, live, ranks = _ranked(sizes, rest)
    seconds = np.repeat(uptime, width)
    made = live * (1.0 + seconds / 400.0)
    unit = 64.0 + 16 * (numbers % 9)
    return {
        "call_path": _paths(numbers, paths),
        "path_id": _names(numbers, names.path_ids(paths)),
        "site": _names(numbers, [path[-1] for path in paths]),
        "rank": pa.array(ranks),
        "live_bytes": pa.array(np.round(live)),
        "live_bytes_stderr": pa.array(np.round(_error(live))),
        "live_count": pa.array(np.round(live / unit)),
        "live_count_stderr": pa.array(np.round(_error(live) / unit)),
        "allocated_bytes": pa.array(np.round(made)),
        "allocated_bytes_stderr": pa.array(np.round(_error(made))),
        "allocated_count": pa.array(np.round(made / unit)),
        "allocated_count_stderr": pa.array(np.round(_error(made) / unit)),
        "profile_seconds": pa.array(seconds),
    }


def _error(size: np.ndarray) -> np.ndarray:
    """Return the standard error of an estimate from samples."""
    return np.sqrt(np.maximum(size, 0.0) * SAMPLE_BYTES)


def _paths(numbers: np.ndarray, paths: list[tuple[str, ...]]) -> pa.Array:
    """Return call paths by their numbers, null for the rest."""
    frames = list(dict.fromkeys(frame for path in paths for frame in path))
    place = {frame: number for number, frame in enumerate(frames)}
    flat = np.array([place[frame] for path in paths for frame in path], np.int32)
    lengths = np.array([len(path) for path in paths])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    taken = np.where(numbers < 0, 0, lengths[numbers])
    offsets = np.concatenate([[0], np.cumsum(taken)]).astype(np.int32)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], taken)
    codes = flat[np.repeat(starts[numbers], taken) + within]
    values = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(frames))
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(numbers < 0))
