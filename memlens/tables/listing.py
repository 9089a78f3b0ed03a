"""Which files a table folder has: found by their places, checked at both ends."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from memlens.errors import OutputError
from memlens.tables.partition_names import (
    HOLD_PREFIX,
    MERGED_FOLDER,
    day_folder,
    day_of,
    hosts_of,
    is_ignored_name,
    service_folder,
    service_of,
)
from memlens.tables.schema import SCHEMA_VERSION, TABLES

__all__ = (
    "MIN_BYTES",
    "SUFFIX",
    "TAIL_BYTES",
    "SkippedTable",
    "TableFile",
    "TableListing",
    "damage_at_ends",
    "end_damage",
    "list_local",
    "tail_bytes",
)

SUFFIX = ".parquet"
_MAGIC = b"PAR1"
MIN_BYTES = 12  # the magic, the length of the footer, the magic
TAIL_BYTES = 4096  # mostly holds the metadata of the file, which is near its end
_MAX_FOOTER_BYTES = 16 << 20
_ATTEMPTS = 5  # at a day that changes while it is listed
# A key and a value of the metadata, as the compact protocol of Thrift writes them.
_VERSION = re.compile(rb"memlens\.schema_version\x18[\x01-\x09](\d{1,9})")


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table folder. ``path``: as the file system of the listing takes it.

    ``hosts``: the host whose rows it has; ``all`` for a merged file.
    """

    path: str
    table: str
    service: str
    day: datetime.date
    hosts: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SkippedTable:
    """A file that readers must leave out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class TableListing:
    """The files of a table folder: for each table those that can be read, and what was left out.

    ``filesystem``: None for a local folder, else the ``pyarrow.fs.FileSystem`` that has the paths.
    """

    folder: str
    files: dict[str, list[TableFile]]
    skipped: tuple[SkippedTable, ...]
    filesystem: Any = field(default=None, repr=False)

    @property
    def services(self) -> tuple[str, ...]:
        """The services of the files, sorted."""
        return tuple(sorted({file.service for file in self.all_files()}))

    @property
    def days(self) -> tuple[datetime.date, ...]:
        """The days of the files, sorted."""
        return tuple(sorted({file.day for file in self.all_files()}))

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size_bytes for file in self.all_files())

    def all_files(self) -> Iterator[TableFile]:
        """Yield the files of all tables."""
        for files in self.files.values():
            yield from files


def end_damage(size: int, head: bytes, tail: bytes) -> str | None:
    """Return why a file with this size, first 4 bytes and last bytes cannot be read, or None.

    ``tail``: as many bytes as `tail_bytes` says, or all of a smaller file. This finds files that are
    half written, that memlens did not write, and those of a newer schema; not a damage in their
    middle.
    """
    if size < MIN_BYTES:
        return "empty" if not size else "half written: too short for a Parquet file"
    if head != _MAGIC:
        return "not a Parquet file: it does not begin with PAR1"
    if tail[-4:] != _MAGIC:
        return "half written: it does not end with PAR1"
    footer = int.from_bytes(tail[-8:-4], "little")
    if not 0 < footer <= size - MIN_BYTES:
        return "damaged: its footer is said to be longer than the file"
    version = _VERSION.search(tail)
    if version is None:
        return "not a table of memlens"
    if int(version[1]) > SCHEMA_VERSION:
        return (
            f"schema version {int(version[1])}, this memlens knows {SCHEMA_VERSION}: update memlens"
        )
    return None


def tail_bytes(size: int, tail: bytes) -> int:
    """Return how many bytes of the end of a file `end_damage` needs, from its last bytes."""
    if tail[-4:] != _MAGIC or _VERSION.search(tail):
        return len(tail)
    footer = int.from_bytes(tail[-8:-4], "little") + 8
    return footer if len(tail) < footer < min(size, _MAX_FOOTER_BYTES) else len(tail)


def damage_at_ends(path: str) -> str | None:
    """Return what `end_damage` says of a local file; it is read at both ends only."""
    try:
        # Neither a FIFO nor a link may be behind the name.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.strerror or str(error)
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
        if (needed := tail_bytes(size, tail)) > len(tail):
            tail = os.pread(descriptor, needed, size - needed)
        head = tail[:4] if size <= TAIL_BYTES else os.pread(descriptor, 4, 0)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        os.close(descriptor)
    return end_damage(size, head, tail)


def list_local(
    folder: str,
    *,
    tables: Iterable[str] | None = None,
    services: Collection[str] | None = None,
    days: Collection[datetime.date] | None = None,
    check: bool = True,
    held: bool = True,
) -> TableListing:
    """List the files of a local table folder, sorted by path: see `table_folder.list_tables`.

    ``held``: list the sources of a merge that has not ended, where they wait.
    """
    found: dict[str, list[TableFile]] = {}
    skipped: list[SkippedTable] = []
    wanted_services = None if services is None else {service_folder(one) for one in services}
    wanted_days = None if days is None else {day_folder(one) for one in days}
    for table in [table.name for table in TABLES] if tables is None else tables:
        place = os.path.join(folder, table)
        files = found.setdefault(table, [])
        for service in _folders(place, "service=", wanted_services, skipped):
            for day in _folders(service.path, "day=", wanted_days, skipped):
                files += _day_files(table, service.name, day, check, held, skipped)
        files.sort(key=lambda file: file.path)
    return TableListing(folder, found, tuple(skipped))


def _day_files(
    table: str,
    service_name: str,
    entry: os.DirEntry[str],
    check: bool,
    held: bool,
    skipped: list[SkippedTable],
) -> list[TableFile]:
    """Return the files of a day; a merge that goes on meanwhile changes nothing."""
    service, day = service_of(service_name) or "", day_of(entry.name)
    if day is None:
        skipped.append(SkippedTable(entry.path, "its name has no day"))
        return []
    for _ in range(_ATTEMPTS):
        before = _last_change(entry.path)
        files: list[TableFile] = []
        left_out: list[SkippedTable] = []
        for hosts_folder in [
            *(one.path for one in _folders(entry.path, "hosts=", None, left_out)),
            *(_held_folders(entry.path) if held else ()),
        ]:
            hosts = hosts_of(os.path.basename(hosts_folder)) or ""
            files += [
                TableFile(path, table, service, day, hosts, size)
                for path, size in _files(hosts_folder, check, left_out)
            ]
        if _last_change(entry.path) == before:
            break
    skipped += left_out
    return files


def _last_change(folder: str) -> int:
    """Return a number that differs after a merge has begun or ended in the folder of a day."""
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return -1


def _held_folders(day: str) -> list[str]:
    """Return the folders of sources that a merge has moved away and whose rows are nowhere else."""
    found: list[str] = []
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(day)):
            merged = os.path.join(day, MERGED_FOLDER, name.removeprefix(HOLD_PREFIX) + SUFFIX)
            hold = os.path.join(day, name)
            if not name.startswith(HOLD_PREFIX) or os.path.islink(hold) or os.path.lexists(merged):
                continue
            found += [one.path for one in _folders(hold, "hosts=", None, [])]
    return found


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing if it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_ignored_name(entry.name)]
    except FileNotFoundError:  # a merge has emptied and removed it
        return []
    except OSError as error:
        raise OutputError(
            f"cannot read the folder {folder!r}: {error.strerror or error}; change its permissions"
        ) from error


def _folders(
    place: str, key: str, wanted: set[str] | None, skipped: list[SkippedTable]
) -> Iterator[os.DirEntry[str]]:
    """Yield the folders whose name begins with a key and is wanted; note what else is there."""
    for entry in _entries(place):
        if not entry.is_dir(follow_symlinks=False):
            reason = "a link" if entry.is_symlink() else f"not in a folder {key}"
            skipped.append(SkippedTable(entry.path, reason))
        elif not entry.name.startswith(key) or entry.name == key:
            skipped.append(SkippedTable(entry.path, f"the folder is no {key}"))
        elif wanted is None or entry.name in wanted:
            yield entry


def _files(folder: str, check: bool, skipped: list[SkippedTable]) -> Iterator[tuple[str, int]]:
    """Yield the path and size of each file of a folder that can be read; note the others."""
    for entry in _entries(folder):
        if not entry.is_file(follow_symlinks=False):
            reason = "a link" if entry.is_symlink() else "not a file"
        elif not entry.name.endswith(SUFFIX):
            reason = f"its name does not end in {SUFFIX}"
        else:
            try:
                size = entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:  # merged since
                continue
            reason = (damage_at_ends(entry.path) if check else None) or ""
            if not reason:
                yield entry.path, size
                continue
            if not os.path.lexists(entry.path):  # merged since
                continue
        skipped.append(SkippedTable(entry.path, reason))
