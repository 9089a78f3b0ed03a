"""ScopeReport: what survived the repetitions of a scope, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memlens._display import displayed
from memlens._table import columns
from memlens._text import fitted, format_bytes, format_count
from memlens.heap.graph.paths import RetentionPath

__all__ = ("ScopeReport", "ScopeSurvivors")

_SHOWN = 10


@displayed
@dataclass(frozen=True, slots=True)
class ScopeSurvivors:
    """Objects of one type that outlived their block in the hands of one holder.

    ``count`` and ``retained_bytes`` are over all looks; ``looks``: in how many there were some.
    """

    type_name: str
    holder: str
    path: RetentionPath
    count: int
    retained_bytes: int
    looks: int

    def __str__(self) -> str:
        size = format_bytes(self.retained_bytes)
        return f"{format_count(self.count)} {self.type_name} in {self.holder}, retain {size}"

    def __repr__(self) -> str:
        return f"<ScopeSurvivors {self}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the survivors as JSON-ready values."""
        return {
            "type": self.type_name,
            "holder": self.holder,
            "path": self.path.to_dict(),
            "count": self.count,
            "retained_bytes": self.retained_bytes,
            "looks": self.looks,
        }


@displayed
@dataclass(frozen=True, slots=True)
class ScopeReport:
    """What a scope saw. ``survivors``: those of most looks first.

    ``looks``: repetitions whose survivors were looked for; ``missed``: those that were too long;
    ``failures``: looks that could not be taken. ``watched``: objects followed, over all looks;
    ``survived``: those that were alive afterwards.
    """

    name: str
    repetitions: int
    looks: int
    missed: int
    failures: int
    watched: int
    survived: int
    survivors: tuple[ScopeSurvivors, ...]

    def __repr__(self) -> str:
        times = f"{self.repetitions:,} repetitions"
        return f"<ScopeReport {self.name!r}: {times}, {len(self.leaking)} kinds of survivors>"

    @property
    def leaking(self) -> tuple[ScopeSurvivors, ...]:
        """What survived in most looks, two at least: a single time may be a cache that warms up."""
        return tuple(one for one in self.survivors if one.looks >= 2 and one.looks * 2 > self.looks)

    def __str__(self) -> str:
        head = (
            f"scope {self.name!r}: {format_count(self.repetitions)} repetitions,"
            f" {format_count(self.looks)} looked at; {format_count(self.survived)} of"
            f" {format_count(self.watched)} objects outlived their block"
        )
        if self.missed:
            head += f"\n{format_count(self.missed)} repetitions were too long to be looked at"
        if not self.leaking:
            return fitted(f"{head}\nNothing survived again and again.")
        rows = [
            (
                one.type_name,
                f"{one.count / self.looks:.1f}",
                format_bytes(one.retained_bytes / one.count),
                one.holder,
            )
            for one in self.leaking[:_SHOWN]
        ]
        headers = ("survivors", "each time", "retain each", "held by")
        return f"{fitted(head)}\n{columns(headers, rows, right=(False, True, True, False))}"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "name": self.name,
            "repetitions": self.repetitions,
            "looks": self.looks,
            "missed": self.missed,
            "failures": self.failures,
            "watched": self.watched,
            "survived": self.survived,
            "survivors": [one.to_dict() for one in self.survivors],
        }
