"""find_leaks: from snapshots of one process to a ranked list of suspects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from memlens._text import format_bytes, format_count, labelled
from memlens.errors import ComparisonError, OptionError
from memlens.heap.identity import check_same_process
from memlens.heap.paths import RetentionPath
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.growth import Growth
from memlens.leaks.located import Located, located
from memlens.leaks.mentions import functions_mentioning
from memlens.leaks.patterns import Case, recognise
from memlens.leaks.patterns.case import DATA
from memlens.leaks.search import find_growth

__all__ = ("LeakSuspect", "find_leaks")

# Of equal numbers, what is more telling than these comes first.
_PLAIN = DATA | {"dict", "list", "set", "bytearray", "cell", "type"}
_MAX_TYPES = 5
_MIN_SECONDS = 60  # a rate an hour, told from less, says nothing


@dataclass(frozen=True, slots=True)
class LeakSuspect:
    """One holder that grew in every interval, with all that is known about it.

    ``holder`` names the container that accumulates; ``path`` leads from the root to it.
    ``count_growth`` is in elements (0 for one that grows in its own memory),
    ``retained_growth_bytes`` in bytes, both from the first snapshot to the last;
    ``retained_bytes`` is what the holder retains in the last.
    ``growth_bytes_per_hour`` is None over less than a minute. ``growing_types``: what it gained,
    most first. ``pattern`` is None where no rule knows the case.
    """

    holder: str
    holder_type: str
    path: RetentionPath
    growing_types: tuple[str, ...]
    count_growth: int
    retained_growth_bytes: int
    retained_bytes: int
    growth_bytes_per_hour: float | None
    pattern: str | None
    evidence: str
    suggestion: str

    def __str__(self) -> str:
        rate = (
            f", {format_bytes(self.growth_bytes_per_hour)} an hour"
            if self.growth_bytes_per_hour is not None
            else ""
        )
        elements = f"+{format_count(self.count_growth)} elements, " if self.count_growth else ""
        what = f"{self.holder} grows: {elements}+{format_bytes(self.retained_growth_bytes)}{rate}"
        lines = [
            labelled("", what, label_width=0, indent=""),
            labelled("holder", f"{self.holder_type}, retains {format_bytes(self.retained_bytes)}"),
            labelled("gains", ", ".join(self.growing_types)),
            labelled("held by", str(self.path)),
            labelled("pattern", f"{self.pattern or 'unknown'}: {self.evidence}"),
            labelled("what to do", self.suggestion),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the suspect as JSON-ready values."""
        return {
            "holder": self.holder,
            "holder_type": self.holder_type,
            "path": self.path.to_dict(),
            "growing_types": list(self.growing_types),
            "count_growth": self.count_growth,
            "retained_growth_bytes": self.retained_growth_bytes,
            "retained_bytes": self.retained_bytes,
            "growth_bytes_per_hour": self.growth_bytes_per_hour,
            "pattern": self.pattern,
            "evidence": self.evidence,
            "suggestion": self.suggestion,
        }


def find_leaks(
    snapshots: Iterable[HeapSnapshot],
    *,
    ignore: Iterable[str] = (),
    min_growth_bytes: int = 0,
    limit: int = 20,
) -> list[LeakSuspect]:
    """Return what grew in every interval between the snapshots, the largest share first.

    ``snapshots``: two or more of one process, in any order; three or more tell a leak from a
    one-time growth. ``ignore``: regular expressions; a suspect whose holder matches one is left
    out. ``min_growth_bytes``: leave out what grew by less. ``limit``: at most so many.

    Raises ``ComparisonError`` below two snapshots or across processes, ``OptionError`` for a bad
    option.
    """
    ordered = _in_order(snapshots)
    patterns = _compiled(ignore)
    if min_growth_bytes < 0 or limit < 1:
        raise OptionError(
            f"min_growth_bytes ({min_growth_bytes}) must not be negative and limit ({limit}) at"
            " least 1"
        )
    growth = Growth([snapshot.graph for snapshot in ordered])
    seconds = ordered[-1].timestamp - ordered[0].timestamp
    suspects: list[LeakSuspect] = []
    for one in located(growth, find_growth(growth)):
        if one.holder.share_bytes >= min_growth_bytes and not any(
            pattern.search(one.text) for pattern in patterns
        ):
            suspects.append(_suspect(growth, one, seconds))
            if len(suspects) == limit:
                break
    return suspects


def _in_order(snapshots: Iterable[HeapSnapshot]) -> list[HeapSnapshot]:
    ordered = list(snapshots)
    for snapshot in ordered:
        if not isinstance(snapshot, HeapSnapshot):
            raise OptionError(f"expected HeapSnapshots, not {type(snapshot).__name__}")
    if len(ordered) < 2:
        raise ComparisonError(
            f"a leak shows between snapshots: at least two are needed, {len(ordered)} given"
        )
    check_same_process(*(snapshot.graph for snapshot in ordered))
    return sorted(ordered, key=lambda snapshot: snapshot.timestamp)


def _compiled(ignore: Iterable[str]) -> list[re.Pattern[str]]:
    if isinstance(ignore, str):
        raise OptionError("ignore is a list of regular expressions, not one string")
    try:
        return [re.compile(pattern) for pattern in ignore]
    except re.error as error:
        raise OptionError(f"ignore: {error.pattern!r} is no regular expression: {error}") from error


def _suspect(growth: Growth, one: Located, seconds: float) -> LeakSuspect:
    graph, holder = growth.last, one.holder
    case = Case(growth, holder, one.subject, one.path)
    mentions = functions_mentioning(graph, case.name, one.subject)
    case = replace(case, mentions=mentions)
    finding = recognise(case)
    bytes_grown = round(holder.share_bytes)
    return LeakSuspect(
        holder=one.text,
        holder_type=graph.type_of(one.subject),
        path=one.path,
        growing_types=_growing_types(case),
        count_growth=holder.count_growth,
        retained_growth_bytes=bytes_grown,
        retained_bytes=graph.retained_bytes(one.subject),
        growth_bytes_per_hour=bytes_grown * 3600 / seconds if seconds >= _MIN_SECONDS else None,
        pattern=finding.pattern,
        evidence=finding.evidence,
        suggestion=finding.suggestion,
    )


def _growing_types(case: Case) -> tuple[str, ...]:
    """What the holder gained: values first, then keys, then what came with them."""
    entries = Counter(case.graph.type_of(node) for node in case.holder.entries)
    ranked = [
        name
        for types in (case.value_types, entries, case.gained_types)
        for name, _ in sorted(types.items(), key=lambda item: (-item[1], item[0] in _PLAIN, item))
    ]
    ranked = ranked or [case.subject_type]  # it grew in its own memory
    return tuple(dict.fromkeys(ranked))[:_MAX_TYPES]
