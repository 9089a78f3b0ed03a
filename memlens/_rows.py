"""Rows: the base of the values that are tables, with one way to iterate, print and export them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar, overload

from memlens._display import displayed
from memlens._options import check_integer
from memlens._table import columns
from memlens._text import fitted, format_count

__all__ = ("Rows",)

Row = TypeVar("Row")


@displayed
class Rows(Generic[Row]):
    """A sequence of rows that prints as a plain table.

    A subclass sets ``headers`` and implements `_cells`; it may override `title`, `_totals` and
    `_row_to_dict`, and `_lines` where a row takes several lines.
    """

    __slots__ = ("rows",)

    headers: tuple[str, ...] = ()
    aligned_right: ClassVar[tuple[bool, ...] | None] = None  # None: all columns but the last
    optional: ClassVar[tuple[str, ...]] = ()  # headers of what a narrow table leaves out, in order
    min_last: ClassVar[int] = 20  # columns of the last column, before others are left out
    wrap: ClassVar[bool] = False  # the last column, which is shortened otherwise
    indent: ClassVar[str] = ""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = tuple(rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, index: int | slice) -> Row | tuple[Row, ...]:
        return self.rows[index]

    @property
    def title(self) -> str:
        """The heading that ``str()`` prints above the table; empty for none."""
        return ""

    def table(self, limit: int = 20) -> str:
        """Return the first ``limit`` rows as a plain table that fits the terminal.

        Where there is none it has at most 100 columns. Raises ``OptionError`` for a limit below 1.
        """
        lines = self.cells(limit)
        table = columns(
            self.headers,
            lines,
            right=self.aligned_right,
            indent=self.indent,
            wrap=self.wrap,
            min_last=self.min_last,
            optional=[header for header in self.optional if header in self.headers],
        )
        hidden_count = self.hidden_count(limit)
        if hidden_count <= 0:
            return table
        return f"{table}\n{self.indent}... and {format_count(hidden_count)} more"

    def cells(self, limit: int = 20) -> list[tuple[str, ...]]:
        """Return the texts of the first ``limit`` rows, one for each of ``headers``.

        A row of several lines gives several. Raises ``OptionError`` for a limit below 1.
        """
        check_integer("limit", limit, 1)
        shown = self._table_rows()[:limit]
        return [tuple(line) for row in shown for line in self._lines(row)]

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Return the totals and the first ``limit`` rows, all by default, as JSON-ready values."""
        if limit is not None:
            check_integer("limit", limit, 0)
        rows = [self._row_to_dict(row) for row in self.rows[:limit]]
        return {**self._totals(), "rows": rows}

    def __str__(self) -> str:
        title = fitted(self.title)
        return f"{title}\n\n{self.table()}" if title else self.table()

    def __repr__(self) -> str:
        count = len(self.rows)
        return f"<{type(self).__name__}: {format_count(count)} row{'' if count == 1 else 's'}>"

    def _cells(self, row: Row) -> Sequence[str]:
        """Return the texts of one row, one for each header."""
        raise NotImplementedError

    def _lines(self, row: Row) -> Iterable[Sequence[str]]:
        """Return the lines that a row takes in the table."""
        return (self._cells(row),)

    def _table_rows(self) -> Sequence[Row]:
        """Return the rows that the table may show."""
        return self.rows

    def hidden_count(self, limit: int) -> int:
        """Return how many rows a table of ``limit`` rows leaves out; negative for none."""
        return len(self._table_rows()) - limit

    def _totals(self) -> dict[str, Any]:
        """Return what `to_dict` gives beside the rows."""
        return {}

    def _row_to_dict(self, row: Row) -> dict[str, Any]:
        """Return one row as JSON-ready values; by default the fields of a dataclass."""
        from dataclasses import asdict  # imports inspect

        return asdict(row)  # type: ignore[call-overload, no-any-return]
