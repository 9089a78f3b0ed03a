"""What changed between two snapshots of one process, by type."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any, NamedTuple

from memlens._display import displayed
from memlens._rows import Rows
from memlens._text import format_bytes, format_change, format_count, format_duration
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.matching import check_same_process, match_graphs
from memlens.heap.graph.steady_time import steady_seconds
from memlens.heap.views.summary import type_groups
from memlens.heap.views.visibility import HIDDEN

__all__ = ("HeapComparison", "TypeChange", "compare_graphs")

_IN_BOTH = 1 << 15  # marks the objects that are in both heaps; not a NodeFlag


@displayed
@dataclass(frozen=True, slots=True)
class TypeChange:
    """The change of one type: object counts, and the total sizes of its objects in bytes."""

    type_name: str
    count_before: int
    count_after: int
    new_count: int
    deleted_count: int
    shallow_before_bytes: int
    shallow_after_bytes: int
    retained_before_bytes: int
    retained_after_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.type_name}: {self.count_delta:+,} objects,"
            f" {format_change(self.shallow_delta_bytes)}"
        )

    def __repr__(self) -> str:
        return f"<TypeChange {self}>"

    @property
    def count_delta(self) -> int:
        """The change in the number of objects."""
        return self.count_after - self.count_before

    @property
    def shallow_delta_bytes(self) -> int:
        """The change in shallow size, in bytes."""
        return self.shallow_after_bytes - self.shallow_before_bytes

    @property
    def retained_delta_bytes(self) -> int:
        """The change in retained size, in bytes."""
        return self.retained_after_bytes - self.retained_before_bytes

    @property
    def growth_percent(self) -> float | None:
        """The growth of the object count in percent; None for a new type."""
        return 100 * self.count_delta / self.count_before if self.count_before else None


@displayed
class HeapComparison(Rows[TypeChange]):
    """What changed between two snapshots, by type, the largest growth in bytes first.

    ``seconds`` is the time between them. The table leaves out types that did not change.
    """

    headers = (
        "before", "after", "new", "deleted", "delta", "growth", "shallow", "retained", "type",
    )  # fmt: skip
    optional = ("before", "deleted", "new", "growth", "after", "retained")

    def __init__(self, changes: list[TypeChange], *, seconds: float) -> None:
        super().__init__(
            sorted(
                changes,
                key=lambda c: (-c.shallow_delta_bytes, -c.count_delta, c.type_name),
            )
        )
        self.seconds = seconds

    def growing(self) -> list[TypeChange]:
        """Return the types that have more objects or more bytes than before, most bytes first."""
        return [c for c in self.rows if c.shallow_delta_bytes > 0 or c.count_delta > 0]

    @property
    def title(self) -> str:
        """The change in one line: the time between, the bytes, the objects."""
        shallow = sum(c.shallow_delta_bytes for c in self.rows)
        count = sum(c.count_delta for c in self.rows)
        return (
            f"In {format_duration(self.seconds)} the heap changed by {format_change(shallow)}"
            f" ({count:+,} objects, now {format_bytes(sum(c.shallow_after_bytes for c in self))})"
        )

    def _table_rows(self) -> list[TypeChange]:
        return [c for c in self.rows if c.new_count or c.deleted_count or c.shallow_delta_bytes]

    def _cells(self, row: TypeChange) -> tuple[str, ...]:
        return (
            format_count(row.count_before),
            format_count(row.count_after),
            f"+{format_count(row.new_count)}",
            f"-{format_count(row.deleted_count)}",
            f"{row.count_delta:+,}",
            "new" if row.growth_percent is None else f"{row.growth_percent:+.0f}%",
            format_change(row.shallow_delta_bytes),
            format_change(row.retained_delta_bytes),
            row.type_name,
        )

    def _totals(self) -> dict[str, Any]:
        return {"seconds": self.seconds}


def compare_graphs(before: HeapGraph, after: HeapGraph) -> HeapComparison:
    """Compare two captured heaps of one process, without garbage and memlens's own objects.

    Raises ``ComparisonError`` for heaps of different processes.
    """
    check_same_process(before, after)
    same = match_graphs(before, after)
    flags = checked_core.mark_matched(same, before.flags, after.flags, HIDDEN, _IN_BOTH)
    rows_before, rows_after = _by_type(before, flags[0]), _by_type(after, flags[1])
    changes = []
    for name in rows_before.keys() | rows_after.keys():
        old, new = rows_before.get(name, _NOTHING), rows_after.get(name, _NOTHING)
        changes.append(
            TypeChange(
                type_name=name,
                count_before=old.objects,
                count_after=new.objects,
                new_count=new.unmatched,
                deleted_count=old.unmatched,
                shallow_before_bytes=old.shallow_bytes,
                shallow_after_bytes=new.shallow_bytes,
                retained_before_bytes=old.retained_bytes,
                retained_after_bytes=new.retained_bytes,
            )
        )
    seconds = steady_seconds(after.facts) - steady_seconds(before.facts)
    return HeapComparison(changes, seconds=seconds)


class _Totals(NamedTuple):
    """The totals of one type in one heap; ``unmatched`` objects are not in the other heap."""

    objects: int
    shallow_bytes: int
    retained_bytes: int
    unmatched: int


_NOTHING = _Totals(0, 0, 0, 0)


def _by_type(graph: HeapGraph, flags: array[int]) -> dict[str, _Totals]:
    """Return the totals by type name; classes of the same name are counted together."""
    group, names = type_groups(graph)
    sizes, count = graph.node_size, len(names)
    counts, total_bytes = checked_core.count_types(group, sizes, flags, count, HIDDEN)
    unmatched, _ = checked_core.count_types(group, sizes, flags, count, HIDDEN | _IN_BOTH)
    retained = graph.dominators.retained_by_group(group, len(names), flags, HIDDEN)
    totals = map(_Totals, counts, total_bytes, retained, unmatched)
    return {name: row for name, row in zip(names, totals, strict=True) if row.objects}
