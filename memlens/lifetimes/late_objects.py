"""OverdueReport: objects that are late, grouped by what keeps them alive, as suspects."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from memlens._display import displayed
from memlens._text import fitted, format_count, format_duration
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder
from memlens.leaks.fingerprints import fingerprint_of, stable_place
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.naming import place_of
from memlens.leaks.origins import OriginFinder
from memlens.leaks.people_paths import path_for_people, short_text, without_name
from memlens.leaks.suspects import OVERDUE, LeakSuspect

__all__ = ("LateObject", "OverdueReport", "report_on")

_SHOWN = 5
_NATIVE = RetentionPath("<held by native code or the interpreter>", "external reference", ())


class LateObject(NamedTuple):
    """One object that is late: ``age`` is in seconds since it was expected."""

    reference: weakref.ref[Any]
    reason: str
    within: float
    age: float


@displayed
@dataclass(frozen=True, slots=True, repr=False)
class OverdueReport(LeakReport):
    """The objects that are late, as one suspect for each place that keeps some alive.

    A sequence of `LeakSuspect` with the pattern ``overdue``, most objects first; ``count_growth``
    is how many objects a place keeps alive. ``object_count``: all that are late.
    """

    object_count: int = 0

    @classmethod
    def empty(cls) -> OverdueReport:
        """Return the report that nothing is late."""
        return cls(os.getpid(), 0, 0.0, 0, (), ())

    def __repr__(self) -> str:
        return f"<OverdueReport: {self.object_count:,} objects in {len(self)} places>"

    def __str__(self) -> str:
        if not self.suspects:
            return "\n".join([f"Process {self.pid}: no object is overdue", *self._gone_text()])
        count = len(self.suspects)
        objects = f"{format_count(self.object_count)} objects should be gone and are kept alive"
        if self.object_count == 1:
            objects = "1 object should be gone and is kept alive"
        places = f"{count} place{'s' if count > 1 else ''}"
        head = f"Process {self.pid}: {objects} in {places}:"
        blocks = [
            suspect.text(f"{rank}. ")
            for rank, suspect in enumerate(self.suspects[:_SHOWN], start=1)
        ]
        if count > _SHOWN:
            blocks.append(f"... and {count - _SHOWN} more")
        return "\n\n".join([fitted(head), *blocks, *self._gone_text()])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {**LeakReport.to_dict(self), "overdue_count": self.object_count}


def report_on(late: Sequence[LateObject]) -> OverdueReport:
    """Capture the heap and return what keeps the late objects alive."""
    addresses = [id(one.reference()) for one in late]
    snapshot = take_heap_snapshot(mode="inline", reason="overdue", collect=False)
    # An object that is alive before and after the capture had its address all the time.
    found = {
        address: one
        for address, one in zip(addresses, late, strict=True)
        if id(one.reference()) == address
    }
    groups = _groups(snapshot.graph, found)
    suspects = [_suspect(snapshot.graph, key, group) for key, group in groups.items()]
    suspects.sort(key=lambda suspect: -suspect.count_growth)
    count = sum(suspect.count_growth for suspect in suspects)
    return OverdueReport(
        os.getpid(), 1, 0.0, 0, tuple(suspects), (), object_count=count
    )  # fmt: skip


class _Found(NamedTuple):
    """A late object in the snapshot; the node is None where the capture did not reach it."""

    late: LateObject
    node: int | None
    path: RetentionPath


_Key = tuple[str, str, str]  # the place, the type, the reason


def _groups(graph: HeapGraph, late: dict[int, LateObject]) -> dict[_Key, list[_Found]]:
    finder = RetentionPathFinder(graph)
    groups: dict[_Key, list[_Found]] = {}
    for address, one in late.items():
        node = graph.find_address(address)
        path = _NATIVE
        if node is not None:
            direct = finder.path_to(node)
            if direct is None:
                continue  # garbage that waits for a finalizer
            path = path_for_people(graph, direct, finder)
        type_name = _type_name(one) if node is None else graph.type_of(node)
        key = stable_place(path), type_name, one.reason
        groups.setdefault(key, []).append(_Found(one, node, path))
    return groups


def _type_name(late: LateObject) -> str:
    kind = type(late.reference())
    return f"{kind.__module__}.{kind.__qualname__}"


def _suspect(graph: HeapGraph, key: _Key, group: Sequence[_Found]) -> LeakSuspect:
    place, type_name, reason = key
    first = group[0]
    nodes = [found.node for found in group if found.node is not None]
    retained = sum(map(graph.retained_bytes, nodes))
    holder = _holder_text(first.path, is_one=len(group) == 1)
    oldest = max(group, key=lambda found: found.late.age).late
    count = len(group)
    subject = f"{format_count(count)} objects" if count > 1 else "1 object"
    given = f" within {format_duration(oldest.within)}" if oldest.within else ""
    return LeakSuspect(
        holder=holder,
        holder_type=_holder_type(graph, first),
        path=first.path,
        growing_types=(type_name,),
        count_growth=count,
        retained_growth_bytes=retained,
        retained_bytes=retained,
        growth_bytes_per_hour=None,
        pattern=OVERDUE,
        evidence=f"{subject} of type {type_name} should be gone ({reason}){given},"
        f" the oldest for {format_duration(oldest.age)}",
        suggestion=f"Remove the reference from {holder} when the object is no longer needed, or"
        " make it weak.",
        fingerprint=fingerprint_of(place, (type_name, reason), OVERDUE),
        origin=OriginFinder(graph).origin_of(first.path, (type_name,)),
    )


def _holder_text(path: RetentionPath, *, is_one: bool) -> str:
    """Return the container that the late object is in; else the variable that refers to it."""
    hops = path.hops
    if hops and hops[-1].kind in ("key", "index", "item"):
        path = RetentionPath(path.root, path.root_kind, hops[:-1])
    return short_text(path) if is_one else without_name(place_of(path))


def _holder_type(graph: HeapGraph, found: _Found) -> str:
    hops = found.path.hops
    if len(hops) > 1:
        return hops[-2].type_name
    return "frame" if hops and hops[0].kind == "local" else found.path.root_kind
