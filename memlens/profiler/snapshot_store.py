"""The output folder of a profiler: snapshots and leak reports, a bounded number of each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

from memlens.errors import OptionError, OutputError
from memlens.heap.capture.take import take_heap_snapshot
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.process.reading import read_memory
from memlens.profiler.profiler_report import SnapshotRecord

__all__ = ("SnapshotStore",)


class SnapshotStore:
    """Keeps the snapshots and reports of this process in a folder, and no more than allowed.

    The first snapshot stays, as the baseline; of the others the oldest goes first, never the
    newest. Files that were there before are nobody's to drop. Not safe for concurrent use.
    """

    def __init__(
        self, folder: str, *, max_snapshots: int, max_snapshot_bytes: int, max_reports: int
    ) -> None:
        if max_snapshots < 2 or max_snapshot_bytes <= 0 or max_reports < 1:
            raise OptionError(
                f"max_snapshots ({max_snapshots}) must be at least 2, max_snapshot_bytes"
                f" ({max_snapshot_bytes}) positive and max_reports ({max_reports}) at least 1"
            )
        self.folder = folder
        self._max_snapshots = max_snapshots
        self._max_snapshot_bytes = max_snapshot_bytes
        self._max_reports = max_reports
        self.records: list[SnapshotRecord] = []
        self._reports: list[str] = []
        self.taken = 0
        self.written = 0

    def forget(self) -> None:
        """Begin anew, in a forked child: what the parent has written stays the parent's."""
        self.records, self._reports = [], []
        self.taken = self.written = 0

    @property
    def size_bytes(self) -> int:
        """The bytes of all snapshots kept."""
        return sum(record.size_bytes for record in self.records)

    def prepare(self) -> None:
        """Make the folder; raises ``OutputError`` where it cannot be made or written."""
        try:
            os.makedirs(self.folder, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the output folder {self.folder!r}: {error.strerror};"
                " choose another output_dir"
            ) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OutputError(
                f"cannot write to the output folder {self.folder!r}; choose another output_dir"
            )

    def take(self, reason: str) -> SnapshotRecord:
        """Take a snapshot of this process and keep it; raises as `take_heap_snapshot` does."""
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
        self._drop_old()
        return record

    def load(self) -> list[HeapSnapshot]:
        """Open the snapshots kept, oldest first."""
        return [HeapSnapshot.load(record.path) for record in self.records]

    def load_since(self, since: float) -> Iterator[list[HeapSnapshot]]:
        """Yield the choices of snapshots in which to look for what grew since then, best first.

        ``since`` is in wall-clock seconds, and an estimate. What began later than the baseline did
        not grow in every interval from there; three snapshots are the least that tell growth from
        a one-time event.
        """
        snapshots = self.load()
        after = sum(1 for one in snapshots if one.timestamp >= since)
        counts = dict.fromkeys((after, after + 1, 3, len(snapshots)))
        for count in counts:
            if 3 <= count <= len(snapshots) or count == len(snapshots):
                yield snapshots[-count:]

    def write(self, report: LeakReport) -> str:
        """Write a report as text and JSON; return the path of the JSON file."""
        path = self._new_path("leak", ".json")
        text_path = path.removesuffix(".json") + ".txt"
        try:
            for name, text in ((text_path, f"{report}\n"), (path, json.dumps(report.to_dict()))):
                with open(name, "w", encoding="utf-8", opener=_private) as file:
                    file.write(text)
        except OSError as error:
            raise OutputError(f"cannot write {path!r}: {error.strerror}") from error
        self._reports.append(path)
        self.written += 1
        while len(self._reports) > self._max_reports:
            dropped = self._reports.pop(0)
            _unlink(dropped)
            _unlink(dropped.removesuffix(".json") + ".txt")
        return path

    def _new_path(self, name: str, suffix: str) -> str:
        now = time.time()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f"{int(now % 1 * 1e3):03d}Z"
        base = os.path.join(self.folder, f"{name}-{stamp}-{os.getpid()}")
        path, number = base + suffix, 2
        while os.path.exists(path):
            path, number = f"{base}-{number}{suffix}", number + 1
        return path

    def _drop_old(self) -> None:
        while len(self.records) > 2 and (
            len(self.records) > self._max_snapshots or self.size_bytes > self._max_snapshot_bytes
        ):
            _unlink(self.records.pop(1).path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # somebody tidied the folder: it is gone, as wanted
