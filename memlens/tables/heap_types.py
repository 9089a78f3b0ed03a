"""Rows of ``types``: the objects of a heap by type. They add up to what views show of the heap."""

from __future__ import annotations

from memlens.heap.graph import checked_core
from memlens.heap.graph.native_blocks import is_native_type
from memlens.heap.snapshot import HeapSnapshot
from memlens.heap.views.summary import type_groups
from memlens.heap.views.visibility import HIDDEN
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.top_rows import MAX_ROWS, REST_RANK, largest_and_rest

__all__ = ("type_columns",)

_Row = tuple[str | None, int, int, int, int]  # name, rank, count, bytes, native bytes


def type_columns(
    snapshot: HeapSnapshot,
    process: ProcessColumns,
    *,
    uptime_seconds: float | None = None,
    limit: int = MAX_ROWS,
) -> Columns:
    """Return the ``limit`` types with the largest size, and one row for all others.

    Counts and bytes add up to those of `HeapSnapshot.summary`: without garbage, and without the
    objects of memlens. ``uptime_seconds``: the uptime of the process at the snapshot; None takes it
    from the time of the snapshot.
    """
    rows = _rows(snapshot, limit)
    names, ranks, counts, sizes, native = zip(*rows, strict=True) if rows else ((),) * 5
    return {
        **process.same_moment(len(rows), snapshot.timestamp, uptime_seconds),
        "type": [*names],
        "rank": [*ranks],
        "count": [*counts],
        "size_bytes": [*sizes],
        "native_bytes": [*native],
    }


def _rows(snapshot: HeapSnapshot, limit: int) -> list[_Row]:
    graph = snapshot.graph
    group, names = type_groups(graph)
    counted = checked_core.count_types(group, graph.node_size, graph.flags, len(names), HIDDEN)
    found = [
        (name, count, size) for name, count, size in zip(names, *counted, strict=True) if count
    ]
    found.sort(key=lambda one: (-one[2], -one[1], one[0]))
    largest, rest = largest_and_rest(found, limit)
    rows: list[_Row] = [
        (name, rank, count, size, size if is_native_type(name) else 0)
        for rank, (name, count, size) in enumerate(largest, start=1)
    ]
    if rest:
        native = sum(size for name, _, size in rest if is_native_type(name))
        count, size = sum(one[1] for one in rest), sum(one[2] for one in rest)
        rows.append((None, REST_RANK, count, size, native))
    return rows
