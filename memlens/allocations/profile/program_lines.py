"""ProgramLines: the memory of a profile beside the lines of the program's own files."""

from __future__ import annotations

import linecache
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from memlens._display import displayed
from memlens._frame import CallPath, Frame, is_program_file
from memlens._options import check_integer
from memlens._rows import Rows
from memlens._table import columns
from memlens._text import format_bytes, format_count, middle_cut, text_width
from memlens.allocations.profile.rows import AllocationRow, merged_by, ordered

__all__ = ("ProgramLine", "ProgramLines", "program_lines")

_MAX_BYTES = 4 << 20  # of a source file


@displayed
@dataclass(frozen=True, slots=True)
class ProgramLine:
    """Memory that a line of the program allocated, itself or in a library that it called.

    Sizes are estimates in bytes; ``live_bytes_stderr`` is a standard error. ``allocated_bytes`` is
    None if the source does not know it (tracemalloc). ``text`` is the source, None if it cannot be
    read.
    """

    file: str
    line: int
    function: str | None
    live_bytes: float
    live_bytes_stderr: float
    allocated_bytes: float | None
    text: str | None

    def __str__(self) -> str:
        where = Frame(self.function, self.file, self.line)
        allocated = _allocated(self) or "unknown"
        return f"{format_bytes(self.live_bytes)} live, {allocated} allocated at {where}"

    def __repr__(self) -> str:
        where = Frame(self.function, self.file, self.line).short()
        return f"<ProgramLine {where}: {format_bytes(self.live_bytes)} live>"


class ProgramLines(Rows[ProgramLine]):
    """The lines of the program's own files that hold or allocated most, the largest first.

    Each byte belongs to the innermost line of the program in its call path. ``live_bytes`` is the
    sum of the lines, ``total_live_bytes`` that of the whole profile: the rest was allocated by
    libraries that no line of the program called. ``str()`` shows the lines file by file.
    """

    __slots__ = ("live_bytes", "total_live_bytes")

    headers = ("live", "± stderr", "allocated", "line", "source")
    optional = ("± stderr",)

    def __init__(self, rows: Iterable[ProgramLine], total_live_bytes: float) -> None:
        super().__init__(rows)
        self.total_live_bytes = total_live_bytes
        self.live_bytes = sum(row.live_bytes for row in self.rows)

    @property
    def title(self) -> str:
        """How much of the profile the lines explain, in one line."""
        return (
            f"{format_bytes(self.live_bytes)} of {format_bytes(self.total_live_bytes)} live memory"
            " was allocated by lines of the program, or by libraries that they called"
        )

    def by_file(self, limit: int | None = None) -> dict[str, list[ProgramLine]]:
        """Return the first ``limit`` lines (all for None) of each file, in the order of the file.

        The file with the largest line comes first.
        """
        files: dict[str, list[ProgramLine]] = {}
        for row in self.rows[:limit]:
            files.setdefault(row.file, []).append(row)
        return {file: sorted(rows, key=lambda row: row.line) for file, rows in files.items()}

    def table(self, limit: int = 20) -> str:
        """Return the ``limit`` largest lines, file by file. ``OptionError`` for a limit below 1."""
        check_integer("limit", limit, 1)
        rows: list[str | tuple[str, ...]] = []
        for file, lines in self.by_file(limit).items():
            rows += ["", middle_cut(Frame(None, file, 0).package_location, text_width())]
            rows += [self._cells(line) for line in lines]
        table = columns(self.headers, rows, optional=self.optional, cut_end=True)
        hidden = self.hidden_count(limit)
        return f"{table}\n... and {format_count(hidden)} more" if hidden > 0 else table

    def _lines(self, row: ProgramLine) -> Iterator[tuple[str, ...]]:
        """Return a row with its place, for tables without headings of files."""
        *numbers, _, text = self._cells(row)
        yield (*numbers, Frame(None, row.file, row.line).package_location, text)

    def _cells(self, row: ProgramLine) -> tuple[str, ...]:
        return (
            format_bytes(row.live_bytes),
            format_bytes(row.live_bytes_stderr),
            _allocated(row),
            str(row.line),
            row.text or "",
        )

    def _totals(self) -> dict[str, Any]:
        return {
            "live_bytes": self.live_bytes,
            "total_live_bytes": self.total_live_bytes,
            "files": [
                {
                    "file": file,
                    "first_line": rows[0].line,
                    "rows": [
                        [row.line, row.live_bytes, row.allocated_bytes, row.text] for row in rows
                    ],
                }
                for file, rows in self.by_file().items()
            ],
        }


def program_lines(
    rows: Iterable[AllocationRow], total: AllocationRow, by: str, *, reads_source: bool = True
) -> ProgramLines:
    """Return the lines of the program that the rows of a profile belong to, the largest first.

    Without ``reads_source`` no file is opened, and no line has a text.
    """
    own = [row._replace(call_path=_own_frame(row.call_path)) for row in ordered(rows, by)]
    own = [row for row in own if row.call_path]
    # A line may belong to several functions, a comprehension for example: the largest names it.
    first = {row.call_path[0][1:]: row.call_path for row in reversed(own)}
    merged = merged_by(own, lambda row: row.call_path[0][1:], first.__getitem__)
    lines = [_line(row, reads_source) for row in ordered(merged, by)]
    return ProgramLines(lines, total.live_bytes)


def _own_frame(path: CallPath) -> CallPath:
    """Return the innermost frame of the program; empty if there is none."""
    own = next((frame for frame in reversed(path) if is_program_file(frame.file)), None)
    return () if own is None else (own,)


def _line(row: AllocationRow, reads_source: bool) -> ProgramLine:
    (frame,) = row.call_path
    return ProgramLine(
        file=frame.file,
        line=frame.line,
        function=frame.function,
        live_bytes=row.live_bytes,
        live_bytes_stderr=row.live_bytes_stderr,
        allocated_bytes=row.allocated_bytes,
        text=_source(frame) if reads_source else None,
    )


def _source(frame: Frame) -> str | None:
    """Return a line of source; None if it cannot be read.

    The name of the file comes from a file that somebody else may have made: only regular files of a
    moderate size are read, because others may never end. Cells of notebooks are in linecache only.
    """
    if frame.file not in linecache.cache and not _is_moderate(frame.file):
        return None
    return linecache.getline(frame.file, frame.line).strip() or None


def _is_moderate(file: str) -> bool:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return False
    # Files of /proc are regular and have no size.
    return stat.S_ISREG(status.st_mode) and 0 < status.st_size <= _MAX_BYTES


def _allocated(row: ProgramLine) -> str:
    return "" if row.allocated_bytes is None else format_bytes(row.allocated_bytes)
