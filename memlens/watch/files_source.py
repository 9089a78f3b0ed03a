"""The source that reads snapshot files, or an output folder that may still be growing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from memlens.errors import OptionError
from memlens.watch.snapshot_files import SnapshotFiles
from memlens.watch.source import Reading, SourceState

__all__ = ("FilesSource",)


class FilesSource:
    """Snapshot files and folders of snapshots; readings are those that the snapshots record.

    Raises ``OptionError`` for a path that does not exist, ``SnapshotFileError`` for a file that is
    no heap snapshot.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = SnapshotFiles(paths)
        self._files.check()
        self._seen: set[str] = set()
        first = os.path.basename(os.path.normpath(paths[0]))
        self._name = first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"
        self._pid: int | None = None
        self._may_grow = any(os.path.isdir(path) for path in paths)

    @property
    def title(self) -> str:
        """The files, and the process that they are of once it is known."""
        return self._name if self._pid is None else f"{self._name} (process {self._pid})"

    def poll(self) -> SourceState:
        """Return the files that exist now and the readings of those that are new."""
        files = self._files.refresh()
        new = [file for file in files if file.path not in self._seen]
        self._seen = {file.path for file in files}
        readings: list[Reading] = [file.reading for file in new if file.reading is not None]
        self._pid = files[-1].pid if files else self._pid
        return SourceState(
            tuple(readings),
            tuple(f.path for f in files),
            not self._may_grow,
            self._note(bool(files)),
            self._files.ended_at,
        )

    def _note(self, has_files: bool) -> str:
        if not has_files and self._may_grow and not self._files.rejected:
            return "no snapshots yet: waiting for the first file"
        return self._files.note()

    def take_snapshot(self) -> None:
        """Raise ``OptionError``: files cannot take a snapshot."""
        raise OptionError(
            "files cannot take a snapshot; start the program by: memlens watch -- SCRIPT, or call"
            " take_snapshot() of its MemoryProfiler"
        )

    def output_tail(self) -> str | None:
        """Return None: files have no output."""
        return None

    def close(self) -> None:
        """Do nothing."""
