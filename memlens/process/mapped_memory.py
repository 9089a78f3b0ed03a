"""Resident memory by mapping: files, and the stacks of threads.

``/proc/self/smaps`` lists resident memory by mapping. ``/proc/self/task/*/syscall`` holds the stack
pointers of waiting threads, which distinguish their stacks from other anonymous memory.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from memlens._core.mappings import device_of_path
from memlens.process.memory_part import MemoryPart

__all__ = (
    "SMAPS",
    "Mapping",
    "mappings_of_process",
    "parse_smaps",
    "rss_of_psutil",
    "stacks_among",
)

SMAPS = "/proc/self/smaps"
_HEADER = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$")


class Mapping(NamedTuple):
    """A mapping of this process, with its resident bytes."""

    start: int
    end: int
    name: str
    rss_bytes: int
    anonymous_bytes: int = 0  # the part of that which is no page of a file

    @property
    def is_of_file(self) -> bool:
        """Whether the system can drop it: not if most of a private mapping was written."""
        is_written = 2 * self.anonymous_bytes > self.end - self.start
        return device_of_path(self.name) == "mapped" and not is_written


def mappings_of_process() -> tuple[list[Mapping] | None, str]:
    """Return the mappings of this process, or None and why they are unknown."""
    try:
        with open(SMAPS, encoding="utf-8", errors="replace", newline="\n") as file:
            return parse_smaps(file.read()), ""
    except OSError:
        return None, "this platform does not list mappings"


def parse_smaps(text: str) -> list[Mapping]:
    """Return the mappings of a ``smaps`` file, each with its resident bytes."""
    found: list[Mapping] = []
    for line in text.split("\n"):
        header = _HEADER.match(line)
        if header:
            start, end, name = header.groups()
            found.append(Mapping(int(start, 16), int(end, 16), name, 0))
        elif line.startswith("Rss:") and found:
            found[-1] = found[-1]._replace(rss_bytes=int(line.split()[1]) * 1024)
        elif line.startswith("Anonymous:") and found:
            found[-1] = found[-1]._replace(anonymous_bytes=int(line.split()[1]) * 1024)
    return found


def stacks_among(mappings: list[Mapping]) -> tuple[MemoryPart, list[Mapping]]:
    """Return the resident memory of stacks, and their mappings.

    Linux names only the main thread's stack; the other stacks are the mappings that the stack
    pointers of waiting threads point into. A running thread shows no stack pointer: its stack
    stays in the rest, and the source says how many such threads there were.
    """
    pointers, hidden = _stack_pointers()
    chosen = [
        m
        for m in mappings
        if m.name == "[stack]"
        or (not m.name and any(m.start <= pointer < m.end for pointer in pointers))
    ]
    source = SMAPS + (f"; {hidden} running threads not found" if hidden else "")
    return MemoryPart("stacks", sum(m.rss_bytes for m in chosen), source), chosen


def _stack_pointers() -> tuple[list[int], int]:
    """Return the stack pointers of waiting threads, and the number of threads that show none."""
    pointers, hidden = [], 0
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return [], 0
    for thread in threads:
        if int(thread) == os.getpid():
            continue  # the main thread: its stack has a name
        try:
            with open(f"/proc/self/task/{thread}/syscall", encoding="ascii") as file:
                fields = file.read().split()
            pointers.append(int(fields[-2], 16))
        except (OSError, IndexError, ValueError):  # running, ended, or not permitted
            hidden += 1
    return pointers, hidden


def rss_of_psutil() -> MemoryPart:
    """Return the resident memory where the kernel lists no mappings."""
    import psutil

    try:
        size = int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return MemoryPart("resident (RSS)", None, "neither the kernel nor psutil reports it")
    return MemoryPart("resident (RSS)", size, "psutil")
