"""Tables of traced memory by line, file or call path, and of its changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from memlens._display import displayed
from memlens._frame import CallPath, Frame, path_order, traced_as_ours
from memlens._rows import Rows
from memlens._text import (
    fitted,
    format_bytes,
    format_change,
    format_count,
    middle_cut,
    text_width,
)

__all__ = (
    "TraceComparison",
    "TraceDifference",
    "TraceStatistic",
    "TraceStatistics",
    "compare_groups",
    "rank_groups",
)

Row = TypeVar("Row")
Groups = dict[CallPath, tuple[int, int]]  # bytes and blocks of each call path


@displayed
@traced_as_ours
class TraceStatistic(NamedTuple):
    """The live traced memory of one line, file or call path, in bytes and blocks.

    ``call_path`` has one frame when grouped by line or file, and all frames by traceback.
    """

    call_path: CallPath
    size_bytes: int
    block_count: int

    @property
    def frame(self) -> Frame:
        """The frame that allocated."""
        return self.call_path[-1]

    def __str__(self) -> str:
        blocks = _blocks(format_count(self.block_count), self.block_count)
        return _line(f"{format_bytes(self.size_bytes)} in {blocks}", self.frame)

    def __repr__(self) -> str:
        return f"<TraceStatistic: {self}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready values."""
        return {
            "call_path": [frame._asdict() for frame in self.call_path],
            "size_bytes": self.size_bytes,
            "block_count": self.block_count,
        }


@displayed
@traced_as_ours
class TraceDifference(NamedTuple):
    """The change of one line, file or call path between two captures of traced memory."""

    call_path: CallPath
    before_bytes: int
    after_bytes: int
    before_count: int
    after_count: int

    @property
    def frame(self) -> Frame:
        """The frame that allocated."""
        return self.call_path[-1]

    @property
    def difference_bytes(self) -> int:
        """The growth in bytes; negative if memory was freed."""
        return self.after_bytes - self.before_bytes

    @property
    def difference_count(self) -> int:
        """The growth in memory blocks; negative if blocks were freed."""
        return self.after_count - self.before_count

    def __str__(self) -> str:
        blocks = _blocks(_signed(self.difference_count), self.difference_count)
        return _line(f"{format_change(self.difference_bytes)} in {blocks}", self.frame)

    def __repr__(self) -> str:
        return f"<TraceDifference: {self}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready values."""
        return {
            "call_path": [frame._asdict() for frame in self.call_path],
            "before_bytes": self.before_bytes,
            "after_bytes": self.after_bytes,
            "difference_bytes": self.difference_bytes,
            "before_count": self.before_count,
            "after_count": self.after_count,
            "difference_count": self.difference_count,
        }


class _TraceRows(Rows[Row]):
    """A table of call paths, of which the constructor keeps only the first ``limit`` rows."""

    __slots__ = ("omitted",)

    indent = "  "

    def __init__(self, ranked: Sequence[Row], limit: int | None) -> None:
        super().__init__(ranked[:limit])
        self.omitted = len(ranked) - len(self.rows)

    def __str__(self) -> str:
        if self.rows:
            return f"{fitted(self.title)}\n{self.table(len(self.rows))}"
        hidden = f"\n  ... and {format_count(self.omitted)} more" if self.omitted else ""
        return fitted(self.title) + hidden

    def hidden_count(self, limit: int) -> int:
        return max(0, super().hidden_count(limit)) + self.omitted


class TraceStatistics(_TraceRows[TraceStatistic]):
    """The largest groups of a `TracedMemory`: a sequence of `TraceStatistic`, largest first.

    ``total_bytes`` and ``total_count`` are sums over all groups. ``omitted`` is the number of
    groups that the limit left out of ``rows``.
    """

    __slots__ = ("total_bytes", "total_count")

    headers = ("size", "blocks", "where")

    def __init__(self, ranked: Sequence[TraceStatistic], limit: int | None) -> None:
        super().__init__(ranked, limit)
        self.total_bytes = sum(row.size_bytes for row in ranked)
        self.total_count = sum(row.block_count for row in ranked)

    @property
    def title(self) -> str:
        """The totals in one line."""
        total = format_count(self.total_count)
        return f"{format_bytes(self.total_bytes)} traced, {_blocks(total, self.total_count)}"

    def _lines(self, row: TraceStatistic) -> Iterator[Sequence[str]]:
        numbers = format_bytes(row.size_bytes), format_count(row.block_count)
        return _path_lines(numbers, row.call_path)

    def _totals(self) -> dict[str, Any]:
        return {
            "total_bytes": self.total_bytes,
            "total_count": self.total_count,
            "omitted": self.omitted,
        }

    def _row_to_dict(self, row: TraceStatistic) -> dict[str, Any]:
        return row.to_dict()

    def __repr__(self) -> str:
        size = format_bytes(self.total_bytes)
        return f"<TraceStatistics: {len(self) + self.omitted} groups, {size}>"


class TraceComparison(_TraceRows[TraceDifference]):
    """The changes between two captures: a sequence of `TraceDifference`, largest first.

    ``difference_bytes`` and ``difference_count`` are sums over all groups. ``omitted`` is the
    number of changed groups that the limit left out of ``rows``.
    """

    __slots__ = ("difference_bytes", "difference_count")

    headers = ("growth", "size", "new blocks", "blocks", "where")
    optional = ("blocks", "new blocks")

    def __init__(self, ranked: Sequence[TraceDifference], limit: int | None) -> None:
        super().__init__(ranked, limit)
        self.difference_bytes = sum(row.difference_bytes for row in ranked)
        self.difference_count = sum(row.difference_count for row in ranked)

    @property
    def title(self) -> str:
        """The change of all groups together in one line."""
        blocks = _blocks(_signed(self.difference_count), self.difference_count)
        return f"{format_change(self.difference_bytes)} traced, {blocks}"

    def _lines(self, row: TraceDifference) -> Iterator[Sequence[str]]:
        numbers = (
            format_change(row.difference_bytes),
            format_bytes(row.after_bytes),
            _signed(row.difference_count),
            format_count(row.after_count),
        )
        return _path_lines(numbers, row.call_path)

    def _totals(self) -> dict[str, Any]:
        return {
            "difference_bytes": self.difference_bytes,
            "difference_count": self.difference_count,
            "omitted": self.omitted,
        }

    def _row_to_dict(self, row: TraceDifference) -> dict[str, Any]:
        return row.to_dict()

    def __repr__(self) -> str:
        change = format_change(self.difference_bytes)
        return f"<TraceComparison: {len(self) + self.omitted} groups changed, {change}>"


def rank_groups(groups: Groups) -> list[TraceStatistic]:
    """Return the groups as rows, largest first; ties are sorted by call path."""
    rows = [TraceStatistic(path, size, count) for path, (size, count) in groups.items()]
    rows.sort(key=lambda row: (-row.size_bytes, -row.block_count, path_order(row.call_path)))
    return rows


def compare_groups(before: Groups, after: Groups) -> list[TraceDifference]:
    """Return the groups that changed, largest change of bytes first, growth before decrease."""
    rows = []
    for path in before.keys() | after.keys():
        old, new = before.get(path, (0, 0)), after.get(path, (0, 0))
        if old != new:
            rows.append(TraceDifference(path, old[0], new[0], old[1], new[1]))
    rows.sort(key=_change_order)
    return rows


def _change_order(row: TraceDifference) -> tuple[Any, ...]:
    size, count = row.difference_bytes, row.difference_count
    return -abs(size), -size, -abs(count), -count, path_order(row.call_path)


def _path_lines(numbers: Sequence[str], path: CallPath) -> Iterator[Sequence[str]]:
    """Yield the line of a row, then one line for each caller in its call path."""
    yield [*numbers, str(path[-1])]
    blank = [""] * len(numbers)
    for frame in reversed(path[:-1]):
        yield [*blank, f"  from {frame}"]


def _line(what: str, frame: Frame) -> str:
    return f"{what}  {middle_cut(str(frame), max(text_width() - len(what) - 2, 20))}"


def _signed(count: int) -> str:
    return ("+" if count > 0 else "") + format_count(count)


def _blocks(text: str, count: int) -> str:
    return f"{text} block" if abs(count) == 1 else f"{text} blocks"
