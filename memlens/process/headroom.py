"""Headroom: the memory that is left under each limit of this process, measured often and cheaply.

The files of the limits stay open, because each call of the system lets other threads of Python run:
to open, read and close a file takes three turns. A measurement takes about 10 microseconds
(`benchmarks/capture_need.py`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from memlens._text import format_bytes
from memlens._uninterrupted import close_all
from memlens.process.limits import GIVEN, MemoryLimit, memory_limits, pressure_file

__all__ = ("Headroom", "HeadroomMeter")

_LIMITS_SECONDS = 2.0  # limits may change while the process runs
_MOST_BYTES = 1 << 16  # of a file of the kernel
_USAGE_FILES = {
    "cgroup-v2": ("memory.current", b"inactive_file "),
    "cgroup-v1": ("memory.usage_in_bytes", b"total_inactive_file "),
}


@dataclass(frozen=True, slots=True)
class Headroom:
    """What is left under one limit: of a control group, the address space, or the machine.

    ``source`` is one of `LIMIT_SOURCES`, or `GIVEN` for a limit on the resident memory that the
    caller states.
    """

    source: str
    limit_bytes: int
    used_bytes: int

    @property
    def free_bytes(self) -> int:
        """The bytes that are left; not below 0."""
        return max(0, self.limit_bytes - self.used_bytes)

    def __str__(self) -> str:
        limit = format_bytes(self.limit_bytes)
        return f"{format_bytes(self.free_bytes)} of {limit} are left ({self.source})"


class HeadroomMeter:
    """Measures the headroom under all limits of this process.

    ``given_bytes``: a further limit, on resident memory. ``machine_share``: the memory of the machine
    counts as a limit while this process uses at least this share of what is in use: a small process
    is not to blame for a full machine. ``root`` is the folder that contains ``proc`` and ``sys``.

    Not safe for concurrent use. Call `close` in a forked child: the files are those of its parent.
    """

    def __init__(
        self,
        *,
        given_bytes: int | None = None,
        machine_share: float = 0.25,
        root: str | os.PathLike[str] = "/",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given_bytes = given_bytes
        self._machine_share = machine_share
        self._root = os.fspath(root)
        self._clock = clock
        self._files: dict[str, list[int]] = {}  # path -> the descriptor
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_files"):  # else a signal handler has raised before it was set
            self.close()

    def close(self) -> None:
        """Close all files, and look for the limits again at the next measurement."""
        for descriptor in self._files.values():
            close_all(descriptor)
        self._files.clear()
        self._limits: tuple[MemoryLimit, ...] = ()
        self._next_limits = float("-inf")

    def measure(self) -> tuple[Headroom, ...]:
        """Return the headroom under each limit that can be measured now."""
        now = self._clock()
        if now >= self._next_limits:
            self.close()
            self._limits = memory_limits(self._root)
            self._next_limits = now + _LIMITS_SECONDS
        address_bytes, resident_bytes = self._own_bytes()
        found = []
        if self._given_bytes is not None and resident_bytes is not None:
            found.append(Headroom(GIVEN, self._given_bytes, resident_bytes))
        for limit in self._limits:
            used = self._used(limit, address_bytes, resident_bytes)
            if used is not None and limit.limit_bytes is not None:
                found.append(Headroom(limit.source, limit.limit_bytes, used))
        return tuple(found)

    def stalled_share(self) -> float | None:
        """Return the share of the last 10 seconds in which every task of the group waited for memory.

        From ``memory.pressure`` of the control group; None where the kernel tells none.
        """
        path = pressure_file(self._root)
        if path is None:
            return None
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                return _full_average(file.read())
        except OSError:  # pressure is off (psi=0), or the group has gone
            return None

    def _used(
        self, limit: MemoryLimit, address_bytes: int | None, resident_bytes: int | None
    ) -> int | None:
        if limit.source in _USAGE_FILES:
            return self._used_by_group(limit)
        if limit.source == "rlimit-as":
            return address_bytes
        if limit.source == "physical":
            return self._used_by_machine(limit, resident_bytes)
        return None

    def _used_by_group(self, limit: MemoryLimit) -> int | None:
        """Return the memory of a group without the file cache that the kernel can drop."""
        usage_name, cache_name = _USAGE_FILES[limit.source]
        folder = os.path.dirname(limit.path or "")
        usage = _number(self._read(os.path.join(folder, usage_name)))
        if usage is None:
            return None
        statistics = self._read(os.path.join(folder, "memory.stat"))
        return max(0, usage - _value_after(b"\n" + statistics, b"\n" + cache_name))

    def _used_by_machine(self, limit: MemoryLimit, resident_bytes: int | None) -> int | None:
        text = self._read(os.path.join(self._root, "proc/meminfo"))
        if limit.limit_bytes is None or b"\nMemAvailable:" not in text or resident_bytes is None:
            return None
        used = limit.limit_bytes - 1024 * _value_after(text, b"\nMemAvailable:")
        return used if resident_bytes >= self._machine_share * used else None

    def _own_bytes(self) -> tuple[int | None, int | None]:
        """Return the address space and the resident memory of this process; None if unknown.

        The address space is known on Linux only: elsewhere most of it is reserved and never used.
        """
        if sys.platform != "linux":
            return None, _resident_bytes()
        fields = self._read(os.path.join(self._root, "proc/self/statm")).split()
        if len(fields) < 2:
            return None, None
        page = os.sysconf("SC_PAGE_SIZE")
        return int(fields[0]) * page, int(fields[1]) * page

    def _read(self, path: str) -> bytes:
        """Return the content of a file of the kernel now; empty if it cannot be read."""
        with suppress(OSError):
            descriptor = self._files.get(path)
            if not descriptor:
                descriptor = self._files[path] = [os.open(path, os.O_RDONLY | os.O_CLOEXEC)]
            return os.pread(descriptor[0], _MOST_BYTES, 0)
        return b""


def _resident_bytes() -> int | None:
    import psutil

    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return None


def _number(text: bytes) -> int | None:
    stripped = text.strip()
    return int(stripped) if stripped.isdigit() else None


def _value_after(text: bytes, name: bytes) -> int:
    """Return the number that follows a name in a file of lines; 0 if there is none."""
    fields = text.partition(name)[2].split(None, 1)
    return int(fields[0]) if fields and fields[0].isdigit() else 0


def _full_average(text: str) -> float | None:
    """Return ``avg10`` of the line ``full avg10=1.23 avg60=...`` as a share of 1."""
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] == ["full"]:
            values = dict(field.partition("=")[::2] for field in fields[1:])
            with suppress(KeyError, ValueError):
                return float(values["avg10"]) / 100.0
    return None
