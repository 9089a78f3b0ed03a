"""Read and write allocation profiles as JSON files: numbers and names only, no code.

One object: ``format`` (``"memlens allocation profile"``), ``version`` (1), ``facts`` (the fields of
`ProfileFacts`), ``frames`` (a list of ``[function or null, file, line]``), ``fields`` (the names of
the numbers of a row) and ``rows``, each ``[[frame numbers, outermost first], number or null,
...]``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from os import PathLike
from typing import Any, TypeAlias

from memlens._atomic import write_whole
from memlens._frame import Frame
from memlens.allocations.profile.profile_facts import ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.errors import SnapshotFileError

__all__ = (
    "FORMAT",
    "VERSION",
    "load_profile",
    "profile_from_dict",
    "profile_to_dict",
    "save_profile",
)

FORMAT = "memlens allocation profile"
VERSION = 1
ProfileParts: TypeAlias = tuple[list[AllocationRow], ProfileFacts]
_FIELDS = AllocationRow._fields[1:]


def profile_to_dict(rows: Iterable[AllocationRow], facts: ProfileFacts) -> dict[str, Any]:
    """Return rows and facts of a profile as JSON-ready values."""
    numbers: dict[Frame, int] = {}
    table = [
        [[numbers.setdefault(frame, len(numbers)) for frame in row.call_path], *row[1:]]
        for row in rows
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "facts": asdict(facts),
        "frames": [list(frame) for frame in numbers],
        "fields": list(_FIELDS),
        "rows": table,
    }


def profile_from_dict(data: object) -> ProfileParts:
    """Return the rows and facts from `profile_to_dict`. Raises SnapshotFileError."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise SnapshotFileError(f"not an allocation profile: its format is not {FORMAT!r}")
    if data.get("version") != VERSION:
        raise SnapshotFileError(
            f"version {data.get('version')!r} is not supported; install a newer memlens"
        )
    try:
        frames = [_frame(*parts) for parts in data["frames"]]
        if tuple(data["fields"]) != _FIELDS:
            raise ValueError("the fields of its rows are others")
        rows = [_row(frames, *row) for row in data["rows"]]
        return rows, ProfileFacts(**data["facts"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SnapshotFileError(f"a damaged allocation profile: {error}") from error


def save_profile(
    rows: Iterable[AllocationRow], facts: ProfileFacts, path: str | PathLike[str]
) -> int:
    """Write a profile to a file and return its size in bytes. Raises OutputError."""
    text = json.dumps(profile_to_dict(rows, facts), separators=(",", ":"))
    return write_whole(path, text.encode())


def load_profile(path: str | PathLike[str]) -> ProfileParts:
    """Read rows and facts of a profile. Raises SnapshotFileError if the file cannot be used."""
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8", errors="surrogatepass") as file:
            data = json.load(file)
    except OSError as error:
        raise SnapshotFileError(f"cannot read {name!r}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SnapshotFileError(f"{name}: not JSON, or truncated: {error}") from error
    try:
        return profile_from_dict(data)
    except SnapshotFileError as error:
        raise SnapshotFileError(f"{name}: {error}") from error


def _frame(function: object, file: object, line: object) -> Frame:
    if not (function is None or isinstance(function, str)) or not isinstance(file, str):
        raise ValueError("a frame without names")
    if not isinstance(line, int) or isinstance(line, bool):
        raise ValueError("a frame without a line")
    return Frame(function, file, line)


def _row(frames: list[Frame], path: object, *numbers: object) -> AllocationRow:
    if not isinstance(path, list) or len(numbers) != len(_FIELDS):
        raise ValueError("a row of another length")
    for name, number in zip(_FIELDS, numbers, strict=True):
        if not _fits(name, number):
            raise ValueError(f"{name} is {number!r}")
    if any(not isinstance(i, int) or not 0 <= i < len(frames) for i in path):
        raise ValueError("a call path names a frame that is not there")
    *values, widening = numbers
    fields = dict(zip(_FIELDS, [*values, tuple(_list(widening))], strict=True))
    return AllocationRow(tuple(frames[i] for i in path), **fields)  # type: ignore[arg-type]  # checked above


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _fits(name: str, value: object) -> bool:
    if name == "widening":
        numbers = _list(value)
        return len(numbers) == 4 and all(isinstance(number, float | int) for number in numbers)
    if value is None:
        return name not in ("live_bytes", "live_bytes_stderr", "live_count", "live_count_stderr")
    return isinstance(value, str if name in ("thread", "domain") else (int, float))
