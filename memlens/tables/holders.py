"""Rows of ``holders``: what each named holder of a heap alone keeps alive, no byte in two of them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from memlens._core.layout import NONE
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.visibility import HIDDEN
from memlens.tables.named_holders import named_holders
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.top_rows import MAX_ROWS, REST_RANK, largest_and_rest

__all__ = ("holder_columns",)

_NO_HOLDER = 0  # the group of objects that no holder keeps alive


@dataclass(slots=True)
class _Group:
    """The holders of one place."""

    place: str | None
    type_name: str | None
    retained_bytes: int = 0  # the most that one of them retains
    count: int = 0
    size_bytes: int = 0
    native_bytes: int = 0


def holder_columns(
    snapshot: HeapSnapshot,
    process: ProcessColumns,
    *,
    uptime_seconds: float | None = None,
    limit: int = MAX_ROWS,
) -> Columns:
    """Return the ``limit`` named holders that keep most bytes alive, and one row for all the rest.

    Each object belongs to the nearest holder that dominates it: `memlens.tables.named_holders` says
    which objects are holders. Counts and bytes add up to those of `HeapSnapshot.summary`. The rest
    has the smaller holders, and what no holder alone keeps alive. ``uptime_seconds``: the uptime of
    the process at the snapshot; None takes it from the time of the snapshot.
    """
    groups = [one for one in _groups(snapshot.graph) if one.count]
    nameless = [one for one in groups if one.place is None]
    named = [one for one in groups if one.place is not None]
    named.sort(key=lambda one: (-one.size_bytes, -one.count, one.place or ""))
    largest, rest = largest_and_rest(named, limit)
    rows = [*largest]
    ranks = list(range(1, len(rows) + 1))
    if rest or nameless:
        rows.append(_sum([*rest, *nameless]))
        ranks.append(REST_RANK)
    return {
        **process.same_moment(len(rows), snapshot.timestamp, uptime_seconds),
        "holder": [one.place for one in rows],
        "rank": ranks,
        "type": [one.type_name for one in rows],
        "count": [one.count for one in rows],
        "size_bytes": [one.size_bytes for one in rows],
        "native_bytes": [one.native_bytes for one in rows],
    }


def _groups(graph: HeapGraph) -> list[_Group]:
    """Return the holders by place, and first what belongs to none, with their counts and sizes."""
    groups = [_Group(None, None)]
    by_place: dict[str, int] = {}
    marks = bytearray(graph.node_count)
    number_of = array("I", bytes(4 * graph.node_count))  # of the group, by holder
    for node, place, is_part in named_holders(graph):
        number = by_place.setdefault(place, len(groups))
        if number == len(groups):
            groups.append(_Group(place, None))
        marks[node], number_of[node] = 1, number
        if not is_part:
            _note_type(graph, node, groups[number])
    nearest = checked_core.nearest_marked(graph.dominators.dominator, marks)
    group = array("I", [_NO_HOLDER if holder == NONE else number_of[holder] for holder in nearest])
    _count(graph, group, groups)
    return groups


def _note_type(graph: HeapGraph, node: int, group: _Group) -> None:
    """Let the type of a group be that of its holder that retains most."""
    retained = graph.retained_bytes(node)
    if group.type_name is None or retained > group.retained_bytes:
        group.type_name, group.retained_bytes = graph.type_of(node), retained


def _count(graph: HeapGraph, group: array[int], groups: list[_Group]) -> None:
    counts, sizes = checked_core.count_types(
        group, graph.node_size, graph.flags, len(groups), HIDDEN
    )
    for one, count, size in zip(groups, counts, sizes, strict=True):
        one.count, one.size_bytes = count, size
    for node in () if graph.native is None else graph.native.nodes:
        if not graph.flags[node] & HIDDEN:
            groups[group[node]].native_bytes += graph.node_size[node]


def _sum(groups: list[_Group]) -> _Group:
    return _Group(
        None,
        None,
        count=sum(one.count for one in groups),
        size_bytes=sum(one.size_bytes for one in groups),
        native_bytes=sum(one.native_bytes for one in groups),
    )
