"""AllocationComparison: the changes between two allocation profiles, by call path."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, NamedTuple

from memlens._display import displayed
from memlens._frame import CallPath, path_order, traced_as_ours
from memlens._options import check_number
from memlens._rows import Rows
from memlens._text import format_bytes, format_change
from memlens.allocations.options import check_limit
from memlens.allocations.profile.profile_text import path_text
from memlens.allocations.profile.rows import AllocationRow, check_measure

__all__ = ("AllocationComparison", "AllocationDifference", "compare_rows")


@displayed
@traced_as_ours
class AllocationDifference(NamedTuple):
    """The change of one call path between two profiles, with its standard error.

    Changes of the allocated measures are None if a profile does not know them (tracemalloc).
    """

    call_path: CallPath
    before: AllocationRow
    after: AllocationRow

    def change(self, by: str = "live_bytes") -> float | None:
        """Return the value of one measure after minus its value before."""
        check_measure(by)
        before, after = getattr(self.before, by), getattr(self.after, by)
        return None if before is None or after is None else after - before

    def change_stderr(self, by: str = "live_bytes") -> float | None:
        """Return the standard error of `change`. Assumes independent samples: an upper bound."""
        check_measure(by)
        before = getattr(self.before, by + "_stderr")
        after = getattr(self.after, by + "_stderr")
        return None if before is None or after is None else sqrt(before**2 + after**2)

    def is_significant(self, by: str = "live_bytes", errors: float = 3.0) -> bool:
        """Return whether the change is larger than ``errors`` standard errors (0 or more)."""
        check_number("errors", errors, 0)
        change, error = self.change(by), self.change_stderr(by)
        return change is not None and error is not None and abs(change) > errors * error

    def __str__(self) -> str:
        change, error = self.change() or 0.0, self.change_stderr() or 0.0
        path = " -> ".join(map(str, self.call_path))
        return f"{format_change(change)} ± {format_bytes(error)} at {path}"

    def __repr__(self) -> str:
        change = format_change(self.change() or 0.0)
        return f"<AllocationDifference: {change} at {path_text(self.call_path)}>"


class AllocationComparison(Rows[AllocationDifference]):
    """The changes between two profiles: a sequence, largest growth of live bytes first."""

    __slots__ = ()

    headers = ("live", "± stderr", "", "call path (innermost first)")
    optional = ("± stderr",)

    def top(self, limit: int | None = 20, by: str = "live_bytes") -> list[AllocationDifference]:
        """Return the ``limit`` call paths that grew most by one of the four measures."""
        return _ordered(self.rows, check_measure(by))[: check_limit(limit)]

    def _cells(self, row: AllocationDifference) -> tuple[str, ...]:
        return (
            format_change(row.change() or 0.0),
            format_bytes(row.change_stderr() or 0.0),
            "" if row.is_significant() else "~",
            path_text(row.call_path),
        )

    def _row_to_dict(self, row: AllocationDifference) -> dict[str, Any]:
        return {
            "call_path": [frame._asdict() for frame in row.call_path],
            "before": row.before.to_dict(),
            "after": row.after.to_dict(),
        }

    def __repr__(self) -> str:
        change = sum(difference.change() or 0.0 for difference in self)
        return f"<AllocationComparison: {len(self)} call paths, {format_change(change)} live>"


def compare_rows(before: list[AllocationRow], after: list[AllocationRow]) -> AllocationComparison:
    """Return the differences of two lists with one row for each call path."""
    old = {row.call_path: row for row in before}
    new = {row.call_path: row for row in after}
    differences = [
        AllocationDifference(path, old.get(path, _nothing(path)), new.get(path, _nothing(path)))
        for path in {**old, **new}
    ]
    return AllocationComparison(_ordered(differences, "live_bytes"))


def _ordered(differences: Iterable[AllocationDifference], by: str) -> list[AllocationDifference]:
    """Return differences by one measure, the largest growth first."""
    return sorted(differences, key=lambda d: (-(d.change(by) or 0.0), path_order(d.call_path)))


def _nothing(path: CallPath) -> AllocationRow:
    return AllocationRow(path)
