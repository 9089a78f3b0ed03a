"""Tables of traced memory by line, file or call path, and of its changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from memlens._frame import CallPath, Frame, path_order, traced_as_ours
from memlens._text import (
    PLAIN_WIDTH,
    columns,
    format_bytes,
    format_change,
    format_count,
    middle_cut,
)

__all__ = (
    "TraceComparison",
    "TraceDifference",
    "TraceStatistic",
    "TraceStatistics",
    "compare_groups",
    "rank_groups",
)

Groups = dict[CallPath, tuple[int, int]]  # bytes and blocks of each call path


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


class TraceStatistics:
    """The largest groups of a `TracedMemory`: a sequence of `TraceStatistic`, largest first.

    ``total_bytes`` and ``total_count`` are sums over all groups. ``omitted`` is the number of
    groups that the limit left out of ``rows``.
    """

    __slots__ = ("omitted", "rows", "total_bytes", "total_count")

    def __init__(self, ranked: Sequence[TraceStatistic], limit: int | None) -> None:
        self.rows = tuple(ranked[:limit])
        self.omitted = len(ranked) - len(self.rows)
        self.total_bytes = sum(row.size_bytes for row in ranked)
        self.total_count = sum(row.block_count for row in ranked)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[TraceStatistic]:
        return iter(self.rows)

    def __getitem__(self, position: int) -> TraceStatistic:
        return self.rows[position]

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON-ready values."""
        return {
            "total_bytes": self.total_bytes,
            "total_count": self.total_count,
            "omitted": self.omitted,
            "rows": [row.to_dict() for row in self.rows],
        }

    def __str__(self) -> str:
        total = format_count(self.total_count)
        title = f"{format_bytes(self.total_bytes)} traced, {_blocks(total, self.total_count)}"
        cells = [
            (format_bytes(row.size_bytes), format_count(row.block_count), row.call_path)
            for row in self.rows
        ]
        return _table(title, ("size", "blocks"), cells, self.omitted)

    def __repr__(self) -> str:
        size = format_bytes(self.total_bytes)
        return f"<TraceStatistics: {len(self) + self.omitted} groups, {size}>"


class TraceComparison:
    """The changes between two captures: a sequence of `TraceDifference`, largest first.

    ``difference_bytes`` and ``difference_count`` are sums over all groups. ``omitted`` is the
    number of changed groups that the limit left out of ``rows``.
    """

    __slots__ = ("difference_bytes", "difference_count", "omitted", "rows")

    def __init__(self, ranked: Sequence[TraceDifference], limit: int | None) -> None:
        self.rows = tuple(ranked[:limit])
        self.omitted = len(ranked) - len(self.rows)
        self.difference_bytes = sum(row.difference_bytes for row in ranked)
        self.difference_count = sum(row.difference_count for row in ranked)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[TraceDifference]:
        return iter(self.rows)

    def __getitem__(self, position: int) -> TraceDifference:
        return self.rows[position]

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON-ready values."""
        return {
            "difference_bytes": self.difference_bytes,
            "difference_count": self.difference_count,
            "omitted": self.omitted,
            "rows": [row.to_dict() for row in self.rows],
        }

    def __str__(self) -> str:
        blocks = _blocks(_signed(self.difference_count), self.difference_count)
        title = f"{format_change(self.difference_bytes)} traced, {blocks}"
        cells = [
            (
                format_change(row.difference_bytes),
                format_bytes(row.after_bytes),
                _signed(row.difference_count),
                format_count(row.after_count),
                row.call_path,
            )
            for row in self.rows
        ]
        return _table(title, ("growth", "size", "new blocks", "blocks"), cells, self.omitted)

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


def _table(
    title: str, headers: Sequence[str], cells: Iterable[tuple[Any, ...]], omitted: int
) -> str:
    rows: list[list[str]] = []
    for *numbers, path in cells:
        rows.append([*numbers, str(path[-1])])
        blank = [""] * len(numbers)
        rows.extend([*blank, f"  from {frame}"] for frame in reversed(path[:-1]))
    lines = [title]
    if rows:
        lines.append(columns([*headers, "where"], rows, indent="  "))
    if omitted:
        lines.append(f"  and {format_count(omitted)} more")
    return "\n".join(lines)


def _line(what: str, frame: Frame) -> str:
    return f"{what}  {middle_cut(str(frame), PLAIN_WIDTH - len(what) - 2)}"


def _signed(count: int) -> str:
    return ("+" if count > 0 else "") + format_count(count)


def _blocks(text: str, count: int) -> str:
    return f"{text} block" if abs(count) == 1 else f"{text} blocks"
