"""Baseline: the suspects that are already known, by which a report tells new ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from memlens._atomic import write_whole
from memlens._display import displayed
from memlens._options import check_path
from memlens.errors import OptionError, OutputError
from memlens.leaks.fingerprints import is_fingerprint
from memlens.leaks.suspects import LeakSuspect

__all__ = ("Baseline", "KnownSuspect")

_FORMAT = "memlens-baseline"


@displayed
@dataclass(frozen=True, slots=True)
class KnownSuspect:
    """A suspect of an earlier report: its fingerprint, and what it was called then."""

    fingerprint: str
    holder: str

    def __repr__(self) -> str:
        return f"<KnownSuspect {self}>"

    def __str__(self) -> str:
        return f"{self.holder} ({self.fingerprint})"

    def to_dict(self) -> dict[str, str]:
        """Return the suspect as JSON-ready values."""
        return {"fingerprint": self.fingerprint, "holder": self.holder}


@displayed
class Baseline:
    """A set of known suspects, to be saved beside the code and compared with later reports.

    ``suspects`` are those of a report, or `KnownSuspect` values. Iterates over `KnownSuspect`
    values; ``fingerprint in baseline`` tells whether a fingerprint is known.
    """

    def __init__(self, suspects: Iterable[LeakSuspect | KnownSuspect] = ()) -> None:
        known = [KnownSuspect(suspect.fingerprint, suspect.holder) for suspect in suspects]
        self._known = {one.fingerprint: one for one in known}

    def __contains__(self, fingerprint: object) -> bool:
        return fingerprint in self._known

    def __iter__(self) -> Iterator[KnownSuspect]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"<Baseline: {len(self)} known suspects>"

    def gone(self, found: Iterable[str]) -> tuple[KnownSuspect, ...]:
        """Return the known suspects whose fingerprints are not among those found."""
        present = set(found)
        return tuple(one for one in self if one.fingerprint not in present)

    def save(self, path: str | os.PathLike[str]) -> str:
        """Write the baseline as JSON, ordered by fingerprint, and return the path.

        Raises ``OutputError`` if the file cannot be written.
        """
        ordered = sorted(self, key=lambda one: one.fingerprint)
        value = {"format": _FORMAT, "suspects": [one.to_dict() for one in ordered]}
        write_whole(path, (json.dumps(value, indent=1) + "\n").encode())
        return os.fspath(path)

    @classmethod
    def of(cls, value: Baseline | str | os.PathLike[str] | None) -> Baseline | None:
        """Return the baseline that an option gives: a baseline, the path of a file, or None."""
        return value if value is None or isinstance(value, Baseline) else cls.load(value)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Baseline:
        """Read a baseline, or the JSON of any report that has suspects.

        Raises ``OptionError`` for a file that is neither and ``OutputError`` for one that cannot
        be read.
        """
        name = check_path("baseline", path)
        try:
            with open(name, encoding="utf-8") as file:
                value = json.load(file)
        except OSError as error:
            raise OutputError(
                f"cannot read the baseline {name!r}: {error.strerror or error}"
            ) from error
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested too deeply
            raise _refusal(name, str(error)) from error
        return cls(_known_in(name, value))


def _known_in(name: str, value: Any) -> list[KnownSuspect]:
    if isinstance(value, dict) and "leaks" in value:  # the report of a profiler
        value = value["leaks"] or {"suspects": []}
    rows = value.get("suspects") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        raise _refusal(name, "it has no list of suspects")
    known = []
    for row in rows:
        fingerprint = row.get("fingerprint") if isinstance(row, dict) else None
        if not isinstance(fingerprint, str) or not is_fingerprint(fingerprint):
            raise _refusal(name, "a suspect has no fingerprint")
        known.append(KnownSuspect(fingerprint, str(row.get("holder", ""))))
    return known


def _refusal(name: str, reason: str) -> OptionError:
    return OptionError(
        f"{name!r} is neither a baseline nor the JSON of a report: {reason}; write one with"
        " --save-baseline"
    )
