"""The output folder of a profiler: a bounded number of snapshots and leak reports."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import suppress

from memlens._atomic import write_whole
from memlens._options import check_bytes, check_count, check_path
from memlens.errors import OutputError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.process.reading import read_memory
from memlens.profiler.profiler_report import SnapshotRecord

__all__ = ("SnapshotStore",)


class SnapshotStore:
    """Stores a bounded number of snapshots and reports of this process in a folder.

    The first snapshot is the baseline and is kept. Of the others the oldest is deleted first, never
    the newest. Files that already existed are never deleted. Not safe for concurrent use.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        max_snapshots: int,
        max_snapshot_bytes: int,
        max_reports: int,
    ) -> None:
        self.folder = check_path("output_dir", folder)
        self._max_snapshots = check_count("max_snapshots", max_snapshots, 2)
        self._max_snapshot_bytes = check_bytes("max_snapshot_bytes", max_snapshot_bytes, 1)
        self._max_reports = check_count("max_reports", max_reports)
        self.records: list[SnapshotRecord] = []
        self._reports: list[str] = []
        self.taken = 0
        self.written = 0

    def forget(self) -> None:
        """Forget the files of the parent process, in a forked child."""
        self.records, self._reports = [], []
        self.taken = self.written = 0

    @property
    def size_bytes(self) -> int:
        """The total size of the kept snapshots."""
        return sum(record.size_bytes for record in self.records)

    @property
    def pattern(self) -> str:
        """A pattern for a shell that matches the snapshots of this process."""
        return f"{shlex.quote(self.folder)}/heap-*-{os.getpid()}.memlens"

    def prepare(self) -> None:
        """Create the folder. Raises ``OutputError`` if it cannot be created or written."""
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot create the output folder {self.folder!r}: {error.strerror};"
                " choose another output_dir"
            ) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OutputError(
                f"cannot write to the output folder {self.folder!r}; choose another output_dir"
            )

    def take(self, reason: str) -> SnapshotRecord:
        """Take a snapshot of this process and store it. Raises as `take_heap_snapshot` does."""
        reading = read_memory()
        path = self._new_path(f"heap-{reason}", ".memlens")
        snapshot = take_heap_snapshot(path, reason=reason, facts={"memory": reading.to_dict()})
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
        self._delete_old()
        return record

    def load(self) -> list[HeapSnapshot]:
        """Open the kept snapshots, oldest first."""
        return [HeapSnapshot.load(record.path) for record in self.records]

    def load_since(self, since: float) -> Iterator[list[HeapSnapshot]]:
        """Yield sequences of snapshots in which to search for growth since ``since``, best first.

        ``since`` is an estimate in wall-clock seconds. A leak that began after the baseline did not
        grow in every interval from there. At least three snapshots are needed to distinguish growth
        from a one-time event.
        """
        snapshots = self.load()
        after = sum(1 for snapshot in snapshots if snapshot.timestamp >= since)
        counts = dict.fromkeys((after, after + 1, 3, len(snapshots)))
        for count in counts:
            if 3 <= count <= len(snapshots) or count == len(snapshots):
                yield snapshots[-count:]

    def write(self, report: LeakReport) -> str:
        """Write a report as text and as JSON; return the path of the JSON file."""
        path = self._new_path("leak", ".json")
        write_whole(path.removesuffix(".json") + ".txt", f"{report}\n".encode())
        write_whole(path, json.dumps(report.to_dict()).encode())
        self._reports.append(path)
        self.written += 1
        while len(self._reports) > self._max_reports:
            oldest = self._reports.pop(0)
            _delete(oldest)
            _delete(oldest.removesuffix(".json") + ".txt")
        return path

    def _new_path(self, name: str, suffix: str) -> str:
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now % 1 * 1e3):03d}Z"
        base = os.path.join(self.folder, f"{name}-{stamp}-{os.getpid()}")
        path, number = base + suffix, 2
        while os.path.exists(path):
            path, number = f"{base}-{number}{suffix}", number + 1
        return path

    def _delete_old(self) -> None:
        while len(self.records) > 2 and (
            len(self.records) > self._max_snapshots or self.size_bytes > self._max_snapshot_bytes
        ):
            _delete(self.records.pop(1).path)


def _delete(path: str) -> None:
    with suppress(FileNotFoundError):  # already deleted by the user
        os.unlink(path)
