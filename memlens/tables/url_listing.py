"""Which files a table folder in an object store has, by ``pyarrow.fs``."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from memlens.errors import OptionError, OutputError
from memlens.tables.arrow_types import require_pyarrow
from memlens.tables.listing import (
    MIN_BYTES,
    SUFFIX,
    TAIL_BYTES,
    SkippedTable,
    TableFile,
    TableListing,
    end_damage,
    tail_bytes,
)
from memlens.tables.partition_names import (
    day_folder,
    day_of,
    hosts_of,
    is_ignored_name,
    service_folder,
    service_of,
)
from memlens.tables.schema import TABLES

__all__ = ("list_url", "open_filesystem")

_THREADS = 16  # each waits for the store
_MAX_PREFIXES = 200  # more requests than this take longer than to list everything


def open_filesystem(url: str) -> tuple[Any, str]:
    """Return the ``pyarrow.fs.FileSystem`` of a URL, and the path in it.

    Raises ``OptionError`` for a URL that pyarrow does not know.
    """
    pa = require_pyarrow()
    from pyarrow import fs

    try:
        filesystem, path = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise OptionError(f"{url!r} cannot be opened: {error}") from error
    return filesystem, path.rstrip("/")


def list_url(
    url: str,
    *,
    services: Collection[str] | None = None,
    days: Collection[datetime.date] | None = None,
    check: bool = False,
) -> TableListing:
    """List the files of a table folder that a URL names: see `table_folder.list_tables`.

    Sizes are part of what the store lists. With ``check`` both ends of each file are read: two
    requests a file. Raises ``OutputError`` if the store does not answer.
    """
    pa = require_pyarrow()
    filesystem, root = open_filesystem(url)
    files: dict[str, list[TableFile]] = {table.name: [] for table in TABLES}
    skipped: list[SkippedTable] = []
    try:
        for info in _found(filesystem, root, services, days):
            one = _table_file(info, root)
            if one is None:
                continue
            if isinstance(one, SkippedTable):
                skipped.append(one)
            elif _is_wanted(one, services, days):
                files[one.table].append(one)
        if check:
            files, damaged = _checked(filesystem, files)
            skipped += damaged
    except (OSError, pa.ArrowException) as error:
        raise OutputError(
            f"cannot list {url!r}: {error}; check the address and the rights"
        ) from error
    for some in files.values():
        some.sort(key=lambda file: file.path)
    return TableListing(url, files, tuple(skipped), filesystem)


def _found(
    filesystem: Any,
    root: str,
    services: Collection[str] | None,
    days: Collection[datetime.date] | None,
) -> Iterator[Any]:
    """Yield what the store has below the prefixes that can have files that are wanted."""
    from pyarrow import fs

    for prefix in _prefixes(root, services, days):
        selector = fs.FileSelector(prefix, allow_not_found=True, recursive=True)
        yield from filesystem.get_file_info(selector)


def _prefixes(
    root: str, services: Collection[str] | None, days: Collection[datetime.date] | None
) -> list[str]:
    prefixes = [f"{root}/{table.name}" for table in TABLES]
    if services is None or len(prefixes) * len(services) > _MAX_PREFIXES:
        return prefixes
    names = sorted({service_folder(one) for one in services})
    prefixes = [f"{prefix}/{name}" for prefix in prefixes for name in names]
    if days is None or len(prefixes) * len(days) > _MAX_PREFIXES:
        return prefixes
    names = sorted({day_folder(one) for one in days})
    return [f"{prefix}/{name}" for prefix in prefixes for name in names]


def _table_file(info: Any, root: str) -> TableFile | SkippedTable | None:
    """Return the file that is in its place, or why it is skipped; None for what is ignored."""
    from pyarrow import fs

    parts = info.path[len(root) :].strip("/").split("/")
    if info.type != fs.FileType.File or any(is_ignored_name(part) for part in parts):
        return None
    if len(parts) != 5:
        return SkippedTable(info.path, "not in a folder service=/day=/hosts=")
    table, service, day, hosts = (
        parts[0],
        service_of(parts[1]),
        day_of(parts[2]),
        hosts_of(parts[3]),
    )
    if service is None or day is None or hosts is None:
        return SkippedTable(info.path, "not in a folder service=/day=/hosts=")
    if not parts[4].endswith(SUFFIX):
        return SkippedTable(info.path, f"its name does not end in {SUFFIX}")
    if info.size < MIN_BYTES:
        return SkippedTable(info.path, end_damage(info.size, b"", b"") or "")
    return TableFile(info.path, table, service, day, hosts, info.size)


def _is_wanted(
    file: TableFile,
    services: Collection[str] | None,
    days: Collection[datetime.date] | None,
) -> bool:
    if services is not None:
        name = file.path.split("/")[-4]
        if name not in {service_folder(one) for one in services}:
            return False
    return days is None or file.day in days


def _checked(
    filesystem: Any, files: dict[str, list[TableFile]]
) -> tuple[dict[str, list[TableFile]], list[SkippedTable]]:
    """Return the files whose ends are whole, and the others with the reasons."""
    everything = [file for some in files.values() for file in some]
    with ThreadPoolExecutor(_THREADS, "memlens-listing") as pool:
        reasons = list(pool.map(lambda file: _damage_at_ends(filesystem, file), everything))
    whole: dict[str, list[TableFile]] = {table: [] for table in files}
    damaged = []
    for file, reason in zip(everything, reasons, strict=True):
        if reason is None:
            whole[file.table].append(file)
        else:
            damaged.append(SkippedTable(file.path, reason))
    return whole, damaged


def _damage_at_ends(filesystem: Any, file: TableFile) -> str | None:
    with filesystem.open_input_file(file.path) as opened:
        size = file.size_bytes
        tail = opened.read_at(min(size, TAIL_BYTES), max(0, size - TAIL_BYTES))
        if (needed := tail_bytes(size, tail)) > len(tail):
            tail = opened.read_at(needed, size - needed)
        head = opened.read_at(4, 0) if len(tail) < size else tail[:4]
    return end_damage(size, head, tail)
