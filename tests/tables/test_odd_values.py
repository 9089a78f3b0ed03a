"""Values in files of tables that memlens does not write: which are found, and why."""

from __future__ import annotations

import pytest

from memlens.tables.schema import READINGS, SUSPECTS
from tests.tables.rows import some_rows

pa = pytest.importorskip("pyarrow")

from memlens.tables.arrow_types import arrow_schema  # noqa: E402
from memlens.tables.odd_values import damage_of_values  # noqa: E402

COUNT = 4
YEAR_10_000_US = 253_402_300_800_000_000


def batch(table, **given):
    """A batch of rows, in which ``given`` arrays stand for some columns."""
    schema, rows = arrow_schema(table), some_rows(table, COUNT)
    arrays = [
        given[field.name] if field.name in given else pa.array(rows[field.name], field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def moments(*numbers):
    return pa.array(numbers, pa.int64()).cast(pa.timestamp("us", "UTC"))


@pytest.mark.parametrize("table", [READINGS, SUSPECTS], ids=lambda table: table.name)
def test_what_memlens_writes_is_right(table):
    assert damage_of_values(table, batch(table)) is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"host": pa.array(["a", None, "b", "c"])}, "the column host has null in a row"),
        ({"rss_bytes": pa.array([1, 2, 3, 1 << 62 | 1])}, "rss_bytes has a value of 1 to 4611"),
        ({"rss_bytes": pa.array([-(1 << 63), 2, 3, 4])}, "rss_bytes has a value of -9223"),
        ({"time": moments(1, 2, 3, YEAR_10_000_US)}, "time has a value of 1 to 253402"),
        ({"day": pa.array([1, 2, 3, 1 << 30], pa.int32()).cast(pa.date32())}, "day has a value"),
    ],
    ids=["null", "large", "small", "time", "date"],
)
def test_a_value_that_memlens_does_not_write_is_named(given, reason):
    assert reason in damage_of_values(READINGS, batch(READINGS, **given))


def test_null_in_a_list_is_named():
    name = next(column.name for column in SUSPECTS.columns if column.type == "texts")
    texts = pa.array([["a"], [], ["b", None], ["c"]], pa.list_(pa.string()))
    damage = damage_of_values(SUSPECTS, batch(SUSPECTS, **{name: texts}))
    assert damage == f"the column {name} has null in a list"
