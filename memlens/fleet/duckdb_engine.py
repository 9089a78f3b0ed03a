"""DuckDBEngine: the tables of a folder or URL in an embedded DuckDB, within bounded memory."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Self, TypeVar

from memlens.errors import MemlensError, MissingExtraError, OptionError, SnapshotFileError
from memlens.fleet.engine import Parameter, used_parameters, with_dollars
from memlens.tables.arrow_types import arrow_schema
from memlens.tables.listing import SkippedTable, TableFile, TableListing
from memlens.tables.parquet_file import damage_in
from memlens.tables.schema import TABLES, Table

__all__ = ("DEFAULT_MEMORY_BYTES", "DuckDBEngine")

T = TypeVar("T")

DEFAULT_MEMORY_BYTES = 2 << 30
_MIN_MEMORY_BYTES = 256 << 20
_DUCKDB_SHARE = 0.6
_SQL_TYPES = {
    "text": "varchar",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "time": "timestamptz",
    "date": "date",
    "texts": "varchar[]",
}
_MACROS = (
    "create or replace macro unix_micros(x) as epoch_us(x)",
    "create or replace macro percentile(x, p) as quantile_cont(x, p)",
)


class DuckDBEngine:
    """A connection with a view for each table; files that cannot be read are left out and named.

    ``memory_bytes`` is for the whole process: DuckDB gets three fifths, because buffers of files and
    results come on top. Beyond that it writes to a temporary folder, which is deleted by `close`.
    ``skipped`` has the files that were left out.

    Raises ``MissingExtraError`` without duckdb, ``OptionError`` for too little memory, also later where
    a question needs more.
    """

    def __init__(
        self,
        listing: TableListing,
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        threads: int | None = None,
    ) -> None:
        if memory_bytes < _MIN_MEMORY_BYTES:
            raise OptionError(f"memory_bytes must be at least {_MIN_MEMORY_BYTES}: 256 MiB")
        self._duckdb = _import_duckdb()
        self._listing = listing
        self._memory_bytes = memory_bytes
        self._files = {name: list(files) for name, files in listing.files.items()}
        self.skipped: list[SkippedTable] = list(listing.skipped)
        self._spill = tempfile.TemporaryDirectory(prefix="memlens-fleet-")
        settings: dict[str, Any] = {
            "memory_limit": f"{int(memory_bytes * _DUCKDB_SHARE)}B",
            "temp_directory": self._spill.name,
            "threads": threads or min(os.cpu_count() or 1, 8),
            "preserve_insertion_order": False,
        }
        self._connection = self._duckdb.connect(":memory:", config=settings)
        self._connection.execute("set TimeZone = 'UTC'")
        for macro in _MACROS:
            self._connection.execute(macro)
        for table in TABLES:
            self._make_view(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and delete its temporary folder."""
        self._connection.close()
        self._spill.cleanup()

    # -- the engine of questions -----------------------------------------------------------------

    def rows(self, sql: str, **parameters: Parameter) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        found: list[tuple[Any, ...]] = self._run(sql, parameters, lambda done: done.fetchall())
        return found

    def keep(self, name: str, sql: str, **parameters: Parameter) -> int:
        """Compute a query into a temporary table and return its number of rows."""
        text = f"create or replace temp table {name} as {sql}"
        return int(self._run(text, parameters, lambda done: done.fetchone())[0])

    def answered(self, ask: Callable[[], T]) -> T:
        """Return what ``ask`` returns; where it stumbles over odd values, do without their files."""
        while True:
            try:
                return ask()
            except MemlensError:
                raise
            except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
                if not self._leave_out(TABLES, self._all_files(TABLES)):
                    raise

    def drop(self, name: str) -> None:
        """Drop a temporary table."""
        self._connection.execute(f"drop table if exists {name}")

    def select(self, sql: str, limit: int) -> tuple[list[str], list[tuple[Any, ...]], bool]:
        """Run a query of the user's; return its columns, up to ``limit`` rows, and if there are more.

        Raises ``OptionError`` with the message of DuckDB for a query that fails, and for one that does
        not only read.
        """
        try:
            statements = self._connection.extract_statements(sql)
        except self._duckdb.Error as error:
            raise OptionError(f"this SQL cannot be read: {error}") from error
        reading = self._duckdb.StatementType.SELECT
        if len(statements) != 1 or statements[0].type != reading:
            raise OptionError("give one SELECT: the tables can be read only")
        self._lock()
        try:
            names, rows = self._run(
                sql,
                {},
                lambda done: ([one[0] for one in done.description], done.fetchmany(limit + 1)),
                is_own=False,
            )
        except (self._duckdb.Error, ValueError, OverflowError) as error:  # dates that Python lacks
            raise OptionError(f"this SQL fails: {error}") from error
        return names, rows[:limit], len(rows) > limit

    # -- views -----------------------------------------------------------------------------------

    def _lock(self) -> None:
        """Allow a query of the user's no other files than those of the views."""
        files = [file.path for files in self._files.values() for file in files]
        if self._listing.filesystem is None:
            with suppress(self._duckdb.Error):
                self._connection.execute("set allowed_paths = ?", [files])
                self._connection.execute("set enable_external_access = false")
                self._connection.execute("set lock_configuration = true")

    def _make_view(self, table: Table) -> None:
        """Make the view of a table, with null for optional columns that its files do not have."""
        files = self._files.get(table.name, [])
        while files:
            try:
                self._connection.execute(
                    f"create or replace view {table.name} as {self._source(table, files)}"
                )
                return
            except self._duckdb.Error as error:
                files = self._files[table.name] = self._without_damaged(table, files, error)
        nulls = ", ".join(f"null::{_SQL_TYPES[one.type]} as {one.name}" for one in table.columns)
        self._connection.execute(
            f"create or replace view {table.name} as select {nulls} where false"
        )

    def _source(self, table: Table, files: Sequence[TableFile]) -> str:
        paths = [file.path for file in files]
        if self._listing.filesystem is not None:
            return self._dataset(table, paths)
        quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        relation = f"read_parquet([{quoted}], union_by_name = true, hive_partitioning = false)"
        described = self._connection.execute(f"describe select * from {relation}").fetchall()
        names = {row[0] for row in described}
        missing = [one.name for one in table.columns if one.name not in names]
        required = [
            one.name for one in table.columns if one.name in missing and not one.is_optional
        ]
        if required:
            raise self._duckdb.InvalidInputException(f"no column {', '.join(required)}")
        columns = ", ".join(
            f"cast({'null' if one.name in missing else one.name} as {_SQL_TYPES[one.type]})"
            f" as {one.name}"
            for one in table.columns
        )
        return f"select {columns} from {relation}"

    def _dataset(self, table: Table, paths: Sequence[str]) -> str:
        """Register the files of another file system as a dataset of pyarrow."""
        import pyarrow.dataset

        name = f"{table.name}_files"
        self._connection.register(
            name,
            pyarrow.dataset.dataset(
                list(paths),
                schema=arrow_schema(table),
                format="parquet",
                filesystem=self._listing.filesystem,
            ),
        )
        return f"select * from {name}"

    def _run(
        self,
        sql: str,
        parameters: dict[str, Parameter],
        fetched: Callable[[Any], Any],
        *,
        is_own: bool = True,
    ) -> Any:
        """Return what is fetched of a query; where a file turns out damaged, do without it.

        ``is_own``: the query is one of ours, which fails over odd values only.
        """
        used = used_parameters(sql, parameters)
        text = with_dollars(sql)
        while True:
            try:
                return fetched(self._connection.execute(text, used or None))
            except self._duckdb.Error as error:
                if isinstance(error, self._duckdb.OutOfMemoryException):
                    raise OptionError(
                        f"{self._memory_bytes >> 20} MiB do not suffice for this question: give it"
                        " more memory, or fewer days or services"
                    ) from error
                tables = [one for one in TABLES if re.search(rf"\b{one.name}\b", sql)]
                if self._is_of_the_query(error, is_own) or not self._leave_out_damaged(
                    error, tables
                ):
                    raise

    def _is_of_the_query(self, error: Exception, is_own: bool) -> bool:
        names = ["Parser", "Binder", "Catalog"] + ([] if is_own else ["Conversion", "OutOfRange"])
        return isinstance(error, tuple(getattr(self._duckdb, f"{one}Exception") for one in names))

    def _leave_out_damaged(self, error: Exception, tables: Sequence[Table]) -> bool:
        """Leave out the damaged files of tables, if there are any: after an error only.

        The error may name no file, and the damage may be anywhere in one: then all are read.
        """
        all_files = self._all_files(tables)
        named = [file for file in all_files if file.path in str(error)]
        return self._leave_out(tables, named) or self._leave_out(tables, all_files)

    def _all_files(self, tables: Sequence[Table]) -> list[TableFile]:
        return [file for table in tables for file in self._files.get(table.name, [])]

    def _leave_out(self, tables: Sequence[Table], suspected: Sequence[TableFile]) -> bool:
        found = False
        for table in tables:
            files = self._files.get(table.name, [])
            kept = self._undamaged(table, files, suspected)
            if len(kept) < len(files):
                found = True
                self._files[table.name] = kept
                self._make_view(table)
        return found

    def _without_damaged(
        self, table: Table, files: Sequence[TableFile], error: Exception
    ) -> list[TableFile]:
        """Return the files that can be read. Raises ``SnapshotFileError`` if all seem so."""
        kept = self._undamaged(table, files, [one for one in files if one.path in str(error)])
        if len(kept) == len(files):
            raise SnapshotFileError(f"the table {table.name} cannot be read: {error}") from error
        return kept

    def _undamaged(
        self, table: Table, files: Sequence[TableFile], named: Sequence[TableFile]
    ) -> list[TableFile]:
        """Return the files without damaged ones; those that an error names are read whole."""
        kept, whole = [], {file.path for file in named}
        for file in files:
            why = damage_in(
                file.path, table, filesystem=self._listing.filesystem, rows=file.path in whole
            )
            if why is None:
                kept.append(file)
            else:
                self.skipped.append(SkippedTable(file.path, why))
        return kept


def _import_duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError(
            "the tables of a fleet are read by DuckDB: pip install memlens[fleet]"
        ) from error
    return duckdb
