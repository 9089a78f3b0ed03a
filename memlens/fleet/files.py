"""The files of a fleet: which snapshots and leak reports each process has left in which folder."""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from memlens.errors import OptionError, SnapshotFileError
from memlens.fleet.processes import UNKNOWN, FleetProcess, FleetSuspect
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.suspects import is_ignored
from memlens.process.identity import IDENTITY_FACT, ProcessIdentity
from memlens.profiler.file_owner import OwnedFile, is_running, list_files

__all__ = ("ProcessFiles", "SkippedFile", "files_of", "read_report", "read_snapshots")

_PARTIAL = re.compile(
    r"(?:heap|leak)-.*-(?P<pid>\d+)-(?P<token>[0-9a-f]+)(?:-\d+)?\.\w+\.\d+-[0-9a-f]{16}\.part"
)
_MAX_REPORT_BYTES = 64 << 20
_MIN_SNAPSHOTS = 3  # of a verdict that nothing leaks


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that was not read, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class ProcessFiles:
    """The files that one process has left in a folder, oldest first."""

    folder: str
    pid: int
    token: str
    snapshots: list[str] = field(default_factory=list)
    reports: list[OwnedFile] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What the facts of a snapshot tell of its process; sizes in bytes, None if not recorded.

    ``process`` differs between two programs that one process has executed.
    """

    path: str
    timestamp: float
    rss_bytes: int | None
    identity: ProcessIdentity | None
    process: Any = None


def files_of(folders: Iterable[str]) -> tuple[list[ProcessFiles], list[SkippedFile]]:
    """Return the files of each process in some folders, and those that are half written.

    A folder that is given twice is read once. Raises ``OptionError`` for what is no folder,
    ``OutputError`` for a folder that cannot be read.
    """
    found: list[ProcessFiles] = []
    skipped: list[SkippedFile] = []
    for folder in dict.fromkeys(os.path.realpath(one) for one in folders):
        if not os.path.isdir(folder):
            raise OptionError(f"{folder!r} is not a folder: give the output_dir of the profilers")
        owners: dict[tuple[int, str], ProcessFiles] = {}
        for file in list_files(folder):
            files = owners.setdefault(file.owner, ProcessFiles(folder, *file.owner))
            if file.kind == "heap":
                files.snapshots.append(file.path)
            elif file.path.endswith(".json"):
                files.reports.append(file)
        found += [files for _, files in sorted(owners.items())]
        skipped += [
            SkippedFile(os.path.join(folder, name), "half written")
            for name in sorted(os.listdir(folder))
            if (partial := _PARTIAL.fullmatch(name))
            and not is_running((int(partial["pid"]), partial["token"]))  # else it will be whole
        ]
    return found, skipped


def read_snapshots(
    paths: Iterable[str], skipped: list[SkippedFile], pid: int
) -> list[SnapshotFacts]:
    """Return the facts of the snapshots of one process, oldest first; add others to ``skipped``.

    Of a process that has executed another Python, those since then.
    """
    found = []
    for path in paths:
        try:
            snapshot = HeapSnapshot.load(path)
            if snapshot.pid != pid:
                raise SnapshotFileError(f"{path}: it is of process {snapshot.pid}")
        except SnapshotFileError as error:
            if os.path.exists(path):  # else its profiler has deleted it
                skipped.append(SkippedFile(path, str(error).replace(f"{path}: ", "")))
            continue
        memory = snapshot.facts.get("memory")
        found.append(
            SnapshotFacts(
                path,
                snapshot.timestamp,
                _integer(memory, "rss_bytes"),
                ProcessIdentity.from_facts(snapshot.facts.get(IDENTITY_FACT)),
                snapshot.facts.get("process"),
            )
        )
    found.sort(key=lambda one: one.timestamp)
    return [one for one in found if one.process == found[-1].process]


def read_report(file: OwnedFile, folder: str, ignore: Sequence[str] = ()) -> FleetProcess:
    """Return what a leak report tells of its process, without the suspects to be ignored.

    ``ignore``: as for `memlens.find_leaks`. Raises ``SnapshotFileError``.
    """
    try:
        if file.size_bytes > _MAX_REPORT_BYTES:
            raise ValueError(f"it has {file.size_bytes} bytes")
        with open(file.path, encoding="utf-8") as opened:
            values = json.load(opened)
        return _without_ignored(_process_of(values, file, folder), values, ignore)
    except OSError as error:
        raise SnapshotFileError(f"cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SnapshotFileError(f"no leak report: {error or type(error).__name__}") from error


def _process_of(values: Any, file: OwnedFile, folder: str) -> FleetProcess:
    if not isinstance(values, dict):
        raise TypeError("not an object of JSON")
    if values["pid"] != file.pid:
        raise ValueError(f"it is of process {values['pid']}")
    seconds, growth = values["seconds"], values["heap_growth_bytes"]
    verdict, confidence = values["verdict"], values["confidence"]
    until = values.get("timestamp") or _time_of_name(file.time)
    numbers = all(type(one) in (int, float) for one in (seconds, growth, until))
    if not numbers or not all(type(one) is str for one in (verdict, confidence)):
        raise TypeError("a field has a value of another type")
    since = until - seconds
    return FleetProcess(
        pid=file.pid,
        token=file.token,
        folder=folder,
        identity=ProcessIdentity.from_facts(values.get("identity")),
        since=since,
        until=until,
        rss_bytes=_integer(values.get("memory"), "rss_bytes"),
        growth_bytes=int(growth),
        verdict=verdict,
        confidence=confidence,
        suspects=tuple(FleetSuspect.from_dict(one, since) for one in values["suspects"]),
        snapshot_count=int(values["snapshot_count"]),
        source=file.path,
        note=str(values.get("not_analysed") or ""),
    )


def _without_ignored(process: FleetProcess, values: Any, ignore: Sequence[str]) -> FleetProcess:
    """Return a process without ignored suspects; the verdict is that of a report without them."""
    kept = tuple(one for one in process.suspects if not is_ignored(one, ignore))
    if kept or not process.suspects:
        return replace(process, suspects=kept)
    if values.get("unexplained") or values.get("alert"):
        verdict = "unexplained growth"
    else:
        verdict = "no leak" if process.snapshot_count >= _MIN_SNAPSHOTS else UNKNOWN
    return replace(process, suspects=(), verdict=verdict, confidence="low")


def _time_of_name(text: str) -> float:
    """Return the time in the name of a file: ``20250131T120000123Z``."""
    whole = calendar.timegm(time.strptime(text[:15], "%Y%m%dT%H%M%S"))
    return whole + int(text[15:18]) / 1000


def _integer(memory: Any, name: str) -> int | None:
    value = memory.get(name) if isinstance(memory, dict) else None
    return value if type(value) is int else None
