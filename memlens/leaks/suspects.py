"""LeakSuspect: one holder that grows, with all that is known about it; and how it is made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from memlens._display import displayed
from memlens._frame import CallPath, is_program_file, path_order
from memlens._options import check_count, check_number, check_regexes, check_texts
from memlens._package import CODE_FOLDER
from memlens._text import format_bytes, format_count, labelled, middle_cut
from memlens.errors import ComparisonError, OptionError
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.matching import check_same_process
from memlens.heap.graph.paths import RetentionPath
from memlens.heap.graph.steady_time import steady_seconds
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.cases import find_cases
from memlens.leaks.fingerprints import fingerprint_of, is_fingerprint, stable_place
from memlens.leaks.gained_types import gained_types
from memlens.leaks.growth import Holder
from memlens.leaks.mentions import Mention, functions_mentioning
from memlens.leaks.native_growth import NativeGrowth, largest_growth_first
from memlens.leaks.origins import PROGRAM, Origin, OriginFinder
from memlens.leaks.patterns import Case, recognise
from memlens.leaks.pytest_records import PytestRecords, split_pytest_records
from memlens.leaks.stated_bounds import BoundedHolder
from memlens.progress import part, reached

__all__ = ("OVERDUE", "LeakSuspect", "explain_growth", "in_order", "is_ignored")

OVERDUE = "overdue"  # the pattern of suspects that keep expected objects alive

_MAX_SITES = 3
_SITE_FRAMES = 3  # the line that allocated, its caller, and the caller of that
_MAX_SITE_FRAMES = 12  # where libraries lie between that line and the program
_MAX_STACK = 10_000
_MIN_SECONDS = 60  # a rate an hour, told from less, says nothing


@displayed
@dataclass(frozen=True, slots=True)
class LeakSuspect:
    """One holder that accumulates objects, with all that is known about it.

    ``holder`` names the container that accumulates; ``path`` leads from the root to it.
    ``count_growth`` is in elements (0 for one that grows in its own memory),
    ``retained_growth_bytes`` in bytes, both from the first snapshot to the last;
    ``retained_bytes`` is what the holder retains in the last.
    ``growth_bytes_per_hour`` is None over less than a minute. ``growing_types``: what it gained,
    most first. ``pattern`` is None where no rule knows the case. ``sites``: which call paths
    allocated what it gained, most bytes first; empty where allocations were not sampled.
    ``native_growth``: which part of ``retained_growth_bytes`` is native memory, by library and device.
    ``fingerprint`` is equal for the same leak in other runs, and ``origin`` tells whose code holds
    it. ``is_known`` tells whether the baseline contains it; None without a baseline.
    ``mentions``: the functions to look at, which the suggestion names.
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
    sites: tuple[SiteShare, ...] = ()
    fingerprint: str = ""
    origin: Origin = PROGRAM
    is_known: bool | None = None
    native_growth: tuple[NativeGrowth, ...] = ()
    mentions: tuple[Mention, ...] = ()

    def __repr__(self) -> str:
        pattern = self.pattern or "unknown pattern"
        return f"<LeakSuspect {middle_cut(self.holder, 60)}: {self._growth()}, {pattern}>"

    @property
    def status(self) -> str | None:
        """``"known"`` or ``"new"``; None without a baseline."""
        return None if self.is_known is None else "known" if self.is_known else "new"

    def _growth(self) -> str:
        elements = f"+{format_count(self.count_growth)} elements, " if self.count_growth else ""
        return f"{elements}+{format_bytes(self.retained_growth_bytes)}"

    def __str__(self) -> str:
        return self.text()

    def text(self, lead: str = "") -> str:
        """Return what ``str()`` returns, with ``lead`` before the first line: the rank in a list."""
        fields = self.fields()
        width = max(len(label) for label, _ in fields) + 1
        lines = [labelled(label, text, label_width=width) for label, text in fields]
        return "\n".join([labelled(lead, self.headline(), label_width=0, indent=""), *lines])

    def headline(self) -> str:
        """Return one sentence: the holder and by how much it grows."""
        if self.pattern == OVERDUE:
            return f"{self.holder} keeps {format_count(self.count_growth)} overdue alive"
        rate = (
            f", {format_bytes(self.growth_bytes_per_hour)} an hour"
            if self.growth_bytes_per_hour is not None
            else ""
        )
        native = f" (of it {'; '.join(map(str, self.native_growth))})" if self.native_growth else ""
        return f"{self.holder} grows: {self._growth()}{native}{rate}"

    def fields(self) -> list[tuple[str, str]]:
        """Return what is known of the suspect as labels and texts, in the order of the report."""
        is_late = self.pattern == OVERDUE
        return [
            (
                "holder",
                f"{self.holder_type}, {'what is overdue retains' if is_late else 'retains'}"
                f" {format_bytes(self.retained_bytes)}",
            ),
            ("keeps" if is_late else "gains", ", ".join(self.growing_types)),
            ("held by", str(self.path)),
            *(("allocated at", str(share)) for share in self.sites),
            ("pattern", f"{self.pattern or 'unknown'}: {self.evidence}"),
            ("what to do", self.suggestion),
            ("id", ", ".join(filter(None, (self.fingerprint, self.status, f"in {self.origin}")))),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the suspect as JSON-ready values."""
        return {
            "holder": self.holder,
            "holder_type": self.holder_type,
            "path": self.path.to_dict(),
            "growing_types": list(self.growing_types),
            "count_growth": self.count_growth,
            "retained_growth_bytes": self.retained_growth_bytes,
            "native_growth": [one.to_dict() for one in self.native_growth],
            "retained_bytes": self.retained_bytes,
            "growth_bytes_per_hour": self.growth_bytes_per_hour,
            "pattern": self.pattern,
            "evidence": self.evidence,
            "suggestion": self.suggestion,
            "sites": [share.to_dict() for share in self.sites],
            "fingerprint": self.fingerprint,
            "origin": self.origin.to_dict(),
            "status": self.status,
        }


def explain_growth(
    snapshots: Iterable[HeapSnapshot],
    ignore: Iterable[str] = (),
    min_growth_bytes: int = 0,
    limit: int = 20,
) -> tuple[list[LeakSuspect], list[BoundedHolder], PytestRecords | None]:
    """Return the suspects, the largest share first, and what grew but is no leak.

    That is: the holders that state a bound, and the records of pytest. Options and errors are
    those of `memlens.find_leaks`.
    """
    ordered = in_order(snapshots)
    ignore = check_texts("ignore", ignore)
    fingerprints, patterns = _ignored(ignore)
    check_number("min_growth_bytes", min_growth_bytes, 0)
    check_count("limit", limit)
    with part(0, 0.9):
        cases, bounded = find_cases(ordered)
    cases, records = split_pytest_records(cases)
    suspects: list[LeakSuspect] = []
    origins: dict[HeapGraph, OriginFinder] = {}
    for number, case in enumerate(cases):
        reached(0.9 + 0.1 * number / len(cases))
        if case.holder.share_bytes >= min_growth_bytes and not any(
            pattern.search(case.text) for pattern in patterns
        ):
            finder = origins.setdefault(case.graph, OriginFinder(case.graph))
            suspect = _suspect(case, finder)
            if suspect.fingerprint not in fingerprints:
                suspects.append(suspect)
            if len(suspects) == limit:
                break
    return suspects, bounded, records


def _ignored(ignore: Iterable[str]) -> tuple[set[str], tuple[re.Pattern[str], ...]]:
    """Divide what is to be ignored into fingerprints and regular expressions for holders."""
    texts = tuple(ignore)
    fingerprints = {text for text in texts if is_fingerprint(text)}
    return fingerprints, check_regexes("ignore", [t for t in texts if t not in fingerprints])


class _Identified(Protocol):
    """A suspect of this or of another room."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint, equal in all processes."""

    @property
    def holder(self) -> str:
        """The name of the holder."""


def is_ignored(suspect: _Identified, ignore: Iterable[str]) -> bool:
    """Tell whether a suspect's fingerprint or holder is among those to be ignored."""
    fingerprints, patterns = _ignored(ignore)
    return suspect.fingerprint in fingerprints or any(
        pattern.search(suspect.holder) for pattern in patterns
    )


def in_order(snapshots: Iterable[HeapSnapshot]) -> list[HeapSnapshot]:
    """Return snapshots by time, checked: two or more of one process."""
    ordered = list(snapshots)
    for snapshot in ordered:
        if not isinstance(snapshot, HeapSnapshot):
            raise OptionError(f"expected HeapSnapshots, not {type(snapshot).__name__}")
    if len(ordered) < 2:
        raise ComparisonError(
            f"a leak shows between snapshots: at least two are needed, {len(ordered)} given"
        )
    check_same_process(*(snapshot.graph for snapshot in ordered))
    return sorted(ordered, key=lambda snapshot: steady_seconds(snapshot.facts))


def _suspect(case: Case, origins: OriginFinder) -> LeakSuspect:
    growth, graph, holder = case.growth, case.graph, case.holder
    case = replace(case, mentions=functions_mentioning(graph, case.name, case.subject))
    diagnosis = recognise(case)
    bytes_grown = round(holder.share_bytes)
    seconds = growth.seconds[-1] - growth.seconds[holder.start]
    holder_type, types = graph.type_of(case.subject), gained_types(case)
    place = case.text if case.path.root_kind == "garbage" else stable_place(case.path)
    return LeakSuspect(
        holder=case.text,
        holder_type=holder_type,
        path=case.path,
        growing_types=types,
        count_growth=holder.count_growth,
        retained_growth_bytes=bytes_grown,
        retained_bytes=graph.retained_bytes(case.subject),
        growth_bytes_per_hour=bytes_grown * 3600 / seconds if seconds >= _MIN_SECONDS else None,
        pattern=diagnosis.pattern,
        evidence=diagnosis.evidence,
        suggestion=diagnosis.suggestion,
        sites=_sites(graph, holder),
        fingerprint=fingerprint_of(place, (holder_type, *types[:1]), diagnosis.pattern),
        origin=origins.origin_of(case.path, types),
        native_growth=largest_growth_first(holder.native_bytes),
        mentions=tuple(case.nearest_mentions),
    )


def _sites(graph: HeapGraph, holder: Holder) -> tuple[SiteShare, ...]:
    if graph.sites is None:
        return ()
    sums: dict[CallPath, SiteShare] = {}
    for share in graph.sites.shares(holder.gained, _MAX_STACK):
        if not _is_own(share.call_path):
            path = _innermost(_of_the_program(share.call_path))
            known = sums.get(path)
            sums[path] = replace(share, call_path=path) if known is None else known + share
    ranked = sorted(sums.values(), key=lambda one: (-one.shallow_bytes, path_order(one.call_path)))
    return tuple(ranked[:_MAX_SITES])


def _innermost(path: CallPath) -> CallPath:
    """Return the last calls: a few, with the innermost of the program's own code and its caller."""
    own = [place for place, frame in enumerate(path) if is_program_file(frame.file)]
    depth = len(path) - own[-1] + 1 if own else 0
    return path[-(depth if _SITE_FRAMES < depth <= _MAX_SITE_FRAMES else _SITE_FRAMES) :]


def _is_own(path: CallPath) -> bool:
    """Tell whether memlens itself allocated: then the sample is of an object that was there before."""
    return bool(path) and path[-1].file.startswith(CODE_FOLDER)


def _of_the_program(path: CallPath) -> CallPath:
    """Return the calls since the last one of memlens, which may have started the program."""
    ours = [place for place, frame in enumerate(path) if frame.file.startswith(CODE_FOLDER)]
    return path[ours[-1] + 1 :] if ours and ours[-1] + 1 < len(path) else path
