"""Plain tables that fit the width of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from memlens._text import end_cut, fitted, middle_cut, printable, text_width, wrapped

__all__ = ("columns",)

_GAP = "  "
_MIN_TEXT = 12  # columns of another column of text
_STACKED = "    "  # before the last column where it has lines of its own

_Row = Sequence[str] | str


def columns(
    headers: Sequence[str],
    rows: Iterable[_Row],
    *,
    right: Sequence[bool] | None = None,
    width: int | None = None,
    indent: str = "",
    optional: Sequence[str] = (),
    wrap: bool = False,
    cut_end: bool = False,
    min_last: int = 20,
) -> str:
    """Return a plain table; no line is longer than ``width``, by default `text_width`.

    ``right`` says which columns are aligned to the right (by default all but the last). The last
    column takes the remaining width. What does not fit in it is shortened in its middle, or wrapped
    if ``wrap`` is true, as for sentences, or loses its end if ``cut_end`` is true, as source text. A
    row that is a string is a line across all columns.

    Where fewer than ``min_last`` columns remain for a longer last column, the columns of the headers
    in ``optional`` are left out, the first of them first, with a note below the table. Then columns
    of text become narrower. At last the last column gets lines of its own. Control characters are
    escaped.
    """
    width = width or text_width()
    lines = [row if isinstance(row, str) else [*map(printable, row)] for row in rows]
    is_right = list(right) if right is not None else [True] * (len(headers) - 1) + [False]
    table = _Table([*headers], lines, is_right, width - len(indent), min_last)
    table.fit(list(optional))
    shorten = wrapped if wrap else _end_cut if cut_end else _middle_cut
    return "\n".join((indent + line).rstrip() for line in table.lines(shorten))


def _end_cut(text: str, width: int) -> list[str]:
    return [end_cut(text, width)]


def _middle_cut(text: str, width: int) -> list[str]:
    return [middle_cut(text, width)]


class _Table:
    """The columns of a table while they are made to fit."""

    def __init__(
        self,
        headers: list[str],
        rows: list[list[str] | str],
        right: list[bool],
        width: int,
        min_last: int,
    ) -> None:
        self.headers, self.rows, self.right, self.width = headers, rows, right, width
        self.widths = [
            max(len(row[at]) for row in (headers, *rows) if not isinstance(row, str))
            for at in range(len(headers))
        ]
        self.min_last = min(self.widths[-1], min_last)
        self.left_out: list[str] = []
        self.is_stacked = False

    @property
    def room(self) -> int:
        """What the other columns leave for the last one."""
        return self.width - sum(self.widths[:-1]) - len(_GAP) * (len(self.widths) - 1)

    def fits(self) -> bool:
        return self.room >= self.min_last

    def fit(self, optional: list[str]) -> None:
        """Take width from columns until the table fits."""
        while not self.fits() and optional:
            self._leave_out(self.headers.index(optional.pop(0)))
        self._narrow(max(self.width // 4, _MIN_TEXT))
        self._narrow(_MIN_TEXT)
        self.is_stacked = not self.fits()
        last = self.width - len(_STACKED) if self.is_stacked else self.room
        self.widths[-1] = min(self.widths[-1], last)

    def _narrow(self, least: int) -> None:
        """Make columns of text narrower, but no narrower than ``least``."""
        for at in range(len(self.widths) - 1):
            if not self.fits() and not self.right[at]:
                narrower = max(least, self.widths[at] - (self.min_last - self.room))
                self.widths[at] = min(self.widths[at], narrower)

    def _leave_out(self, at: int) -> None:
        self.left_out.append(self.headers[at])
        for cells in (self.headers, self.widths, self.right, *self.rows):
            if not isinstance(cells, str):
                del cells[at]

    def lines(self, shorten: Callable[[str, int], list[str]]) -> list[str]:
        lines = []
        for row in (self.headers, *self.rows):
            lines += [row] if isinstance(row, str) else self._row(row, shorten)
        if self.left_out:
            note = f"(too narrow for: {', '.join(self.left_out)})"
            lines += fitted(note, self.width).split("\n")
        return lines

    def _row(self, row: Sequence[str], shorten: Callable[[str, int], list[str]]) -> list[str]:
        width = self.widths[-1]
        last = shorten(row[-1], width)
        cells = [self._cell(row, at) for at in range(len(row) - 1)]
        if self.is_stacked:
            numbers = _GAP.join(cells).rstrip()
            above = fitted(numbers, self.width).split("\n") if numbers else []
            return [*above, *(_STACKED + line for line in last if line)]
        if self.right[-1]:
            last = [line.rjust(width) for line in last]
        start = _GAP.join([*cells, ""])
        return [start + last[0], *(" " * len(start) + line for line in last[1:])]

    def _cell(self, row: Sequence[str], at: int) -> str:
        width = self.widths[at]
        text = middle_cut(row[at], width)
        return text.rjust(width) if self.right[at] else text.ljust(width)
