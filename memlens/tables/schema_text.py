"""The schema of the tables as Markdown: the part of docs/tables.md that lists the columns."""

from __future__ import annotations

from memlens.tables.schema import TABLES, Column, Table

__all__ = ("schema_markdown", "unit_of")

_UNITS = (("bytes_per_hour", "bytes per hour"), ("bytes", "bytes"), ("seconds", "seconds"))
_ENDS = ("_stderr", "_to_limit")  # after the unit in a name


def schema_markdown() -> str:
    """Return all tables with their columns: type, unit and meaning. Ends in a newline."""
    common = _common_columns()
    parts = [
        "Each row of each table begins with these columns:",
        _table_text(common),
        *(
            f"### `{table.name}`\n\nA row is {table.row}.\n\n"
            + _table_text([column for column in table.columns if column not in common])
            for table in TABLES
        ),
    ]
    return "\n\n".join(parts) + "\n"


def unit_of(column: Column) -> str:
    """Return the unit of a column, which its name ends in; empty for a count or a text."""
    name = column.name
    for end in _ENDS:
        name = name.removesuffix(end)
    for end, unit in _UNITS:
        if name == end or name.endswith(f"_{end}"):
            return unit
    return ""


def _common_columns() -> list[Column]:
    first: Table = TABLES[0]
    return [column for column in first.columns if all(column in one.columns for one in TABLES)]


def _table_text(columns: list[Column]) -> str:
    rows = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for column in columns:
        kind = f"{column.type}, null" if column.is_optional else column.type
        rows.append(f"| `{column.name}` | {kind} | {unit_of(column)} | {column.meaning} |")
    return "\n".join(rows)
