"""Values in a file of a table that memlens does not write, and that no question can use."""

from __future__ import annotations

from typing import Any

from memlens.tables.arrow_types import require_pyarrow
from memlens.tables.schema import Column, Table

__all__ = ("damage_of_values",)

_RANGES = {
    "time": (-62_135_596_800_000_000, 253_402_300_799_999_999),  # the years 1 to 9999
    "date": (-719_162, 2_932_896),
    "integer": (-(1 << 62), 1 << 62),  # the difference of two is a number of 64 bits
}


def damage_of_values(table: Table, batch: Any) -> str | None:
    """Return which column of a batch has a value that memlens does not write, and why, or None.

    Raises what pyarrow raises for texts that are no UTF-8.
    """
    batch.validate(full=True)
    for column in table.columns:
        index = batch.schema.get_field_index(column.name)
        reason = None if index < 0 else _damage_of(column, batch.column(index))
        if reason:
            return f"the column {column.name} has {reason}"
    return None


def _damage_of(column: Column, array: Any) -> str | None:
    pa = require_pyarrow()
    import pyarrow.compute

    if array.null_count and not column.is_optional:
        return "null in a row"
    if column.type == "texts":
        return "null in a list" if array.flatten().null_count else None
    if column.type not in _RANGES:
        return None
    number = {"time": pa.int64(), "date": pa.int32()}.get(column.type)
    found = pyarrow.compute.min_max(array if number is None else array.cast(number)).as_py()
    low, high = _RANGES[column.type]
    if found["min"] is not None and not low <= found["min"] <= found["max"] <= high:
        return f"a value of {found['min']} to {found['max']}, which is out of range"
    return None
