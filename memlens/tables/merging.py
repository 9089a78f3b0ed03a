"""Merge the small files of a table folder into few: one folder ``hosts=all`` for each day."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from memlens._atomic import checked_path, make_folder, sweep_leftovers
from memlens._options import check_bytes, check_seconds
from memlens._uninterrupted import call_and_store, close_all
from memlens.errors import OptionError, OutputError
from memlens.progress import part, reached
from memlens.tables.arrow_types import require_pyarrow
from memlens.tables.listing import SkippedTable, TableFile, list_local
from memlens.tables.merge_hold import Hold, merged_folder, recover
from memlens.tables.merge_report import MergeReport
from memlens.tables.merge_sources import MergeSchema, SourceError, batches_of
from memlens.tables.parquet_file import TableWriter
from memlens.tables.partition_names import ALL_HOSTS, HOLD_PREFIX
from memlens.tables.schema import TABLES, table_named
from memlens.tables.table_folder import is_url

__all__ = ("OLDER_THAN", "TARGET_BYTES", "merge_tables")

OLDER_THAN = 600.0  # seconds: a reader that has listed a file has opened it by then
TARGET_BYTES = 128 << 20
_LOCK = ".merging"


def merge_tables(
    folder: str | os.PathLike[str],
    *,
    older_than: float = OLDER_THAN,
    target_bytes: int = TARGET_BYTES,
    row_group_bytes: int | None = None,
) -> MergeReport:
    """Merge the small files of each table, service and day, and return what was done.

    Each row stays in the folder once, whatever ends the merge: the next one completes or undoes what
    is left. Files that were changed in the last ``older_than`` seconds are left; so are files that
    are damaged, of another schema version or of half of ``target_bytes`` and more. Memory holds a row
    group of ``row_group_bytes`` and one of a source.

    Raises ``OptionError`` for a folder that does not exist or is a URL, ``OutputError`` if another
    merge is running or a file cannot be written. ``MissingExtraError``: pyarrow is not installed.
    """
    require_pyarrow()
    place = checked_path(folder)
    age = check_seconds("older_than", older_than, 0.0)
    check_bytes("target_bytes", target_bytes, 1)
    if is_url(place):
        raise OptionError(
            f"{place!r}: an object store cannot rename; merge the folder before it is copied there"
        )
    if not os.path.isdir(place):
        raise OptionError(f"{place!r} is not a folder: give the table_dir of the profilers")
    start = time.perf_counter()
    report = MergeReport(place)
    with _locked(place):
        merge = _Merge(report, time.time() - age, target_bytes, row_group_bytes)
        for count, table in enumerate(TABLES):
            with part(count / len(TABLES), (count + 1) / len(TABLES)):
                merge.merge_table(table.name)
    report.seconds = time.perf_counter() - start
    return report


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold the lock of the folder; the system releases it when the process ends."""
    path = os.path.join(folder, _LOCK)
    descriptors: list[int] = []
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        call_and_store(descriptors, os.open, path, flags, 0o600)
        fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        close_all(descriptors)
        raise OutputError(
            f"another merge is running in {folder!r}: try again when it has ended"
        ) from None
    except OSError as error:
        close_all(descriptors)
        raise OutputError(
            f"cannot lock {path!r}: {error.strerror or error}; merge on a file system with locks"
        ) from error
    try:
        yield
    finally:
        close_all(descriptors)


@dataclass(slots=True)
class _Merge:
    """One merge of a folder. ``newest``: files that were changed after this time are left."""

    report: MergeReport
    newest: float
    target_bytes: int
    row_group_bytes: int | None

    def merge_table(self, name: str) -> None:
        """Merge the files of one table, a day at a time; note what cannot be merged."""
        for day in _days_with_holds(os.path.join(self.report.folder, name)):
            self._recover(day)
        listing = list_local(self.report.folder, tables=[name], held=False)
        self.report.skipped += listing.skipped
        self.report.file_count += len(listing.files[name])
        days: dict[str, list[TableFile]] = {}
        for file in listing.files[name]:
            days.setdefault(os.path.dirname(os.path.dirname(file.path)), []).append(file)
        for count, (day, files) in enumerate(days.items()):
            reached(count / len(days))
            if not any(True for _ in _holds(day)):  # else it could not be settled
                self._merge_day(day, self._chosen(files))

    def _recover(self, day: str) -> None:
        try:
            self.report.recovered_count += recover(day)
        except OutputError as error:
            self.report.skipped.append(SkippedTable(day, str(error)))

    def _chosen(self, files: list[TableFile]) -> list[TableFile]:
        """Return the files to merge, in the order of their hosts and times.

        A merged file is merged again when the smaller files together are as large as it is, so each
        row is written again a few times only, however often somebody merges.
        """
        old = [file for file in files if self._is_old(file)]
        self.report.recent_count += len(files) - len(old)
        small = [file for file in old if file.size_bytes < max(self.target_bytes // 2, 1)]
        total = sum(file.size_bytes for file in small if file.hosts != ALL_HOSTS)
        chosen = [file for file in small if file.hosts != ALL_HOSTS]
        merged = [file for file in small if file.hosts == ALL_HOSTS]
        for file in sorted(merged, key=lambda file: file.size_bytes):
            if file.size_bytes > total:
                break
            total += file.size_bytes
            chosen.append(file)
        return sorted(chosen, key=lambda file: file.path)

    def _is_old(self, file: TableFile) -> bool:
        with suppress(OSError):
            return os.stat(file.path, follow_symlinks=False).st_mtime <= self.newest
        return False

    def _merge_day(self, day: str, files: list[TableFile]) -> None:
        if len(files) > 1:
            sweep_leftovers(merged_folder(day))
            schema = MergeSchema(table_named(files[0].table))
        while len(files) > 1:
            output = _Output(self, day, schema)
            try:
                while files and not output.is_full:
                    if not output.add(files[0]):
                        break
                    files.pop(0)
                output.commit()
            finally:
                output.discard()


class _Output:
    """One merged file of a day, while it is written."""

    def __init__(self, merge: _Merge, day: str, schema: MergeSchema) -> None:
        self._merge = merge
        self._day = day
        self._table = schema.table
        self._schema = schema
        self._sources: list[TableFile] = []
        self._writer: TableWriter | None = None
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._hold = Hold(day, f"{moment}-merged-{secrets.token_hex(8)}")

    @property
    def is_full(self) -> bool:
        """Whether the file has its size."""
        return self._writer is not None and self._writer.expected_bytes >= self._merge.target_bytes

    def add(self, file: TableFile) -> bool:
        """Add the rows of a source, or note why it is left. False: it belongs to another file."""
        try:
            schema, batches = batches_of(file.path, self._table)
            if self._writer is None:
                self._schema.extend(schema)
            elif not self._schema.has(schema):
                return False
            if conflict := self._schema.conflict(schema):
                raise SourceError(conflict)
        except SourceError as error:
            self._merge.report.skipped.append(SkippedTable(file.path, str(error)))
            return True
        writer = self._writer or self._open()
        for batch in batches:
            writer.write_arrow(self._schema.rows(batch))
        self._sources.append(file)
        return True

    def _open(self) -> TableWriter:
        make_folder(merged_folder(self._day))
        limit = self._merge.row_group_bytes
        bounds = {} if limit is None else {"row_group_bytes": limit}
        self._writer = TableWriter(
            self._hold.merged, self._table, schema=self._schema.arrow, **bounds
        )
        return self._writer

    def commit(self) -> None:
        """Put the file in the place of its sources; does nothing for a single one."""
        if self._writer is None or len(self._sources) < 2:
            return
        pending = self._writer.finish()
        try:
            self._hold.take(file.path for file in self._sources)
            pending.commit()
        except OSError as error:
            self._undo(str(error))
            return
        except BaseException:
            with suppress(OSError):
                self._hold.settle()
            raise
        self._note()
        try:
            self._hold.delete()
        except OSError as error:
            self._left(f"its merged sources cannot be deleted: {error}")
        for folder in {os.path.dirname(file.path) for file in self._sources}:
            _remove_empty(folder)

    def _undo(self, reason: str) -> None:
        """Move the sources back, for example where one was moved away by somebody else."""
        try:
            self._hold.settle()
        except OSError as error:
            reason = f"{reason}; undoing: {error}"
        self._left(reason)

    def _left(self, reason: str) -> None:
        self._merge.report.skipped.append(SkippedTable(self._day, reason))

    def _note(self) -> None:
        assert self._writer is not None
        row = self._merge.report.table(self._table.name)
        row.files_before += len(self._sources)
        row.files_after += 1
        row.bytes_before += sum(file.size_bytes for file in self._sources)
        row.bytes_after += self._writer.size_bytes
        row.rows += self._writer.row_count

    def discard(self) -> None:
        """Delete what was written, unless the file has its name."""
        if self._writer is not None:
            self._writer.discard()


def _remove_empty(folder: str) -> None:
    """Remove the folder of a host that has no files left; its next writer makes it again."""
    with suppress(OSError):
        os.rmdir(folder)
        return
    with suppress(OSError):  # what a writer that was killed has left
        if sweep_leftovers(folder):
            os.rmdir(folder)


def _holds(day: str) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(day) as entries:
        yield from (entry.path for entry in entries if entry.name.startswith(HOLD_PREFIX))


def _days_with_holds(table: str) -> list[str]:
    """Return the folders of days in which a merge has ended early."""
    found = []
    with suppress(FileNotFoundError), os.scandir(table) as services:
        for service in services:
            if not service.is_dir(follow_symlinks=False):
                continue
            with os.scandir(service.path) as days:
                found += [
                    day.path
                    for day in days
                    if day.is_dir(follow_symlinks=False) and any(True for _ in _holds(day.path))
                ]
    return sorted(found)
