"""The timeline: memory over time from readings and snapshots, with what happened marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from memlens._text import format_count
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.visibility import shown_totals
from memlens.leaks.unexplained import MALLOC_FACT
from memlens.process.history import HistoryPoint, Mark, thinned
from memlens.report.html.limits import Limits, cut_text, finite

__all__ = ("MARK_KINDS", "marks_of_snapshots", "points_of_snapshots", "timeline_of")

MARK_KINDS = ("deploy", "alert", "snapshot", "collection")  # which stay first, where there are many
_SERIES = (
    ("rss", "Resident memory", "Physical memory of the process, without that of open snapshots."),
    ("heap", "Python objects", "The sizes of the program's objects in each snapshot."),
    (
        "native",
        "Native memory",
        "What malloc had in use at each snapshot beyond the Python objects in it: memory of extension"
        " modules and C libraries.",
    ),
    (
        "malloc",
        "In use by malloc",
        "Python objects of more than 512 bytes, and memory of extension modules and C libraries.",
    ),
)


class _Moment(NamedTuple):
    """The values of all series at one instant, None where one is unknown."""

    timestamp: float
    rss: int | None = None
    heap: int | None = None
    native: int | None = None
    malloc: int | None = None


def timeline_of(
    history: Sequence[HistoryPoint],
    snapshots: Sequence[HeapSnapshot],
    marks: Iterable[Mark],
    limits: Limits,
    *,
    limit_bytes: int | None = None,
) -> dict[str, Any] | None:
    """Return the timeline; None where there are fewer than two instants.

    ``limit_bytes``: the limit that the user set, if not that of the system.
    """
    moments = [*_of_snapshots(snapshots[-limits.points // 4 :])]
    points = thinned(history, max(6, limits.points - len(moments)))
    clock = _clock(points)
    moments += [
        _Moment(clock(point), point.rss_bytes, malloc=point.malloc_bytes) for point in points
    ]
    if len(moments) < 2:
        return None
    moments.sort(key=lambda moment: moment.timestamp)
    start = moments[0].timestamp
    limit, source = _limit(history, snapshots)
    if limit_bytes is not None:
        limit, source = limit_bytes, "set by the program"
    found = [*marks, *_collections(points, clock), *marks_of_snapshots(snapshots)]
    return {
        "start": start,
        "seconds": [round(moment.timestamp - start, 3) for moment in moments],
        "series": list(_series(moments)),
        "limit_bytes": limit,
        "limit_source": source,
        "marks": _shown_marks(found, start, limits),
    }


def _series(moments: Sequence[_Moment]) -> Iterable[dict[str, Any]]:
    for key, label, text in _SERIES:
        column = [getattr(moment, key) for moment in moments]
        if any(value is not None for value in column):
            yield {"key": key, "label": label, "help": text, "bytes": column}


def _clock(points: Sequence[HistoryPoint]) -> Any:
    """Return a function for the time of a point, which ignores jumps of the wall clock."""
    offset = points[-1].timestamp - points[-1].monotonic_seconds if points else 0.0
    return lambda point: point.monotonic_seconds + offset


def _of_snapshots(snapshots: Sequence[HeapSnapshot]) -> Iterable[_Moment]:
    for snapshot in snapshots:
        heap = shown_totals(snapshot.graph).object_bytes
        malloc = _count(snapshot.facts.get(MALLOC_FACT))
        beyond = None if malloc is None else max(0, malloc - snapshot.large_object_bytes)
        rss = _count(_memory(snapshot).get("rss_bytes"))
        yield _Moment(snapshot.timestamp, rss, heap, beyond, malloc)


def points_of_snapshots(snapshots: Iterable[HeapSnapshot]) -> list[tuple[int | None, int | None]]:
    """Return resident memory and limit that were read with each snapshot; None is unknown."""
    facts = map(_memory, snapshots)
    return [(_count(one.get("rss_bytes")), _count(one.get("limit_bytes"))) for one in facts]


def marks_of_snapshots(snapshots: Iterable[HeapSnapshot]) -> list[Mark]:
    """Return a mark for each snapshot."""
    counts = ((one, shown_totals(one.graph).object_count) for one in snapshots)
    return [
        Mark(one.timestamp, "snapshot", f"{one.reason}: {format_count(count)} objects")
        for one, count in counts
    ]


def _memory(snapshot: HeapSnapshot) -> dict[str, Any]:
    memory = snapshot.facts.get("memory")
    return memory if isinstance(memory, dict) else {}


def _count(value: object) -> int | None:
    number = finite(value)
    return None if number is None or number < 0 else int(number)


def _limit(
    history: Sequence[HistoryPoint], snapshots: Sequence[HeapSnapshot]
) -> tuple[int | None, str | None]:
    for point in reversed(history):
        if point.limit_bytes is not None:
            return point.limit_bytes, point.limit_source
    for snapshot in reversed(snapshots):
        memory = _memory(snapshot)
        limit = _count(memory.get("limit_bytes"))
        if limit is not None:
            return limit, cut_text(memory.get("limit_source", ""))
    return None, None


def _collections(points: Sequence[HistoryPoint], clock: Any) -> Iterable[Mark]:
    for before, after in pairwise(points):
        count = after.full_collections - before.full_collections
        if count > 0:
            text = f"{format_count(count)} full collection{'s' if count > 1 else ''}"
            yield Mark(clock(after), "collection", text)


def _shown_marks(marks: Iterable[Mark], start: float, limits: Limits) -> list[dict[str, Any]]:
    """Return the marks by time; of too many, the collections go first, the oldest before others."""
    unique = dict.fromkeys(mark for mark in marks if mark.kind in MARK_KINDS)
    ranked = sorted(unique, key=lambda mark: (MARK_KINDS.index(mark.kind), -mark.timestamp))
    return [
        {
            "seconds": round(mark.timestamp - start, 3),
            "kind": mark.kind,
            "label": cut_text(mark.label, limits.text),
        }
        for mark in sorted(ranked[: limits.marks])
    ]
