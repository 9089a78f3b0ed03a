"""The processes that share an output folder: which one wrote a file, and whether it still runs.

The name of a file ends in the process id of its writer and a token of the time at which that
process started: ``heap-periodic-20250131T120000000Z-4711-1a2b3c.memlens``. A process id alone would
not do, because the system reuses it. The token counts ticks since the boot, so that setting the
clock does not change it.

A process of another container (another process id namespace) cannot be seen and counts as ended.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass

from memlens.errors import OutputError
from memlens.process.start import UNKNOWN_TOKEN, process_token

__all__ = ("OwnedFile", "is_running", "list_files", "owner_suffix", "process_token")

_NAME = re.compile(
    r"(?P<kind>heap|leak)-.*?(?P<time>\d{8}T\d{9}Z)-(?P<pid>\d+)-(?P<token>[0-9a-f]+)"
    r"(?:-(?P<number>\d+))?\.(?:memlens|json|txt)"
)


@dataclass(frozen=True, slots=True)
class OwnedFile:
    """A file of the output folder: its kind (``heap`` or ``leak``), writer, time and size."""

    path: str
    kind: str
    pid: int
    token: str
    time: str
    size_bytes: int

    @property
    def owner(self) -> tuple[int, str]:
        """The process that wrote the file: its id and the token of its start."""
        return self.pid, self.token


def owner_suffix() -> str:
    """Return the end of the names of files that this process writes: ``4711-1a2b3c``."""
    pid = os.getpid()
    return f"{pid}-{process_token(pid) or UNKNOWN_TOKEN}"


def list_files(folder: str) -> list[OwnedFile]:
    """Return the files in ``folder`` that profilers wrote, oldest first; other files are ignored.

    Raises ``OutputError`` if the folder cannot be read.
    """
    found = []
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise OutputError(
            f"cannot read the folder {folder!r}: {error.strerror or error}"
        ) from error
    for entry in entries:
        match = _NAME.fullmatch(entry.name)
        if match is None:
            continue
        with suppress(OSError):  # another process has just deleted it
            size_bytes = entry.stat(follow_symlinks=False).st_size
            kind, time, pid, token = match.group("kind", "time", "pid", "token")
            found.append(OwnedFile(entry.path, kind, int(pid), token, time, size_bytes))
    return sorted(found, key=lambda file: (file.time, file.path))


def is_running(owner: tuple[int, str]) -> bool:
    """Return whether the process with this id and start token still runs."""
    pid, token = owner
    current = process_token(pid)
    return (current is not None and UNKNOWN_TOKEN in (current, token)) or current == token
