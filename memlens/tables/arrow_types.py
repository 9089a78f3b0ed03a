"""The tables of memlens as Arrow schemas, and columns of Python values as Arrow tables.

pyarrow is imported by the functions here, when they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memlens.errors import MissingExtraError, OptionError
from memlens.tables.schema import SCHEMA_VERSION, Column, Table

__all__ = (
    "TABLE_KEY",
    "VERSION_KEY",
    "Columns",
    "arrow_schema",
    "arrow_table",
    "arrow_type",
    "clean_text",
    "python_columns",
    "require_pyarrow",
)

Columns = dict[str, list[Any]]
"""Rows by column: for each column of a table a list of its values; all lists are equally long."""

# The keys of the metadata of a Parquet file.
TABLE_KEY = "memlens.table"
VERSION_KEY = "memlens.schema_version"


def require_pyarrow() -> Any:
    """Return the module ``pyarrow``. Raises ``MissingExtraError`` if it is not installed."""
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("tables need pyarrow: pip install 'memlens[arrow]'") from error
    return pyarrow


def arrow_type(name: str) -> Any:
    """Return the Arrow type for the ``type`` of a column, such as ``time``."""
    pa = require_pyarrow()
    types = {
        "text": pa.string,
        "integer": pa.int64,
        "number": pa.float64,
        "boolean": pa.bool_,
        "time": lambda: pa.timestamp("us", tz="UTC"),
        "date": pa.date32,
        "texts": lambda: pa.list_(pa.string()),
    }
    return types[name]()


def arrow_schema(table: Table) -> Any:
    """Return the ``pyarrow.Schema`` of a table; its metadata names the table and the version.

    All fields are nullable, so that files stay compatible where a column becomes optional.
    """
    pa = require_pyarrow()
    fields = [pa.field(column.name, arrow_type(column.type)) for column in table.columns]
    return pa.schema(fields, metadata={TABLE_KEY: table.name, VERSION_KEY: str(SCHEMA_VERSION)})


def arrow_table(table: Table, columns: Mapping[str, Any]) -> Any:
    """Return rows as a ``pyarrow.Table`` with all columns of ``table``, in its order.

    ``columns``: for each column a list of Python values, a NumPy array or a pyarrow array; optional
    columns may be left out. A ``time`` is a datetime in UTC or a number of microseconds since the
    epoch. Raises ``OptionError`` for an unknown or missing column, columns of different lengths,
    values of another type, and null in a column that is not optional.
    """
    pa = require_pyarrow()
    unknown = sorted(set(columns) - set(table.names))
    if unknown:
        raise OptionError(f"the table {table.name} has no column {unknown[0]!r}")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise OptionError(f"the columns of {table.name} are not equally long: {lengths}")
    count = next(iter(lengths.values()), 0)
    arrays = [_array(table, column, columns.get(column.name), count) for column in table.columns]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(table))


def _array(table: Table, column: Column, values: Any, count: int) -> Any:
    pa = require_pyarrow()
    kind = arrow_type(column.type)
    if values is None:
        array = pa.nulls(count, kind)
    elif isinstance(values, (pa.Array, pa.ChunkedArray)):
        array = values if values.type == kind else _converted(table, column, values.cast, kind)
    else:
        array = _converted(table, column, lambda kind: _from_python(values, kind), kind)
    if array.null_count and not column.is_optional:
        raise OptionError(f"{table.name}.{column.name} has null in row {_first_null(array)}")
    return array


def _converted(table: Table, column: Column, convert: Any, kind: Any) -> Any:
    pa = require_pyarrow()
    try:
        return convert(kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise OptionError(
            f"{table.name}.{column.name} has a value that is no {column.type}: {error}"
        ) from error


def _from_python(values: Any, kind: Any) -> Any:
    pa = require_pyarrow()
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # a file name that is no UTF-8, for example
        return pa.array([_clean(value) for value in values], kind)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, (list, tuple)):
        return [_clean(one) for one in value]
    return value


def clean_text(text: str) -> str:
    r"""Return a text that UTF-8 can hold: lone surrogates become ``\udc80`` and the like."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _first_null(array: Any) -> int:
    return int(array.is_null().index(True).as_py())


def python_columns(table: Table, rows: Any) -> Columns:
    """Return a ``pyarrow.Table`` as Python values: all columns of ``table``, in its order.

    Optional columns that ``rows`` does not have are None in each row; columns that ``table`` does
    not have are left out. Raises ``OptionError`` if a column that is not optional is missing.
    """
    found: Columns = {}
    for column in table.columns:
        if column.name in rows.schema.names:
            found[column.name] = rows.column(column.name).cast(arrow_type(column.type)).to_pylist()
        elif column.is_optional:
            found[column.name] = [None] * rows.num_rows
        else:
            raise OptionError(f"{table.name}: there is no column {column.name}")
    return found
