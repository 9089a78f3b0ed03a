"""The sources of a merge: their rows in batches, as columns of one schema, or why they are left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memlens.errors import SnapshotFileError
from memlens.tables.arrow_types import VERSION_KEY, arrow_schema, require_pyarrow
from memlens.tables.parquet_file import damage_of_columns, open_table
from memlens.tables.schema import SCHEMA_VERSION, Table

__all__ = ("MergeSchema", "SourceError", "batches_of")

_BATCH_ROWS = 8192


class SourceError(Exception):
    """A source is left where it is; the text says why."""


class MergeSchema:
    """The columns of a merged file: those of the table, and those that sources have besides.

    A newer memlens may have written columns that this one does not know; they are kept.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.arrow = arrow_schema(table)

    def has(self, source: Any) -> bool:
        """Return whether all columns of a source are columns of this schema."""
        return set(source.names) <= set(self.arrow.names)

    def extend(self, source: Any) -> None:
        """Add the columns of a source."""
        for field in source:
            if field.name not in self.arrow.names:
                self.arrow = self.arrow.append(field.with_nullable(True).remove_metadata())

    def conflict(self, source: Any) -> str | None:
        """Return which column of a source has another type than here."""
        for field in source:
            index = self.arrow.get_field_index(field.name)
            if index >= len(self.table.columns) and field.type != self.arrow.field(index).type:
                return f"the column {field.name} has another type in other files"
        return None

    def rows(self, batch: Any) -> Any:
        """Return a batch of a source as a ``pyarrow.Table`` of this schema."""
        pa = require_pyarrow()
        arrays = []
        for field in self.arrow:
            index = batch.schema.get_field_index(field.name)
            if index < 0:
                arrays.append(pa.nulls(batch.num_rows, field.type))
            else:
                arrays.append(batch.column(index).cast(field.type))
        return pa.Table.from_arrays(arrays, schema=self.arrow)


def batches_of(path: str, table: Table) -> tuple[Any, Iterator[Any]]:
    """Open a source; return its ``pyarrow.Schema`` and an iterator over its batches.

    All rows have been decoded once when this returns, so that a damaged source adds no rows. Raises
    `SourceError` for a source that cannot be read, or is of another table or schema version.
    """
    pa = require_pyarrow()
    try:
        found, file = open_table(path)
    except SnapshotFileError as error:
        raise SourceError(str(error).removeprefix(f"{path}: ")) from error
    version = file.metadata.metadata[VERSION_KEY.encode()].decode()
    reason = None
    if found.name != table.name:
        reason = f"of the table {found.name}, not {table.name}"
    elif int(version) != SCHEMA_VERSION:
        reason = f"schema version {version}: files of version {SCHEMA_VERSION} are merged"
    reason = reason or damage_of_columns(table, file)
    try:
        if reason:
            raise SourceError(reason)
        if file.metadata.num_rows <= _BATCH_ROWS:
            kept = list(_batches(file))
            return file.schema_arrow, iter(kept)
        for _ in _batches(file):
            pass
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"damaged: {(str(error).splitlines() or ['?'])[0]}") from error
    finally:
        file.close(force=True)
    return file.schema_arrow, _again(path)


def _batches(file: Any) -> Iterator[Any]:
    # Threads would help large files little and small ones not at all.
    return iter(file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False))


def _again(path: str) -> Iterator[Any]:
    _, file = open_table(path)
    try:
        yield from _batches(file)
    finally:
        file.close(force=True)
