"""A table folder: ``TABLE/service=S/day=D/hosts=HOST/NAME.parquet``, written and listed.

Merged files are in ``hosts=all``. Names that begin with ``_`` or ``.`` are ignored.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
import time
from collections.abc import Collection, Mapping
from typing import Any

from memlens._atomic import checked_path, make_folder
from memlens.errors import OptionError, OutputError
from memlens.tables.arrow_types import arrow_table
from memlens.tables.listing import SUFFIX, TableListing, list_local
from memlens.tables.parquet_file import TableWriter
from memlens.tables.partition_names import (
    day_folder,
    encode_name,
    hosts_folder,
    is_ignored_name,
    service_folder,
)
from memlens.tables.schema import TABLES, Table

__all__ = (
    "check_local",
    "file_folder",
    "is_table_folder",
    "is_url",
    "list_tables",
    "new_file_name",
    "open_writer",
    "write_rows",
)

_ATTEMPTS = 5


def is_url(folder: str) -> bool:
    """Return whether a folder is given as a URL, such as ``s3://bucket/tables``."""
    return "://" in folder


def check_local(folder: str | os.PathLike[str]) -> str:
    """Return the path of a folder to write to. Raises ``OptionError`` for a URL."""
    place = checked_path(folder)
    if is_url(place):
        raise OptionError(f"{place!r}: tables are written to local folders; copy them from there")
    return place


def is_table_folder(folder: str | os.PathLike[str]) -> bool:
    """Return whether a local folder has the folder of a table in it."""
    place = checked_path(folder)
    return any(os.path.isdir(os.path.join(place, table.name)) for table in TABLES)


def new_file_name(pid: int, token: str, *, now: float | None = None) -> str:
    """Return a name for the files of one writing of a process; no other has it.

    It is the time in UTC, the process and a random number: ``20261127T004147Z-4711-9f2c-5e0d1c7b``.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    return f"{moment}-{pid}-{token}-{secrets.token_hex(4)}"


def file_folder(folder: str, table: Table, service: str, day: datetime.date, host: str) -> str:
    """Make the folder of a host, private to the owner, and return its path.

    Raises ``OutputError`` if it cannot be made, or if a link is on the way below ``folder``.
    """
    place = make_folder(folder)
    for name in (table.name, service_folder(service), day_folder(day), hosts_folder(host)):
        place = os.path.join(place, name)
        make_folder(place)
        try:
            is_folder = stat.S_ISDIR(os.lstat(place).st_mode)
        except OSError as error:
            raise OutputError(f"{place!r} was removed: {error.strerror or error}") from error
        if not is_folder:
            raise OutputError(f"{place!r} is a link: tables are written to real folders only")
    return place


def write_rows(
    folder: str | os.PathLike[str], table: Table, columns: Mapping[str, Any], *, name: str
) -> list[str]:
    """Write rows to a table folder: one file for each service, day and host; return the paths.

    ``name``: of the files, without suffix; see `new_file_name`. A file that has this name is
    replaced, so a writer that was interrupted can write the same again. Raises ``OptionError`` for
    columns that do not fit the table (see `arrow_table`) or a name that readers would ignore, and
    ``OutputError`` where a file cannot be written; files that were complete by then are kept.
    """
    place = check_local(folder)
    if not name or is_ignored_name(name) or encode_name(name) != name:
        raise OptionError(f"{name!r} is no name for a file of a table: use new_file_name()")
    rows = arrow_table(table, columns)
    paths = []
    for key, part in _by_place(rows):
        with open_writer(place, table, key, name) as writer:
            writer.write_arrow(part)
        paths.append(writer.path)
    return paths


def _by_place(rows: Any) -> list[tuple[tuple[str, datetime.date, str], Any]]:
    """Return the rows of each service, day and host, in the order of their first rows."""
    keys = zip(*(rows.column(name).to_pylist() for name in ("service", "day", "host")), strict=True)
    found: dict[tuple[str, datetime.date, str], list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    if len(found) == 1:
        return [(next(iter(found)), rows)]
    return [(key, rows.take(indices)) for key, indices in found.items()]


def open_writer(
    folder: str, table: Table, key: tuple[str, datetime.date, str], name: str
) -> TableWriter:
    """Begin a file of one service, day and host (``key``) in a table folder.

    ``name``: of the file, without suffix. Raises ``OutputError`` if it cannot be created.
    """
    for attempt in range(_ATTEMPTS):
        try:
            path = os.path.join(file_folder(folder, table, *key), name + SUFFIX)
            return TableWriter(path, table)
        except OutputError as error:
            # A merge has removed the folder, which was empty.
            if attempt == _ATTEMPTS - 1 or not isinstance(error.__cause__, FileNotFoundError):
                raise
    raise AssertionError  # the last attempt returns or raises


def list_tables(
    folder: str | os.PathLike[str],
    *,
    services: Collection[str] | None = None,
    days: Collection[datetime.date] | None = None,
    check: bool | None = None,
) -> TableListing:
    """List the files of a table folder, for each table those that can be read, sorted by path.

    ``folder``: a local folder, or a URL that ``pyarrow.fs`` knows, such as ``s3://bucket/tables``.
    ``services`` and ``days``: list these only; other folders are not visited. ``check``: read both
    ends of each file, which finds those that are half written; by default of a local folder only.
    `damage_in` checks one file thoroughly. Raises ``OptionError`` if there is no such folder,
    ``OutputError`` if it cannot be read.
    """
    place = checked_path(folder)
    if is_url(place):
        from memlens.tables.url_listing import list_url

        return list_url(place, services=services, days=days, check=bool(check))
    if not os.path.isdir(place):
        raise OptionError(f"{place!r} is not a folder: give the table_dir of the profilers")
    return list_local(place, services=services, days=days, check=check is not False)
