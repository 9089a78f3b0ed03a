"""Write tables as `memlens` does: merged files of whole days, and small ones that nobody has merged."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from memlens.tables.arrow_types import TABLE_KEY, VERSION_KEY, arrow_schema
from memlens.tables.parquet_file import PARQUET_OPTIONS, SMALL_OPTIONS
from memlens.tables.partition_names import day_folder, hosts_folder, service_folder
from memlens.tables.schema import SCHEMA_VERSION, Table

__all__ = ("FolderWriter", "day_of", "facts_of", "write_file")

_EPOCH = date(1970, 1, 1)
ROW_GROUP_ROWS = 1 << 17


def day_of(number: int) -> date:
    """Return the day with this number, counted from 1970."""
    return _EPOCH + timedelta(days=int(number))


class FolderWriter:
    """Write the files of a table folder, and count them. ``folder`` must exist."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder = folder
        self.rows: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.files: Counter[str] = Counter()
        self._rng = rng
        self._made: set[Path] = set()

    def place(self, table: Table, service: str, day: date, hosts: str) -> Path:
        """Return the folder of a host, or of all hosts; it exists."""
        hosts_name = "hosts=all" if hosts == "all" else hosts_folder(hosts)
        parts = (table.name, service_folder(service), day_folder(day), hosts_name)
        folder = self.folder.joinpath(*parts)
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            self._made.add(folder)
        return folder

    def merged(
        self,
        table: Table,
        service: str,
        day: date,
        parts: Iterable[pa.Table],
        without: frozenset[str],
    ) -> None:
        """Write the merged file of a day, a row group for each part.

        ``without``: columns to leave out.
        """
        writer, path = None, None
        for part in parts:
            if not part.num_rows:
                continue
            kept = part.drop_columns([name for name in part.column_names if name in without])
            if writer is None:
                name = f"{day:%Y%m%d}T235900Z-merged-{self._letters(16)}.parquet"
                path = self.place(table, service, day, "all") / name
                writer = pq.ParquetWriter(path, kept.schema, **PARQUET_OPTIONS)
            writer.write_table(kept, row_group_size=ROW_GROUP_ROWS)
            self.rows[table.name] += kept.num_rows
        if writer is not None and path is not None:
            writer.add_key_value_metadata(facts_of(table.name))
            writer.close()
            self._count(table, path)

    def small(self, table: Table, rows: pa.Table, keys: list[tuple[str, date, str, str, str]],
              bounds: np.ndarray) -> None:  # fmt: skip
        """Write a file for each process and hour.

        ``keys``: for each file the service, day, host, process and the time in UTC;
        ``bounds``: where the rows of each begin, and the number of rows.
        """
        plain = rows.cast(arrow_schema(table)).combine_chunks()
        for (service, day, host, process, moment), start, end in zip(
            keys, bounds[:-1], bounds[1:], strict=True
        ):
            if start == end:
                continue
            name = f"{moment}-{process.rpartition('/')[2]}-{self._letters(8)}.parquet"
            path = self.place(table, service, day, host) / name
            part = plain.slice(int(start), int(end - start))
            write_file(path, part, facts_of(table.name))
            self.rows[table.name] += part.num_rows
            self._count(table, path)

    def _count(self, table: Table, path: Path) -> None:
        self.bytes[table.name] += os.stat(path).st_size
        self.files[table.name] += 1

    def _letters(self, count: int) -> str:
        return self._rng.bytes(count // 2).hex()


def facts_of(table: str, version: int = SCHEMA_VERSION) -> dict[str, str]:
    """Return the metadata of a file of a table."""
    return {TABLE_KEY: table, VERSION_KEY: str(version)}


def write_file(path: Path, rows: pa.Table, facts: dict[str, str]) -> None:
    """Write a small Parquet file with metadata."""
    with pq.ParquetWriter(path, rows.schema, **SMALL_OPTIONS) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(facts)
