"""Rows of tables for tests: each column has values of its type."""

from __future__ import annotations

import datetime

from memlens.tables.schema import Table

START = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)


def some_rows(table: Table, count: int, **given: object) -> dict[str, list]:
    """Rows of a table that differ; ``given``: the value or list of values of a column."""
    columns = {
        column.name: [value_of(column, row) for row in range(count)] for column in table.columns
    }
    for name, value in given.items():
        columns[name] = value if isinstance(value, list) else [value] * count
    return columns


def value_of(column, row):
    if column.name in ("service", "host"):
        return column.name
    if column.is_optional and row % 3 == 2:
        return None
    time = START + datetime.timedelta(microseconds=row)
    return {
        "text": f"{column.name} {row % 7}",
        "integer": row * 1000 + 1,
        "number": row / 3,
        "boolean": row % 2 == 0,
        "time": time,
        "date": time.date(),
        "texts": [f"{column.name} {one}" for one in range(row % 4)],
    }[column.type]
