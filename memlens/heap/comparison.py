"""What changed between two snapshots of one process, by type."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from memlens import _core
from memlens._core.layout import NONE, NodeFlag
from memlens._text import columns, format_bytes, format_change, format_count, format_duration
from memlens.heap.graph import HeapGraph
from memlens.heap.identity import check_same_process, match_graphs

__all__ = ("HeapComparison", "TypeChange", "compare_graphs")

_HIDDEN = NodeFlag.OWN | NodeFlag.GARBAGE


@dataclass(frozen=True, slots=True)
class TypeChange:
    """One type's change: objects counted, sizes in bytes (all objects of the type together)."""

    type_name: str
    count_before: int
    count_after: int
    new_count: int
    deleted_count: int
    shallow_before_bytes: int
    shallow_after_bytes: int
    retained_before_bytes: int
    retained_after_bytes: int

    @property
    def count_delta(self) -> int:
        """The change in the number of objects."""
        return self.count_after - self.count_before

    @property
    def shallow_delta_bytes(self) -> int:
        """The change in their own size, in bytes."""
        return self.shallow_after_bytes - self.shallow_before_bytes

    @property
    def retained_delta_bytes(self) -> int:
        """The change in what they keep alive, in bytes."""
        return self.retained_after_bytes - self.retained_before_bytes

    @property
    def growth_percent(self) -> float | None:
        """The growth in number, in percent; None for a type that was not there before."""
        return 100 * self.count_delta / self.count_before if self.count_before else None


class HeapComparison:
    """What changed between two snapshots, by type, the largest growth in bytes first."""

    def __init__(self, changes: list[TypeChange], *, seconds: float) -> None:
        self.changes = tuple(
            sorted(
                changes,
                key=lambda c: (-c.shallow_delta_bytes, -c.count_delta, c.type_name),
            )
        )
        self.seconds = seconds

    def __iter__(self) -> Iterator[TypeChange]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def growing(self) -> list[TypeChange]:
        """Return the types that have more objects or more bytes than before, most bytes first."""
        return [c for c in self.changes if c.shallow_delta_bytes > 0 or c.count_delta > 0]

    def table(self, limit: int = 20) -> str:
        """Return the first ``limit`` types that changed as a plain table of at most 100 columns."""
        changed = [c for c in self.changes if c.new_count or c.deleted_count]
        rows = [
            (
                format_count(c.count_before),
                format_count(c.count_after),
                f"+{format_count(c.new_count)}",
                f"-{format_count(c.deleted_count)}",
                f"{c.count_delta:+,}",
                "new" if c.growth_percent is None else f"{c.growth_percent:+.0f}%",
                format_change(c.shallow_delta_bytes),
                format_change(c.retained_delta_bytes),
                c.type_name,
            )
            for c in changed[:limit]
        ]
        headers = ("before", "after", "new", "deleted", "delta", "growth", "shallow", "retained")
        more = f"\n... and {len(changed) - limit} more types" if len(changed) > limit else ""
        return columns((*headers, "type"), rows) + more

    def __str__(self) -> str:
        shallow = sum(c.shallow_delta_bytes for c in self.changes)
        count = sum(c.count_delta for c in self.changes)
        head = (
            f"In {format_duration(self.seconds)} the heap changed by {format_change(shallow)}"
            f" ({count:+,} objects, now {format_bytes(sum(c.shallow_after_bytes for c in self))})"
        )
        return f"{head}\n\n{self.table()}"

    def to_dict(self) -> dict[str, Any]:
        """Return all changes as JSON-ready values."""
        return {"seconds": self.seconds, "types": [asdict(change) for change in self.changes]}


def compare_graphs(before: HeapGraph, after: HeapGraph) -> HeapComparison:
    """Compare two captured heaps of one process; garbage and memlens's own objects do not count.

    Raises ``ComparisonError`` for heaps of different processes.
    """
    check_same_process(before, after)
    same = match_graphs(before, after)
    kept_before = bytearray(before.node_count)
    new: dict[str, int] = {}
    for node, old in enumerate(same):
        if old != NONE and not before.flags[old] & _HIDDEN:
            kept_before[old] = 1
        elif node and not after.flags[node] & _HIDDEN:
            new[after.type_of(node)] = new.get(after.type_of(node), 0) + 1
    deleted = _count_deleted(before, kept_before, same, after)
    rows_before, rows_after = _by_type(before), _by_type(after)
    nothing = (0, 0, 0)
    changes = []
    for name in rows_before.keys() | rows_after.keys():
        old_row, new_row = rows_before.get(name, nothing), rows_after.get(name, nothing)
        changes.append(
            TypeChange(
                name,
                old_row[0],
                new_row[0],
                new.get(name, 0),
                deleted.get(name, 0),
                old_row[1],
                new_row[1],
                old_row[2],
                new_row[2],
            )
        )
    seconds = float(after.facts.get("timestamp", 0)) - float(before.facts.get("timestamp", 0))
    return HeapComparison(changes, seconds=seconds)


def _count_deleted(
    before: HeapGraph, kept: bytearray, same: array[int], after: HeapGraph
) -> dict[str, int]:
    """Count what was visible before and is gone, or hidden, after."""
    for node, old in enumerate(same):
        if old != NONE and after.flags[node] & _HIDDEN:
            kept[old] = 0
    deleted: dict[str, int] = {}
    for node in range(1, before.node_count):
        if not kept[node] and not before.flags[node] & _HIDDEN:
            deleted[before.type_of(node)] = deleted.get(before.type_of(node), 0) + 1
    return deleted


def _by_type(graph: HeapGraph) -> dict[str, tuple[int, int, int]]:
    """Count, shallow and retained bytes by type name (types of one name together)."""
    rows = len(graph.type_names)
    counts, sizes = _core.count_types(
        graph.node_type, graph.node_size, graph.flags, rows, int(_HIDDEN)
    )
    retained = graph.dominators.retained_by_group(graph.node_type, rows)
    totals: dict[str, tuple[int, int, int]] = {}
    for row, name in enumerate(graph.type_names):
        if counts[row]:
            old = totals.get(name, (0, 0, 0))
            totals[name] = (old[0] + counts[row], old[1] + sizes[row], old[2] + retained[row])
    return totals
