"""The source that reads the memory of a running process, with its snapshots where they are known."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil

from memlens.errors import OptionError, ReadingError
from memlens.process.limits import memory_limit
from memlens.profiler.registry import folder_of
from memlens.watch.snapshot_files import SnapshotFiles
from memlens.watch.source import Reading, SourceState

__all__ = ("ProcessReader", "ProcessSource")

_MAX_USS_SHARE = 0.02  # of the time: USS walks the page tables, milliseconds for each GiB
NO_PROFILER = (
    "only readings are known: no MemoryProfiler with an output folder runs in this process. For"
    " holders, start one in it, or start the program by: memlens watch -- SCRIPT"
)


class ProcessReader:
    """Reads the memory of a process, which may end at any time.

    Raises ``OptionError`` if there is no such process, ``ReadingError`` if it may not be read.
    """

    def __init__(self, pid: int, clock: Callable[[], float] = time.time) -> None:
        self.pid = pid
        self._clock = clock
        self._next_uss = 0.0
        try:
            self._process = psutil.Process(pid)
            self._process.memory_info()
        except psutil.NoSuchProcess as error:
            raise OptionError(f"there is no process {pid}") from error
        except psutil.Error as error:
            raise ReadingError(f"the memory of process {pid} may not be read: {error}") from error

    @property
    def name(self) -> str:
        """The command of the process, without the folder of its program."""
        try:
            words = self._process.cmdline()
        except psutil.Error:
            words = []
        return " ".join([os.path.basename(words[0]), *words[1:]]) if words else "unknown command"

    def read(self, own_bytes: int = 0) -> Reading | None:
        """Return a reading without ``own_bytes`` of memlens; None if the process has ended."""
        try:
            if self._process.status() == psutil.STATUS_ZOMBIE:
                return None
            rss_bytes = self._process.memory_info().rss
            uss_bytes = self._read_uss()
        except psutil.Error:
            return None
        limit_bytes = memory_limit(pid=self.pid).limit_bytes
        return Reading(self._clock(), max(rss_bytes - own_bytes, 0), uss_bytes, limit_bytes)

    def _read_uss(self) -> int | None:
        """Return the USS; None if it is not due, because the last one took long, or not allowed."""
        started = time.monotonic()
        if started < self._next_uss:
            return None
        try:
            return int(self._process.memory_full_info().uss)
        except (psutil.AccessDenied, AttributeError):  # of another user; no Linux
            return None
        finally:
            now = time.monotonic()
            self._next_uss = now + (now - started) / _MAX_USS_SHARE


class ProcessSource:
    """A running process: readings, and the snapshots of a profiler in it, if there is one.

    ``find_folder`` returns the output folder of the profiler in a process, or None.
    """

    def __init__(
        self,
        pid: int,
        *,
        clock: Callable[[], float] = time.time,
        find_folder: Callable[[int], str | None] = folder_of,
    ) -> None:
        self._reader = ProcessReader(pid, clock)
        self._name = self._reader.name
        self._find_folder = find_folder
        self._folder: str | None = None
        self._files: SnapshotFiles | None = None

    @property
    def title(self) -> str:
        """The process and its command."""
        return f"process {self._reader.pid}: {self._name}"

    def poll(self) -> SourceState:
        """Return a reading and the snapshots of the profiler in the process."""
        reading = self._reader.read(0 if self._files is None else self._files.own_bytes)
        folder = self._find_folder(self._reader.pid)
        if folder is not None and folder != self._folder:
            self._folder, self._files = folder, SnapshotFiles([folder], self._reader.pid)
        files = [] if self._files is None else self._files.refresh()
        return SourceState(
            () if reading is None else (reading,),
            tuple(file.path for file in files),
            reading is None,
            self._note(),
            None if self._files is None else self._files.ended_at,
        )

    def _note(self) -> str:
        return NO_PROFILER if self._files is None else self._files.note()

    def take_snapshot(self) -> None:
        """Raise ``OptionError``: a process that is already running cannot be asked."""
        raise OptionError(
            "a process that memlens did not start cannot be asked for a snapshot; call"
            " take_snapshot() of its MemoryProfiler, or start it by: memlens watch -- SCRIPT"
        )

    def output_tail(self) -> str | None:
        """Return None: the process writes elsewhere."""
        return None

    def close(self) -> None:
        """Do nothing: the process is not ours to end."""
