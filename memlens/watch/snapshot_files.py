"""Snapshot files that may still come and go: a list of files, or the output folder of a profiler."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memlens._text import format_count
from memlens.errors import OptionError, OutputError, SnapshotFileError
from memlens.heap.snapshot import HeapSnapshot
from memlens.watch.source import Reading

__all__ = ("SnapshotFile", "SnapshotFiles")

_SUFFIX = ".memlens"
_MAX_FILES = 2000  # in a folder, the newest by name: no profiler keeps that many


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """What the facts of one snapshot file tell; ``process`` differs between two processes.

    ``own_bytes``: what memlens itself had open in the process, in bytes. ``is_exit``: the snapshot
    was taken when the program had ended.
    """

    path: str
    pid: int
    process: tuple[int, Any]
    timestamp: float
    reading: Reading | None
    own_bytes: int = 0
    is_exit: bool = False


class SnapshotFiles:
    """The snapshots of one process among files or in folders, read again at each `refresh`.

    ``pid`` selects a process; None selects the one with the newest snapshot. Only the facts of a
    file are read, once for each file.
    """

    def __init__(self, paths: Sequence[str], pid: int | None = None) -> None:
        self._paths = list(paths)
        self._pid = pid
        self._known: dict[str, SnapshotFile | None] = {}  # None: not a snapshot
        self.other_processes = 0
        self.ended_at: float | None = None  # when the program ended, by its exit snapshot
        self.own_bytes = 0  # what memlens had open in the process at its newest snapshot
        self.rejected: dict[str, str] = {}  # path: why it is no snapshot

    def check(self) -> None:
        """Check the paths at the start.

        Raises ``OptionError`` if there is no such file or folder, ``SnapshotFileError`` if a file
        that was named is no heap snapshot.
        """
        for path in self._paths:
            if not os.path.exists(path):
                raise OptionError(f"there is no file or folder {path!r}")
            if not os.path.isdir(path):
                _read(path)

    def refresh(self) -> list[SnapshotFile]:
        """Return the snapshots of the process that exist now, oldest first."""
        found = self._list()
        self._known = {path: self._facts_of(path) for path in found}
        self.rejected = {path: why for path, why in self.rejected.items() if path in self._known}
        by_process: dict[tuple[int, Any], list[SnapshotFile]] = {}
        for file in self._known.values():
            if file is not None and self._pid in (None, file.pid):
                by_process.setdefault(file.process, []).append(file)
        if not by_process:
            self.other_processes = 0
            return []
        self.other_processes = len(by_process) - 1
        newest = max(by_process.values(), key=lambda files: max(one.timestamp for one in files))
        newest = sorted(newest, key=lambda file: (file.timestamp, file.path))
        self.ended_at = newest[-1].timestamp if newest[-1].is_exit else None
        self.own_bytes = newest[-1].own_bytes
        return newest

    def note(self) -> str:
        """Say what is left out: other processes, and files that cannot be read; else empty."""
        parts = []
        if self.other_processes:
            count = format_count(self.other_processes)
            plural = "es" if self.other_processes > 1 else ""
            parts.append(f"snapshots of {count} other process{plural} are left out")
        if self.rejected:
            path, why = next(iter(self.rejected.items()))
            more = f", and {len(self.rejected) - 1} more" if len(self.rejected) > 1 else ""
            parts.append(f"not read: {os.path.basename(path)} ({why}){more}")
        return "; ".join(parts)

    def _list(self) -> list[str]:
        found: list[str] = []
        for path in self._paths:
            if not os.path.isdir(path):
                found += [path] if os.path.exists(path) else []
                continue
            try:
                names = os.listdir(path)
            except FileNotFoundError:  # deleted between the two calls
                continue
            except OSError as error:
                raise OutputError(
                    f"cannot read the folder {path!r}: {error.strerror or error}"
                ) from error
            # Files being written have names that begin with a dot.
            shown = sorted(n for n in names if n.endswith(_SUFFIX) and not n.startswith("."))
            found += [os.path.join(path, name) for name in shown[-_MAX_FILES:]]
        return list(dict.fromkeys(found))

    def _facts_of(self, path: str) -> SnapshotFile | None:
        if path in self._known and path not in self.rejected:
            return self._known[path]
        try:
            file = _read(path)
        except SnapshotFileError as error:
            if os.path.exists(path):  # else a profiler has just deleted it
                self.rejected[path] = str(error).partition(": ")[2] or str(error)
            return None
        self.rejected.pop(path, None)
        return file


def _read(path: str) -> SnapshotFile:
    facts = HeapSnapshot.load(path).facts
    pid = int(facts["pid"])
    timestamp = float(facts["timestamp"])
    memory = facts.get("memory")
    own_bytes = memory.get("own_bytes") if isinstance(memory, dict) else None
    return SnapshotFile(
        path,
        pid,
        (pid, facts.get("process")),
        timestamp,
        _reading(memory, timestamp),
        own_bytes if isinstance(own_bytes, int) else 0,
        facts.get("reason") == "exit",
    )


def _reading(memory: Any, timestamp: float) -> Reading | None:
    if not isinstance(memory, dict) or not isinstance(memory.get("rss_bytes"), int):
        return None
    uss, limit = memory.get("uss_bytes"), memory.get("limit_bytes")
    return Reading(
        timestamp,
        memory["rss_bytes"],
        uss if isinstance(uss, int) else None,
        limit if isinstance(limit, int) else None,
    )
