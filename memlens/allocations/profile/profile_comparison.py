"""AllocationComparison: the changes between two allocation profiles, by call path."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from memlens._frame import CallPath, path_order, traced_as_ours
from memlens._text import columns, format_bytes, format_change
from memlens.allocations.options import check_limit
from memlens.allocations.profile.profile_text import path_text
from memlens.allocations.profile.rows import AllocationRow, check_measure

__all__ = ("AllocationComparison", "AllocationDifference", "compare_rows")


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
        before, after = getattr(self.before, by), getattr(self.after, by)
        return None if before is None or after is None else after - before

    def change_stderr(self, by: str = "live_bytes") -> float | None:
        """Return the standard error of `change`. Assumes independent samples: an upper bound."""
        before = getattr(self.before, by + "_stderr")
        after = getattr(self.after, by + "_stderr")
        return None if before is None or after is None else sqrt(before**2 + after**2)

    def is_significant(self, by: str = "live_bytes", errors: float = 3.0) -> bool:
        """Return whether the change is larger than ``errors`` standard errors."""
        change, error = self.change(by), self.change_stderr(by)
        return change is not None and error is not None and abs(change) > errors * error

    def __str__(self) -> str:
        change, error = self.change() or 0.0, self.change_stderr() or 0.0
        path = " -> ".join(map(str, self.call_path))
        return f"{format_change(change)} ± {format_bytes(error)} at {path}"

    def __repr__(self) -> str:
        change = format_change(self.change() or 0.0)
        return f"<AllocationDifference: {change} at {path_text(self.call_path)}>"


class AllocationComparison:
    """The changes between two profiles: a sequence, largest growth of live bytes first."""

    def __init__(self, differences: list[AllocationDifference]) -> None:
        self._differences = tuple(differences)

    def top(self, limit: int | None = 20, by: str = "live_bytes") -> list[AllocationDifference]:
        """Return the ``limit`` call paths that grew most by one of the four measures."""
        check_measure(by)
        return sorted(
            self._differences, key=lambda d: (-(d.change(by) or 0.0), path_order(d.call_path))
        )[: check_limit(limit)]

    def __iter__(self) -> Iterator[AllocationDifference]:
        return iter(self._differences)

    def __len__(self) -> int:
        return len(self._differences)

    def __getitem__(self, index: int) -> AllocationDifference:
        return self._differences[index]

    def __str__(self) -> str:
        rows = [
            (
                format_change(difference.change() or 0.0),
                format_bytes(difference.change_stderr() or 0.0),
                "" if difference.is_significant() else "~",
                path_text(difference.call_path),
            )
            for difference in self.top()
        ]
        return columns(("live", "± stderr", "", "call path (innermost first)"), rows)

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
    return AllocationComparison(AllocationComparison(differences).top(len(differences)))


def _nothing(path: CallPath) -> AllocationRow:
    return AllocationRow(path)
