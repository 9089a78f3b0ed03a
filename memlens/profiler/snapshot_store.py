"""The output folder of a profiler: a bounded number of snapshots and leak reports.

Several processes may share the folder: workers of a server, or one process after another. If all
files together exceed a bound, files of processes that have ended are deleted first, beginning with the
process that ended first. Then a running process deletes its own, if it alone has more snapshots or
reports than allowed, or if all snapshots together have more bytes.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Protocol

from memlens._atomic import make_folder, sweep_leftovers, write_whole
from memlens._log import INFO, log_event, warn_once
from memlens._options import check_bytes, check_count, check_path
from memlens.errors import OutputError, ReadingError, SnapshotFileError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.graph.steady_time import STEADY_FACT
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.unexplained import MALLOC_FACT
from memlens.process.allocator_memory import malloc_bytes
from memlens.process.identity import IDENTITY_FACT, ProcessIdentity, identify
from memlens.process.reading import MemoryReading, read_memory
from memlens.process.start import (
    TOKEN_FACT,
    UPTIME_FACT,
    process_token,
    started_monotonic,
    steady_time,
)
from memlens.profiler.file_owner import OwnedFile, is_running, list_files, owner_suffix
from memlens.profiler.profiler_report import SnapshotRecord
from memlens.profiler.registry import forget_folder, note_folder
from memlens.profiler.snapshot_choices import paths_since

__all__ = ("Capture", "SnapshotStore")


class Taken(Protocol):
    """What the record of a snapshot says: of a `HeapSnapshot`, or of one that is not opened."""

    @property
    def object_count(self) -> int:
        """How many objects were captured."""

    @property
    def pause_seconds(self) -> float:
        """For how long the program was stopped."""

    @property
    def timestamp(self) -> float:
        """When it was taken, in seconds of the wall clock."""


Capture = Callable[..., Taken]  # with the arguments path, reason= and facts=

_MIN_NOTED_SECONDS = 0.001  # less is no waiting


class SnapshotStore:
    """Stores the snapshots and reports of this process in a folder with bounds.

    A running process keeps at least its first snapshot, which is the baseline, and its newest one.
    Between them the oldest is deleted first. Only files whose names show that a profiler wrote them
    are ever deleted, and never those of another running process. Not safe for concurrent use.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        max_snapshots: int,
        max_snapshot_bytes: int,
        max_reports: int,
    ) -> None:
        # Absolute, because the program may change its working directory.
        self.folder = os.path.abspath(check_path("output_dir", folder))
        self._max_snapshots = check_count("max_snapshots", max_snapshots, 2)
        self._max_snapshot_bytes = check_bytes("max_snapshot_bytes", max_snapshot_bytes, 1)
        self._max_reports = check_count("max_reports", max_reports)
        self.max_files = (
            self._max_snapshots
        )  # of all processes: more than that, and ended ones lose
        self.forget()

    def forget(self) -> None:
        """Forget the files of the parent process, in a forked child."""
        self.records: list[SnapshotRecord] = []
        self._reports: list[str] = []
        self.taken = self.written = 0
        self._owner_suffix = owner_suffix()
        self._is_swept = self._is_registered = False
        self._newest_name = ("", 0)

    @property
    def size_bytes(self) -> int:
        """The total size of the kept snapshots of this process."""
        return sum(record.size_bytes for record in self.records)

    def counters(self) -> dict[str, int]:
        """Return how many snapshots there were and are, for `MemoryProfiler.health`."""
        return {
            "snapshots_taken": self.taken,
            "snapshots_kept": len(self.records),
            "snapshot_bytes_kept": self.size_bytes,
        }

    @property
    def pattern(self) -> str:
        """A pattern for a shell that matches the snapshots of this process."""
        return f"{shlex.quote(self.folder)}/heap-*-{self._owner_suffix}.memlens"

    def prepare(self) -> None:
        """Create the folder, for its owner only, and delete the leftovers of killed processes.

        Raises ``OutputError`` if the folder cannot be created or written.
        """
        make_folder(self.folder)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OutputError(
                f"cannot write to the folder {self.folder!r}; choose another output_dir"
            )
        if not self._is_swept:
            sweep_leftovers(self.folder)
            self._is_swept = True

    def take(
        self,
        reason: str,
        seconds: Mapping[str, float] = MappingProxyType({}),
        capture: Capture | None = None,
    ) -> SnapshotRecord:
        """Take a snapshot of this process and store it. Raises as `take_heap_snapshot` does.

        ``seconds``: for how long the program did no work, as facts to record: see
        `memlens.leaks.ending`. ``capture``: what to call instead of `take_heap_snapshot`.
        """
        reading = _read_memory()
        path = self._new_path(f"heap-{reason}", ".memlens")
        facts = _process_facts()
        if reading is not None:
            facts["memory"] = reading.to_dict()
        used = malloc_bytes()
        if used is not None:
            facts[MALLOC_FACT] = used
        facts |= {name: value for name, value in seconds.items() if value >= _MIN_NOTED_SECONDS}
        take: Capture = capture or take_heap_snapshot
        snapshot = take(path, reason=reason, facts=facts)
        record = SnapshotRecord(
            path=path,
            size_bytes=os.path.getsize(path),
            object_count=snapshot.object_count,
            pause_seconds=snapshot.pause_seconds,
            reason=reason,
            timestamp=snapshot.timestamp,
            reading=reading,
        )
        self.records.append(record)
        self.taken += 1
        if not self._is_registered:
            self._is_registered = note_folder(self.folder)
        self._delete_old_snapshots()
        log_event(
            INFO,
            "snapshot",
            f"snapshot ({reason}): {path}",
            reason=reason,
            path=path,
            bytes=record.size_bytes,
            objects=record.object_count,
            pause_seconds=record.pause_seconds,
        )
        return record

    def unregister(self) -> None:
        """Let nobody look for further snapshots of this process, until it takes one."""
        if self._is_registered:
            self._is_registered = False
            forget_folder()

    def paths(self) -> list[str]:
        """Return the kept snapshots, oldest first. Forgets those that the user has deleted."""
        self.records = [record for record in self.records if os.path.exists(record.path)]
        return [record.path for record in self.records]

    def paths_of_children(self) -> list[list[str]]:
        """Return the snapshot files of each process that this one started, oldest first.

        That is: of other processes whose files are newer than the first snapshot of this one, if
        they were forked from it or belong to the same run. Snapshots of the same folder by
        unrelated processes are left out by what they record.
        """
        if not self.records:
            return []
        first = HeapSnapshot.load(self.records[0].path)
        files: dict[tuple[int, str], list[str]] = {}
        for file in list_files(self.folder):
            if file.kind == "heap" and file.pid != os.getpid():
                files.setdefault(file.owner, []).append(file.path)
        return [paths for paths in files.values() if _is_child(paths, first)]

    def load(self) -> list[HeapSnapshot]:
        """Open the kept snapshots, oldest first. Forgets those that the user has deleted."""
        return [HeapSnapshot.load(path) for path in self.paths()]

    def paths_since(self, since: float | None) -> list[list[str]]:
        """Return sequences of kept snapshots in which to search for growth: see `paths_since`."""
        self.paths()
        return paths_since(self.records, since)

    def write(self, report: LeakReport) -> str:
        """Write a report as text and as JSON; return the path of the JSON file."""
        path = self._new_path("leak", ".json")
        write_whole(_text_path(path), f"{report}\n".encode())
        reading = _read_memory()
        values = {
            **report.to_dict(),
            "identity": identify().to_dict(),
            "timestamp": time.time(),
            "memory": reading.to_dict() if reading else None,
        }
        write_whole(path, json.dumps(values).encode())
        self._reports.append(path)
        self.written += 1
        self._delete_old_reports()
        return path

    def _new_path(self, name: str, suffix: str) -> str:
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now % 1 * 1e3):03d}Z"
        base = os.path.join(self.folder, f"{name}-{stamp}-{self._owner_suffix}")
        # The file of the newest path may not exist yet: a signal handler can interrupt a snapshot.
        newest_base, number = self._newest_name
        number = number + 1 if newest_base == base else 1
        while os.path.exists(path := f"{base}{f'-{number}' if number > 1 else ''}{suffix}"):
            number += 1
        self._newest_name = (base, number)
        return path

    def _delete_old_snapshots(self) -> None:
        files = [file for file in list_files(self.folder) if file.kind == "heap"]
        count, size_bytes = len(files), sum(file.size_bytes for file in files)
        for file in _of_ended_processes(files):
            if count <= self.max_files and size_bytes <= self._max_snapshot_bytes:
                return
            _delete(file.path)
            count, size_bytes = count - 1, size_bytes - file.size_bytes
        while len(self.records) > 2 and (
            len(self.records) > self._max_snapshots or size_bytes > self._max_snapshot_bytes
        ):
            oldest = self.records.pop(1)
            _delete(oldest.path)
            size_bytes -= oldest.size_bytes

    def _delete_old_reports(self) -> None:
        files = [file for file in list_files(self.folder) if file.path.endswith(".json")]
        excess = len(files) - self._max_reports
        for file in _of_ended_processes(files)[: max(excess, 0)]:
            _delete(file.path)
            _delete(_text_path(file.path))
        while len(self._reports) > self._max_reports:
            oldest = self._reports.pop(0)
            _delete(oldest)
            _delete(_text_path(oldest))


def _process_facts() -> dict[str, Any]:
    """Return which process this is, and how long it has run by a clock that is never set."""
    return {
        IDENTITY_FACT: identify().to_dict(),
        TOKEN_FACT: process_token(os.getpid()),
        UPTIME_FACT: time.monotonic() - started_monotonic(),
        STEADY_FACT: steady_time(),
    }


def _is_child(paths: list[str], first: HeapSnapshot) -> bool:
    """Tell whether files are of a process that the one that took a snapshot forked or started."""
    try:
        snapshot = HeapSnapshot.load(paths[0])
    except SnapshotFileError:
        return False
    is_forked = snapshot.graph.facts.get("process") == first.graph.facts.get("process")
    run_id = _run_id(first)
    is_followed = run_id is not None and _run_id(snapshot) == run_id
    return (is_forked or is_followed) and snapshot.timestamp >= first.timestamp


def _run_id(snapshot: HeapSnapshot) -> str | None:
    identity = ProcessIdentity.from_facts(snapshot.facts.get(IDENTITY_FACT))
    return None if identity is None else identity.run_id


def _of_ended_processes(files: list[OwnedFile]) -> list[OwnedFile]:
    """Return the files of ended processes: those of the process that ended first come first.

    ``files`` are ordered by time, so the last file of a process is its newest.
    """
    last_time = {file.owner: file.time for file in files}
    ended = {owner for owner in last_time if not is_running(owner)}
    return sorted(
        (file for file in files if file.owner in ended),
        key=lambda file: (last_time[file.owner], file.owner, file.time),
    )


def _read_memory() -> MemoryReading | None:
    """Return a reading, or None if the system provides none: the snapshot does not need it."""
    try:
        return read_memory()
    except ReadingError as error:
        warn_once(
            f"snapshots are taken without memory readings: {error}",
            event="readings_missing",
            reason=str(error),
        )
        return None


def _text_path(json_path: str) -> str:
    return json_path.removesuffix(".json") + ".txt"


def _delete(path: str) -> None:
    with suppress(FileNotFoundError):  # already deleted, by the user or another process
        os.unlink(path)
