"""One damaged Parquet file: its columns, its metadata, the ways to write it, its bytes."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memlens.tables.arrow_types import arrow_table
from memlens.tables.listing import damage_at_ends
from memlens.tables.parquet_file import damage_in, read_table, write_table
from memlens.tables.schema import TABLES, Table
from tests.damaged.choices import Choices, edited
from tests.tables.rows import some_rows

EXTREMES: dict[str, tuple[Any, ...]] = {
    "text": ("", "x" * 70_000, "\x1b[2J", "\0", "a/../b", "'; drop table readings; --", "é" * 300),
    "integer": (0, -1, 2**63 - 1, -(2**63), 2**53 + 1),
    "number": (0.0, -1.0, float("inf"), float("-inf"), float("nan"), 1e308, 5e-324),
    "boolean": (True, False),
    "time": (0, 2**63 - 1, -(2**63), -1, 253402300800000000, -62135596800000001),
    "date": (0, 2**31 - 1, -(2**31), -1, 2932897, -719163),
    "texts": ([], [""], ["x"] * 3000, [None], ["\x1b[2J", "a"]),
}
OTHERS = (
    pa.array([1], pa.int8()), pa.array([2**64 - 1], pa.uint64()), pa.array([1.5], pa.float32()),
    pa.array(["text"]), pa.array([b"\xff\xfe"], pa.binary()), pa.array([None], pa.null()),
    pa.array([[["nested"]]]), pa.array([[1, 2]]), pa.array([{"a": 1}]), pa.array([True]),
    pa.array([2**62], pa.timestamp("ns")), pa.array([2**62], pa.timestamp("us")),
    pa.array([2**40], pa.timestamp("s", "Europe/Berlin")), pa.array([Decimal("1e9")]),
    pa.array(["12", "13"]).dictionary_encode().slice(1), pa.array([datetime.date(1, 1, 1)]),
    pa.array([2**31 - 1], pa.date32()), pa.array(["5"]), pa.array([datetime.time(1)]),
)  # fmt: skip
VERSIONS = ("1", "2", "x", "", "999999999", "-1", "1" * 5000)
COMPRESSIONS = ("none", "zstd", "snappy", "gzip")


def damaged_table(rows: Any, table: Table, choices: Choices) -> Any:
    """Return an Arrow table with a few columns damaged, or with other metadata."""
    facts = {"memlens.table": table.name, "memlens.schema_version": "1"}
    for _ in range(1 + choices.randrange(3)):
        kind = choices.randrange(8)
        place = choices.randrange(max(1, rows.num_columns))
        if kind == 0:
            facts["memlens.schema_version"] = choices.choice(VERSIONS)
        elif kind == 1:
            facts["memlens.table"] = choices.choice(["", "cats", *[one.name for one in TABLES]])
        elif not rows.num_columns:
            continue
        elif kind == 2:
            rows = rows.remove_column(place)
        elif kind == 3:
            names = list(rows.column_names)
            names[place] = choices.choice(["", "cats", *names])
            rows = rows.rename_columns(names)
        elif kind == 4:
            other = choices.choice(OTHERS)
            values = (
                pa.concat_arrays([other.slice(0, 1)] * rows.num_rows)
                if rows.num_rows
                else other.slice(0, 0)
            )
            rows = rows.set_column(place, rows.column_names[place], values)
        else:
            rows = _with_extreme(rows, table, place, choices)
    return rows.replace_schema_metadata(facts)


def _with_extreme(rows: Any, table: Table, place: int, choices: Choices) -> Any:
    """Return rows with a value that its column may have, but that nobody expects."""
    name = rows.column_names[place]
    known = {column.name: column.type for column in table.columns}
    column = rows.column(place)
    if name not in known or not len(column):
        return rows
    values = (
        column.cast(pa.int64()).to_pylist()
        if known[name] == "time"
        else (column.cast(pa.int32()).to_pylist() if known[name] == "date" else column.to_pylist())
    )
    extreme = choices.choice((None, *EXTREMES[known[name]]))
    for row in range(len(values)) if choices.randrange(2) else [choices.randrange(len(values))]:
        values[row] = extreme
    raw = {"time": pa.int64(), "date": pa.int32()}.get(known[name], column.type)
    try:
        array = pa.array(values, raw)
        array = array if raw == column.type else array.cast(column.type)
    except (pa.ArrowException, TypeError, OverflowError):
        return rows  # another kind of damage has changed the type
    return rows.set_column(place, name, array)


def write_parquet(path: str, rows: Any, choices: Choices) -> None:
    """Write rows in one of the ways that Parquet has, at times with damaged bytes."""
    try:
        pq.write_table(
            rows,
            path,
            compression=choices.choice(COMPRESSIONS),
            use_dictionary=bool(choices.randrange(2)),
            write_page_checksum=bool(choices.randrange(2)),
            data_page_version=choices.choice(("1.0", "2.0")),
            row_group_size=choices.choice((1, 2, 1000)),
            store_schema=bool(choices.randrange(2)),
        )
    except (pa.ArrowException, ValueError):
        Path(path).write_bytes(b"PAR1")  # what pyarrow refuses to write
    if choices.randrange(2):
        Path(path).write_bytes(edited(Path(path).read_bytes(), choices))


class TableFiles:
    """One file of one table."""

    def __init__(self) -> None:
        self.rows = [(table, arrow_table(table, some_rows(table, 4))) for table in TABLES]

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file."""
        table, rows = choices.choice(self.rows)
        rows = rows.slice(0, choices.randrange(5))
        if choices.randrange(3):
            rows = damaged_table(rows, table, choices)
        else:
            facts = {"memlens.table": table.name, "memlens.schema_version": "1"}
            rows = rows.replace_schema_metadata(facts)
        write_parquet(path, rows, choices)

    def read(self, path: str, choices: Choices) -> None:
        """Check it, read it, and write what was read."""
        ends, whole = damage_at_ends(path), damage_in(path, rows=True)
        for reason in (ends, whole, damage_in(path, choices.choice(TABLES))):
            assert reason is None or isinstance(reason, str)
        columns = read_table(path)
        str(columns)
        for table in TABLES:
            if set(columns) == set(table.names):
                write_table(path + ".again", table, columns)
