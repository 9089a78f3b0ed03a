"""find_leaks: from snapshots of one process to a ranked list of suspects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from memlens._core.layout import NONE
from memlens._text import format_bytes, format_count, labelled
from memlens.errors import ComparisonError, OptionError
from memlens.heap.graph import HeapGraph
from memlens.heap.identity import check_same_process
from memlens.heap.paths import RetentionPath, RetentionPathFinder
from memlens.heap.sites import SiteShare
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.growth import Growth, Holder, find_growth
from memlens.leaks.mentions import Mention, functions_mentioning
from memlens.leaks.patterns import Case, recognise

__all__ = ("LeakSuspect", "find_leaks")

_LRU_CACHE = "functools._lru_cache_wrapper"
_WEAK_KEYS = frozenset({"int", "str", "tuple"})  # what weak dictionaries and registries key by
_MAX_TYPES = 5
_MAX_SITES = 3
_SITE_FRAMES = 3  # the line that allocated, its caller, and the caller of that
_MIN_SECONDS = 60  # a rate an hour, told from less, says nothing
# A holder that gained fewer elements an interval than this is the noise of any running program.
_MIN_ELEMENTS_AN_INTERVAL = 3


@dataclass(frozen=True, slots=True)
class LeakSuspect:
    """One holder that grew in every interval, with all that is known about it.

    ``holder`` names the container that accumulates; ``path`` leads from the root to it.
    ``count_growth`` is in elements, ``retained_growth_bytes`` in bytes, both from the first
    snapshot to the last; ``retained_bytes`` is what the holder retains in the last.
    ``growth_bytes_per_hour`` is None over less than a minute. ``growing_types``: what it gained,
    most first. ``pattern`` is None where no rule knows the case. ``sites``: which call paths
    allocated what it gained, most bytes first; empty where allocations were not sampled.
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

    def __str__(self) -> str:
        rate = (
            f", {format_bytes(self.growth_bytes_per_hour)} an hour"
            if self.growth_bytes_per_hour is not None
            else ""
        )
        what = (
            f"{self.holder} grows: +{format_count(self.count_growth)} elements,"
            f" +{format_bytes(self.retained_growth_bytes)}{rate}"
        )
        fields = [
            ("holder", f"{self.holder_type}, retains {format_bytes(self.retained_bytes)}"),
            ("gains", ", ".join(self.growing_types)),
            ("held by", str(self.path)),
            *(("allocated at", str(share)) for share in self.sites),
            ("pattern", f"{self.pattern or 'unknown'}: {self.evidence}"),
            ("what to do", self.suggestion),
        ]
        width = max(len(label) for label, _ in fields) + 1
        lines = [labelled(label, text, label_width=width) for label, text in fields]
        return "\n".join([labelled("", what, label_width=0, indent=""), *lines])

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
            "sites": [share.to_dict() for share in self.sites],
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
    for located in _located(growth, find_growth(growth)):
        if located.holder.share_bytes >= min_growth_bytes and not any(
            pattern.search(located.text) for pattern in patterns
        ):
            suspects.append(_suspect(growth, located, seconds))
            if len(suspects) == limit:
                break
    return suspects


@dataclass(slots=True)
class _Located:
    """A holder with the object that it is named after."""

    holder: Holder
    subject: int
    path: RetentionPath
    text: str


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


def _located(growth: Growth, holders: Sequence[Holder]) -> list[_Located]:
    finder = RetentionPathFinder(growth.last)
    intervals = len(growth.graphs) - 1
    found: list[_Located] = []
    named: set[int] = set()
    for holder in holders:
        if min(_steps(holder.lengths)) < _MIN_ELEMENTS_AN_INTERVAL and intervals > 0:
            continue
        subject = _subject(growth.last, holder)
        path = finder.path_to(subject)
        if path is None or subject in named or _is_bounded(growth.last, holder, subject):
            continue
        if _holds_only_weakly(growth.last, holder, path):
            continue
        named.add(subject)
        text = str(path) + (_chain_link(growth, holder) if holder.shape == "chain" else "")
        found.append(_Located(holder, subject, path, text))
    return [one for one in found if not any(_explains(other, one) for other in found)]


def _holds_only_weakly(graph: HeapGraph, holder: Holder, path: RetentionPath) -> bool:
    """Tell whether the entries are weak references that go when their objects go: a symptom."""
    if path.hops and path.hops[-1].text == ".__subclasses__":
        return True
    values = [node for node in holder.entries if graph.type_of(node) not in _WEAK_KEYS]
    return bool(values) and all(
        graph.type_of(node).startswith("weakref.") and graph.strong_targets(node) for node in values
    )


def _explains(outer: _Located, inner: _Located) -> bool:
    """Tell whether a holder lies inside another that gained the same: one leak, named once."""
    way = [hop.node for hop in inner.path.hops[:-1]]
    if outer is inner or outer.holder.node not in way:
        return False
    return set(inner.holder.gained) <= {*outer.holder.gained, outer.holder.node}


def _steps(lengths: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise(lengths)]


def _subject(graph: HeapGraph, holder: Holder) -> int:
    """Return the node to name: not the table inside a cache, not a link but the head."""
    node = holder.node
    if holder.shape == "chain":
        dominator = graph.dominators.dominator
        links = {graph.type_of(gained) for gained in holder.gained}
        while dominator[node] not in (0, NONE) and graph.type_of(node) in links:
            node = dominator[node]
        return node
    for referrer in graph.referrers(node):
        if referrer and graph.type_of(referrer) == _LRU_CACHE:
            return referrer
    return node


def _chain_link(growth: Growth, holder: Holder) -> str:
    """Return the name under which a chain hangs on its head: ``.__traceback__``."""
    entries = set(holder.entries)
    for edge in growth.last.edges(holder.node):
        if edge.target in entries and edge.name:
            return f".{edge.name}"
    return ""


def _is_bounded(graph: HeapGraph, holder: Holder, subject: int) -> bool:
    return graph.bound_of(holder.node) is not None or graph.bound_of(subject) is not None


def _suspect(growth: Growth, located: _Located, seconds: float) -> LeakSuspect:
    graph, holder = growth.last, located.holder
    case = Case(graph, holder, located.subject, located.path, ())
    case = Case(graph, holder, located.subject, located.path, _mentions(graph, case.name))
    finding = recognise(case)
    bytes_grown = round(holder.share_bytes)
    return LeakSuspect(
        holder=located.text,
        holder_type=graph.type_of(located.subject),
        path=located.path,
        growing_types=_growing_types(case),
        count_growth=holder.count_growth,
        retained_growth_bytes=bytes_grown,
        retained_bytes=graph.retained_bytes(located.subject),
        growth_bytes_per_hour=bytes_grown * 3600 / seconds if seconds >= _MIN_SECONDS else None,
        pattern=finding.pattern,
        evidence=finding.evidence,
        suggestion=finding.suggestion,
        sites=_sites(graph, holder),
    )


def _sites(graph: HeapGraph, holder: Holder) -> tuple[SiteShare, ...]:
    if graph.sites is None:
        return ()
    return tuple(graph.sites.shares(holder.gained, _SITE_FRAMES)[:_MAX_SITES])


def _mentions(graph: HeapGraph, name: str) -> list[Mention]:
    return functions_mentioning(graph, [name]).get(name, [])


def _growing_types(case: Case) -> tuple[str, ...]:
    """What the holder gained: values first, then keys, then what came with them."""
    entries = Counter(case.graph.type_of(node) for node in case.holder.entries)
    ranked = [
        name
        for types in (case.value_types, entries, case.gained_types)
        for name, _ in sorted(types.items(), key=lambda item: (-item[1], item[0]))
    ]
    return tuple(dict.fromkeys(ranked))[:_MAX_TYPES]
