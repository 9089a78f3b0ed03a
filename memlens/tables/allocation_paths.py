"""Rows of ``allocations``: the call paths of a profile that hold most live bytes, and all others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.profile_text import without_import_system
from memlens.allocations.profile.rows import AllocationRow, merged
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.stable_frames import StableFrames, import_folders
from memlens.tables.top_rows import MAX_ROWS, REST_RANK, largest_and_rest

__all__ = ("allocation_columns", "path_id_of")

_ID_BYTES = 8  # among a million call paths two are equal with a chance of 1 in 37 million
_MEASURES = tuple(
    f"{what}_{unit}{end}"
    for what in ("live", "allocated")
    for unit in ("bytes", "count")
    for end in ("", "_stderr")
)

_Texts = tuple[str, ...]


def allocation_columns(
    profile: AllocationProfile,
    process: ProcessColumns,
    *,
    uptime_seconds: float | None = None,
    frames: StableFrames | None = None,
    limit: int = MAX_ROWS,
) -> Columns:
    """Return the ``limit`` call paths with most live bytes, and one row for all others.

    The estimates add up to `AllocationProfile.total`. Their errors are those of sums of independent
    samples: the root of the sum of the squares. The time is the end of the profile.
    ``uptime_seconds``: the uptime of the process then; None takes it from that time. ``frames``
    shortens the files; None knows the folders of this process, if the profile is of it.
    """
    facts = profile.facts
    if frames is None:
        frames = StableFrames(import_folders() if facts.pid == os.getpid() else ())
    largest, rest = largest_and_rest(_by_stable_path(profile, frames), limit)
    rows = [row for _, row in largest]
    paths: list[_Texts | None] = [texts for texts, _ in largest]
    ranks = list(range(1, len(rows) + 1))
    if rest:
        rows.append(merged([row for _, row in rest], ()))
        paths.append(None)
        ranks.append(REST_RANK)
    end = facts.started_at + facts.duration_seconds
    return {
        **process.same_moment(len(rows), end, uptime_seconds),
        "call_path": [None if path is None else [*path] for path in paths],
        "path_id": [None if path is None else path_id_of(path) for path in paths],
        "site": [path[-1] if path else None for path in paths],
        "rank": ranks,
        **{name: [getattr(row, name) for row in rows] for name in _MEASURES},
        "profile_seconds": [facts.duration_seconds] * len(rows),
    }


def path_id_of(call_path: Sequence[str]) -> str:
    """Return the hash of a call path, given as the texts of its frames: 16 hexadecimal digits."""
    data = "\0".join(call_path).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=_ID_BYTES).hexdigest()


def _by_stable_path(
    profile: AllocationProfile, frames: StableFrames
) -> list[tuple[_Texts, AllocationRow]]:
    """Return the sum of the rows of each call path, most live bytes first.

    Call paths that differ only in what `StableFrames` leaves out are one. Frames of the import system
    are left out: each import has half a dozen of them, and others in each version of Python.
    """
    groups: dict[_Texts, list[AllocationRow]] = {}
    for row in profile.rows:
        texts = tuple(frames.text(frame) for frame in without_import_system(row.call_path))
        groups.setdefault(texts, []).append(row)
    found = [(texts, merged(rows, rows[0].call_path)) for texts, rows in groups.items()]
    found.sort(key=lambda one: (-one[1].live_bytes, one[0]))
    return found
