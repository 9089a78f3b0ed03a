"""The hold of a merge: where its sources wait until the merged file has its name.

A hold is the folder ``_merging-ID`` in the folder of a day; the merged file is to be
``hosts=all/ID.parquet``. Whatever ends a merge, `recover` finds each row once: if the merged file is
there, the sources in the hold are deleted, otherwise they are moved back.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Any

from memlens._atomic import sweep_leftovers, sync_folder
from memlens.errors import OutputError
from memlens.tables.listing import SUFFIX
from memlens.tables.partition_names import HOLD_PREFIX, MERGED_FOLDER, hosts_of

__all__ = ("Hold", "merged_folder", "recover")

_MANY_FOLDERS = 16  # each takes milliseconds; the whole file system little more


def merged_folder(day: str) -> str:
    """Return the folder of the merged files of a day."""
    return os.path.join(day, MERGED_FOLDER)


class Hold:
    """The sources of one merged file. ``day``: the folder of the day, ``merge_id``: its name."""

    def __init__(self, day: str, merge_id: str) -> None:
        self._day = day
        self._path = os.path.join(day, HOLD_PREFIX + merge_id)
        self.merged = os.path.join(merged_folder(day), merge_id + SUFFIX)

    def take(self, sources: Iterable[str]) -> None:
        """Move files of the day into the hold. Raises ``OSError``; `restore` undoes it."""
        os.mkdir(self._path, 0o700)
        touched = {self._day, self._path}
        for source in sources:
            folder, name = os.path.split(source)
            held = os.path.join(self._path, os.path.basename(folder))
            if held not in touched:
                os.mkdir(held, 0o700)
            os.rename(source, os.path.join(held, name))
            touched |= {folder, held}
        # The merged file must not get its name on the disk while a source still has its own there.
        _sync_folders(sorted(touched))

    def restore(self) -> None:
        """Move the sources back. Raises ``OSError``; may be repeated."""
        for held, name in self._held():
            folder = os.path.join(self._day, os.path.basename(held))
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            source = os.path.join(folder, name)
            if os.path.lexists(source):  # its writer has written it again since
                os.unlink(os.path.join(held, name))
            else:
                os.rename(os.path.join(held, name), source)
            sync_folder(folder)
        self._remove_folders()

    def delete(self) -> None:
        """Delete the sources. Raises ``OSError``; may be repeated."""
        for held, name in self._held():
            os.unlink(os.path.join(held, name))
        self._remove_folders()

    def settle(self) -> None:
        """Delete the sources if the merged file is there, otherwise move them back."""
        if os.path.lexists(self.merged):
            self.delete()
        else:
            self.restore()

    def _held(self) -> list[tuple[str, str]]:
        """Return the folder in the hold and the name of each source."""
        return [
            (folder, name)
            for folder in self._folders()
            for name in sorted(os.listdir(folder))
            if name.endswith(SUFFIX)
        ]

    def _folders(self) -> list[str]:
        with suppress(FileNotFoundError), os.scandir(self._path) as entries:
            return sorted(
                entry.path
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and hosts_of(entry.name) is not None
            )
        return []

    def _remove_folders(self) -> None:
        for folder in self._folders():
            os.rmdir(folder)
        with suppress(FileNotFoundError):
            os.rmdir(self._path)
        sync_folder(self._day)


def _sync_folders(folders: list[str]) -> None:
    """Write some folders of one file system to the disk."""
    if len(folders) > _MANY_FOLDERS and (sync := _syncfs()) is not None:
        descriptor = os.open(folders[0], os.O_RDONLY | os.O_DIRECTORY)
        try:
            if sync(descriptor) == 0:
                return
        finally:
            os.close(descriptor)
    for folder in folders:
        sync_folder(folder)


@cache
def _syncfs() -> Any:
    """Return the function that writes a whole file system to the disk; None where there is none."""
    function = getattr(ctypes.CDLL(None), "syncfs", None)
    if function is not None:
        function.argtypes, function.restype = [ctypes.c_int], ctypes.c_int
    return function


def recover(day: str) -> int:
    """Settle what merges that ended early have left in the folder of a day; return how many.

    No other merge may run. Raises ``OutputError`` if a hold cannot be settled: then nothing more
    must be merged there.
    """
    try:
        with os.scandir(day) as entries:
            names = sorted(
                entry.name.removeprefix(HOLD_PREFIX)
                for entry in entries
                if entry.name.startswith(HOLD_PREFIX) and entry.is_dir(follow_symlinks=False)
            )
        for name in names:
            Hold(day, name).settle()
    except OSError as error:
        raise OutputError(
            f"an earlier merge cannot be completed in {day!r}: {error.strerror or error}"
        ) from error
    sweep_leftovers(merged_folder(day))
    return len(names)
