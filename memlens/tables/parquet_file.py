"""One Parquet file of one table: written atomically, read, checked for damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from memlens._atomic import PendingFile, checked_path
from memlens._text import printable
from memlens.errors import OptionError, OutputError, SnapshotFileError
from memlens.tables.arrow_types import (
    TABLE_KEY,
    VERSION_KEY,
    Columns,
    arrow_schema,
    arrow_table,
    python_columns,
    require_pyarrow,
)
from memlens.tables.odd_values import damage_of_values
from memlens.tables.schema import SCHEMA_VERSION, Table, table_named

__all__ = (
    "TableWriter",
    "damage_in",
    "damage_of_columns",
    "open_table",
    "read_table",
    "write_table",
    "writing_options",
)

# What memlens writes Parquet with: any reader knows these. Without the schema of Arrow in the
# metadata a small file is a third smaller; the types follow from those of Parquet.
_PARQUET_OPTIONS: dict[str, Any] = {
    "compression": "zstd",
    "write_page_checksum": True,
    "store_schema": False,
}
# What else than texts and days has few values.
_FEW_VALUES = frozenset({"rank", "limit_bytes", "snapshot_count"})
# Statistics and dictionaries are a third of a file of few rows, which is read as a whole anyway.
_SMALL_OPTIONS: dict[str, Any] = {
    **_PARQUET_OPTIONS,
    "use_dictionary": False,
    "write_statistics": False,
}
_SMALL_BYTES = 1 << 20  # in memory
_MAX_DIGITS = 9  # of the version of a schema
ROW_GROUP_ROWS = 1 << 17
ROW_GROUP_BYTES = 32 << 20  # in memory


def writing_options(schema: Any, *, is_small: bool = False) -> dict[str, Any]:
    """Return the options of ``pyarrow.parquet.ParquetWriter`` for a ``pyarrow.Schema``.

    Columns with few values have a dictionary. One over numbers that hardly repeat would be written
    in addition to them, and costs a third of the file. Times are written as differences.
    ``is_small``: for a file of less than 1 MiB of rows.
    """
    times = {"time": "DELTA_BINARY_PACKED"} if "time" in schema.names else {}
    if is_small:
        return {**_SMALL_OPTIONS, "column_encoding": times}
    few = [leaf for field in schema if (leaf := _leaf_of_few(field)) is not None]
    return {**_PARQUET_OPTIONS, "use_dictionary": few, "column_encoding": times}


def _leaf_of_few(field: Any) -> str | None:
    """Return the Parquet column of a field that has few values."""
    pa = require_pyarrow()
    if pa.types.is_list(field.type):
        return f"{field.name}.list.element"
    has_few = field.name in _FEW_VALUES or not (
        pa.types.is_primitive(field.type) and not pa.types.is_date(field.type)
    )
    return str(field.name) if has_few else None


def write_table(path: Any, table: Table, columns: Mapping[str, Any]) -> int:
    """Write rows to a Parquet file, which appears under its name when complete; return its size.

    See `arrow_table` for ``columns``. The file is readable by its owner only. Raises ``OptionError``
    for columns that do not fit the table, ``OutputError`` if the file cannot be written; a file that
    has this name is unchanged then.
    """
    rows = arrow_table(table, columns)
    with TableWriter(path, table) as writer:
        writer.write_arrow(rows)
    return writer.size_bytes


class TableWriter:
    """Write one file of a table in parts, with memory for one row group.

    `close` gives the file its name, `discard` deletes it. As a context manager it closes at the end
    of the block and discards if an exception leaves it. ``schema`` is a ``pyarrow.Schema`` with more
    columns than the table. ``row_group_rows`` and ``row_group_bytes`` (in memory) bound a row group.
    """

    def __init__(
        self,
        path: Any,
        table: Table,
        *,
        schema: Any = None,
        row_group_rows: int = ROW_GROUP_ROWS,
        row_group_bytes: int = ROW_GROUP_BYTES,
    ) -> None:
        require_pyarrow()
        self._table = table
        self._schema = arrow_schema(table) if schema is None else schema
        self._max_rows, self._max_bytes = row_group_rows, row_group_bytes
        self._waiting: list[Any] = []
        self._waiting_rows = self._waiting_bytes = 0
        self.row_count = 0
        self.size_bytes = 0
        # Spark and pyarrow read every file of a folder whose name does not begin with a dot.
        self._pending = PendingFile(path, prefix=".")
        self._file = open(self._pending.descriptor, "wb", closefd=False)  # noqa: SIM115
        self._writer: Any = None  # the first row group tells with which options

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.discard()
        else:
            self.close()

    @property
    def path(self) -> str:
        """The name that the file gets."""
        return self._pending.target

    @property
    def written_bytes(self) -> int:
        """The size of what is in the file by now, without the row group that is being filled."""
        return int(self._file.tell())

    @property
    def expected_bytes(self) -> int:
        """About the size of the file if it ended here."""
        return self.written_bytes + self._waiting_bytes // 4  # what compression gives at least

    def write(self, columns: Mapping[str, Any]) -> None:
        """Add rows. Raises ``OptionError`` or ``OutputError``, as `write_table` does."""
        self.write_arrow(arrow_table(self._table, columns))

    def write_arrow(self, rows: Any) -> None:
        """Add the rows of a ``pyarrow.Table`` that has the schema of this file."""
        start = 0
        while start < rows.num_rows:
            part = rows.slice(start, self._max_rows - self._waiting_rows)
            start += part.num_rows
            self._waiting.append(part)
            self._waiting_rows += part.num_rows
            self._waiting_bytes += part.nbytes
            if self._waiting_rows >= self._max_rows or self._waiting_bytes >= self._max_bytes:
                self._write_group()

    def _write_group(self) -> None:
        pa = require_pyarrow()
        if not self._waiting:
            return
        group = pa.concat_tables(self._waiting)
        self.row_count += group.num_rows
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0
        if self._writer is None:
            self._begin()
        self._guarded(lambda: self._writer.write_table(group, row_group_size=group.num_rows))

    def _begin(self, *, is_small: bool = False) -> None:
        import pyarrow.parquet

        options = writing_options(self._schema, is_small=is_small)

        def begin() -> None:
            self._writer = pyarrow.parquet.ParquetWriter(self._file, self._schema, **options)

        self._guarded(begin)

    def finish(self) -> PendingFile:
        """Write the end of the file, but leave it under its temporary name; return that file."""
        if self._writer is None:
            self._begin(is_small=self._waiting_bytes <= _SMALL_BYTES)
        self._write_group()
        self._guarded(lambda: self._writer.add_key_value_metadata(self._schema.metadata))
        self._guarded(self._writer.close)
        self.size_bytes = self.written_bytes
        self._guarded(self._file.close)
        return self._pending

    def close(self) -> None:
        """Write the end of the file and give it its name. Raises ``OutputError``."""
        try:
            self.finish().commit()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Delete what was written."""
        with suppress(Exception):  # it writes to a file that is deleted anyway
            if self._writer is not None:
                self._writer.close()
        with suppress(Exception):
            self._file.close()
        self._pending.discard()

    def _guarded(self, write: Any) -> None:
        pa = require_pyarrow()
        try:
            write()
        except (OSError, pa.ArrowException) as error:
            raise OutputError(
                f"cannot write {self.path!r}: {getattr(error, 'strerror', None) or error}; choose"
                " another folder or free space"
            ) from error


def open_table(path: Any, *, filesystem: Any = None) -> tuple[Table, Any]:
    """Open a file of a table; return the table and a ``pyarrow.parquet.ParquetFile``.

    ``filesystem``: the ``pyarrow.fs.FileSystem`` that has it. Raises ``SnapshotFileError`` for a
    file that is damaged, missing, of no table of memlens, or of a newer schema.
    """
    pa = require_pyarrow()
    import pyarrow.parquet

    name = path if filesystem is not None else checked_path(path)
    try:
        file = pyarrow.parquet.ParquetFile(
            name, filesystem=filesystem, page_checksum_verification=True
        )
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SnapshotFileError(f"{name}: {_first_line(error)}") from error
    try:
        table = _table_of(file, name)
        _check_names(file, name)
    except SnapshotFileError:
        file.close(force=True)
        raise
    return table, file


def _check_names(file: Any, path: str) -> None:
    """Raise ``SnapshotFileError`` if two columns have one name, or the columns cannot be told."""
    pa = require_pyarrow()
    try:
        names = file.schema_arrow.names
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SnapshotFileError(f"{path}: {_first_line(error)}") from error
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise SnapshotFileError(f"{path}: it has two columns {printable(twice[0])}")


def _table_of(file: Any, path: str) -> Table:
    facts = file.metadata.metadata or {}
    name = facts.get(TABLE_KEY.encode(), b"").decode("utf-8", "replace")
    version = facts.get(VERSION_KEY.encode(), b"").decode("utf-8", "replace")
    if not version.isdecimal() or len(version) > _MAX_DIGITS:
        raise SnapshotFileError(f"{path}: not a table of memlens")
    if int(version) > SCHEMA_VERSION:
        raise SnapshotFileError(
            f"{path}: schema version {version}, this memlens knows {SCHEMA_VERSION}: update memlens"
        )
    try:
        return table_named(name)
    except KeyError:
        raise SnapshotFileError(f"{path}: of a table {name!r} that is not known") from None


def read_table(path: Any, *, filesystem: Any = None) -> Columns:
    """Return the rows of a file by column, as Python values.

    An optional column that the file does not have is None in each row; columns that are not known
    are left out. Raises ``SnapshotFileError`` for a file that cannot be read: see `open_table`.
    """
    pa = require_pyarrow()
    table, file = open_table(path, filesystem=filesystem)
    try:
        names = [name for name in table.names if name in file.schema_arrow.names]
        return python_columns(table, file.read(columns=names))
    except (OSError, ValueError, OverflowError, pa.ArrowException, OptionError) as error:
        raise SnapshotFileError(f"{path}: {_first_line(error)}") from error
    finally:
        file.close(force=True)


def damage_in(
    path: Any, table: Table | None = None, *, filesystem: Any = None, rows: bool = False
) -> str | None:
    """Return why a file cannot be read, or None if it can.

    Reads the end of the file, with ``rows`` also all rows, whose values must be such as memlens
    writes. ``table``: the one that it must be of.
    """
    try:
        found, file = open_table(path, filesystem=filesystem)
    except SnapshotFileError as error:
        return str(error).removeprefix(f"{path}: ")
    try:
        if table is not None and found.name != table.name:
            return f"of the table {found.name}, not {table.name}"
        return damage_of_columns(found, file) or (_damage_of_rows(found, file) if rows else None)
    finally:
        file.close(force=True)


def damage_of_columns(table: Table, file: Any) -> str | None:
    """Return which column of a ``ParquetFile`` is missing or has another type, or None."""
    schema, expected = file.schema_arrow, arrow_schema(table)
    for column in table.columns:
        index = schema.get_field_index(column.name)
        if index < 0:
            if not column.is_optional:
                return f"no column {column.name}"
        elif not _is_same(schema.field(index).type, expected.field(column.name).type):
            return f"the column {column.name} is {schema.field(index).type}, not {column.type}"
    return None


def _is_same(found: Any, expected: Any) -> bool:
    """Compare two types; the names of the elements of lists do not matter."""
    return bool(
        found == expected
        or (
            hasattr(found, "value_type")
            and hasattr(expected, "value_type")
            and found.value_type == expected.value_type
        )
    )


def _damage_of_rows(table: Table, file: Any) -> str | None:
    pa = require_pyarrow()
    try:
        for batch in file.iter_batches():
            if reason := damage_of_values(table, batch):
                return reason
    except (OSError, ValueError, pa.ArrowException) as error:
        return _first_line(error)
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
