"""Read and write allocation profiles as JSON files: numbers and names only, no code.

One object: ``format`` (``"memlens allocation profile"``), ``version`` (1), ``facts`` (the fields of
`ProfileFacts`), ``frames`` (a list of ``[function or null, file, line]``), ``fields`` (the names of
the numbers of a row) and ``rows``, each ``[[frame numbers, outermost first], number or null,
...]``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from os import PathLike
from typing import Any, TypeAlias

from memlens._atomic import without_waiting, write_whole
from memlens._frame import Frame
from memlens._options import check_path
from memlens.allocations.profile.profile_facts import ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.allocations.stored_values import (
    MAX_INTEGER,
    MAX_NUMBER,
    MAX_SECONDS,
    items_at,
    stored_boolean,
    stored_integer,
    stored_list,
    stored_number,
    stored_text,
)
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
    if type(data) is not dict or data.get("format") != FORMAT:
        raise SnapshotFileError(f"not an allocation profile: its format is not {FORMAT!r}")
    version = data.get("version")
    if type(version) is int and VERSION < version <= MAX_INTEGER:
        raise SnapshotFileError(f"version {version} is not supported; install a newer memlens")
    try:
        stored_integer(version, VERSION, VERSION)
        if data.keys() != {"format", "version", "facts", "frames", "fields", "rows"}:
            raise ValueError("expected format, version, facts, frames, fields and rows")
        if data["fields"] != list(_FIELDS):
            raise ValueError(f"expected the fields {', '.join(_FIELDS)}")
        frames = [_frame(row) for row in stored_list(data["frames"])]
        return [_row(frames, row) for row in stored_list(data["rows"])], _facts(data["facts"])
    except ValueError as error:
        raise SnapshotFileError(f"a damaged allocation profile: {error}") from error


def save_profile(
    rows: Iterable[AllocationRow], facts: ProfileFacts, path: str | PathLike[str]
) -> int:
    """Write a profile to a file and return its size in bytes. Raises OutputError."""
    name = check_path("path", path)
    text = json.dumps(profile_to_dict(rows, facts), separators=(",", ":"), allow_nan=False)
    return write_whole(name, text.encode())


def load_profile(path: str | PathLike[str]) -> ProfileParts:
    """Read rows and facts of a profile. Raises SnapshotFileError if the file cannot be used."""
    name = check_path("path", path)
    try:
        with open(name, encoding="utf-8", errors="surrogatepass", opener=without_waiting) as file:
            data = json.load(file, parse_constant=_refuse_constant)
    except OSError as error:
        raise SnapshotFileError(f"cannot read {name!r}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SnapshotFileError(f"{name}: not JSON, or truncated: {error}") from error
    try:
        return profile_from_dict(data)
    except SnapshotFileError as error:
        raise SnapshotFileError(f"{name}: {error}") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _frame(row: object) -> Frame:
    function, file, line = stored_list(row, 3)
    return Frame(
        None if function is None else stored_text(function),
        stored_text(file),
        stored_integer(line),
    )


def _row(frames: list[Frame], row: object) -> AllocationRow:
    path, *values = stored_list(row, 1 + len(_FIELDS))
    fields = {name: _CHECKS[name](value) for name, value in zip(_FIELDS, values, strict=True)}
    return AllocationRow(items_at(frames, path), **fields)


def _facts(facts: object) -> ProfileFacts:
    if type(facts) is not dict or facts.keys() != _FACTS.keys():
        raise ValueError(f"expected facts with {', '.join(_FACTS)}")
    return ProfileFacts(**{name: check(facts[name]) for name, check in _FACTS.items()})


def _source(value: object) -> str:
    if value not in ("sampling", "tracemalloc"):
        raise ValueError(f"unknown source {stored_text(value)!r:.60}")
    return stored_text(value)


def _widening(value: object) -> tuple[float, ...]:
    return tuple(stored_number(number, MAX_VARIANCE) for number in stored_list(value, 4))


def _or_none(check: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else check(value)


MAX_VARIANCE = MAX_NUMBER**2
_seconds = partial(stored_number, maximum=MAX_SECONDS)
_CHECKS: dict[str, Callable[[object], Any]] = {
    "live_bytes": stored_number,
    "live_bytes_stderr": stored_number,
    "live_count": stored_number,
    "live_count_stderr": stored_number,
    "allocated_bytes": _or_none(stored_number),
    "allocated_bytes_stderr": _or_none(stored_number),
    "allocated_count": _or_none(stored_number),
    "allocated_count_stderr": _or_none(stored_number),
    "live_samples": stored_integer,
    "allocated_samples": _or_none(stored_integer),
    "oldest_seconds": _or_none(_seconds),
    "mean_age_seconds": _or_none(_seconds),
    "thread": _or_none(stored_text),
    "domain": _or_none(stored_text),
    "widening": _widening,
}
_FACTS: dict[str, Callable[[object], Any]] = {
    "source": _source,
    "interval_bytes": partial(stored_integer, minimum=1),
    "started_at": _seconds,
    "duration_seconds": _seconds,
    "pid": stored_integer,
    "python": stored_text,
    "rss_bytes": _or_none(stored_integer),
    "dropped_samples": stored_integer,
    "hooks_bypassed": stored_boolean,
}
