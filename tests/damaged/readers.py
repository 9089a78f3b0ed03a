"""The readers by name, and one run of one: damage, reading, and how much memory that may take.

A reader has `write(path, choices)`, which writes a damaged file or folder, and `read(path, choices)`,
which reads it and all views over it. Only errors of memlens may leave `read`.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import suppress
from typing import Protocol

from memlens.errors import MemlensError, ReadingError
from memlens.process.resident_peak import ResidentPeak
from tests.damaged import documents, heaps, profiles, programs, requests
from tests.damaged.choices import Choices

__all__ = ("READERS", "Reader", "run_once")

BASE_BYTES = 48 << 20  # of a process that has read such a file before
ENGINE_BYTES = 300 << 20  # DuckDB has buffers for each thread and file
FACTOR = 64  # bytes of memory for each byte of a file


class Reader(Protocol):
    """What damages and reads one kind of file."""

    def write(self, path: str, choices: Choices) -> None:
        """Write a damaged file or folder."""

    def read(self, path: str, choices: Choices) -> None:
        """Read it, and look at all that was read."""


READERS: dict[str, type[Reader]] = {
    "snapshot": heaps.Snapshots,
    "heapsnapshot": heaps.HeapSnapshots,
    "profile": profiles.Profiles,
    "traces": profiles.Traces,
    "report": documents.Reports,
    "baseline": documents.Baselines,
    "note": documents.Notes,
    "control": requests.ControlRequests,
    "answer": requests.AttachAnswers,
    "agent": requests.AgentCalls,
    "web": requests.WebRequests,
    "environment": requests.Environments,
    "elf": programs.ElfFiles,
    "source": programs.SourceFiles,
}
if importlib.util.find_spec("pyarrow"):
    from tests.damaged import table_files

    READERS["table"] = table_files.TableFiles
if importlib.util.find_spec("pyarrow") and importlib.util.find_spec("duckdb"):
    from tests.damaged import table_folders

    READERS["tables"] = table_folders.TableFolders
    READERS["heaps"] = table_folders.HeapTables
_ENGINES = ("tables", "heaps")


def run_once(name: str, reader: Reader, data: bytes, path: str) -> None:
    """Damage, read and look. Raises what no reader may raise, also where it took too much memory."""
    choices = Choices(data)
    reader.write(path, choices)
    size = _size_of(path)
    peak = None
    with suppress(ReadingError):  # the system does not tell it
        peak = ResidentPeak()
    with suppress(MemlensError):
        reader.read(path, choices)
    if peak is not None:
        allowed = FACTOR * size + (ENGINE_BYTES if name in _ENGINES else BASE_BYTES)
        rise = peak.rise_bytes()
        assert rise <= allowed, f"{rise >> 20} MiB for {size} bytes"


def _size_of(path: str) -> int:
    if not os.path.isdir(path):
        return os.path.getsize(path) if os.path.exists(path) else 0
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    )
