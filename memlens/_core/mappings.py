"""Memory mappings of this process: what lies at an address, and which part of a range is resident.

Linux lists the mappings in ``/proc/self/maps`` and tells in ``/proc/self/pagemap`` which pages are
resident; elsewhere nothing is known. ``native_mappings.c`` does the same.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TextIO

__all__ = (
    "Mappings",
    "device_of_path",
    "open_list",
    "ranges_of",
    "read_mappings",
    "resident_parts",
)

# Shared memory has a path like a file, but takes memory until it is released; some anonymous mappings
# have a path, too.
_SHARED = ("/dev/shm/", "/memfd:", "/SYSV")
_ANONYMOUS = ("/dev/zero", "/anon_huge")
_MAX_PAGES = 1 << 22
_PAGES_AT_ONCE = 1 << 14
_ENTRY_BYTES = 8
_PRESENT, _OF_FILE = 0x80, 0x20  # in the highest byte of an entry, see the kernel's pagemap.rst
_IS_PRESENT = bytes(flags & _PRESENT != 0 for flags in range(256))
_IS_OF_NO_FILE = bytes(flags & (_PRESENT | _OF_FILE) == _PRESENT for flags in range(256))


class Mappings:
    """The mappings of this process; ``lines`` are those of ``/proc/self/maps``."""

    __slots__ = ("_devices", "_ends", "_starts")

    def __init__(self, lines: Iterable[str]) -> None:
        rows = sorted(ranges_of(lines))
        self._starts = [start for start, _, _ in rows]
        self._ends = [end for _, end, _ in rows]
        self._devices = [device for _, _, device in rows]

    def device_at(self, address: int) -> str | None:
        """Return ``mapped`` (a file), ``shared`` or ``cpu`` (no file); None where nothing is mapped."""
        row = bisect_right(self._starts, address) - 1
        return self._devices[row] if row >= 0 and address < self._ends[row] else None


def ranges_of(lines: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and device of the mappings in lines of ``/proc/self/maps``."""
    for line in lines:
        fields = line.split(maxsplit=5)
        start, _, end = fields[0].partition("-")
        yield int(start, 16), int(end, 16), device_of_path(fields[5] if len(fields) == 6 else "")


def device_of_path(path: str) -> str:
    """Return what a mapping with this path is: ``mapped`` (a file), ``shared`` or ``cpu`` (no file)."""
    if path.startswith(_SHARED):
        return "shared"
    return "mapped" if path.startswith("/") and not path.startswith(_ANONYMOUS) else "cpu"


def read_mappings() -> Mappings:
    """Return the mappings of this process; none where the system does not list them."""
    try:
        with open_list() as lines:
            return Mappings(lines)
    except OSError:
        return Mappings(())


def open_list() -> TextIO:
    """Open ``/proc/self/maps``. Of all that ends lines elsewhere, paths escape a line feed only.

    Raises ``OSError`` where the system does not list mappings.
    """
    return open("/proc/self/maps", encoding="utf-8", errors="replace", newline="\n")


def resident_parts(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int] | None]:
    """Return of each range (start, end) the resident bytes, and those of them of no file.

    The latter are pages that the system cannot drop: a private mapping of a file has such where it was
    written. None where it is not known: ranges of more than 16 GiB together are not asked about.
    """
    try:
        file = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return [None for _ in ranges]
    left = _MAX_PAGES
    found: list[tuple[int, int] | None] = []
    try:
        for start, end in ranges:
            pages = (end - start) // mmap.PAGESIZE + 2
            if pages > left:
                found.append(None)
                continue
            left -= pages
            found.append(_resident_parts(file, start, end))
    finally:
        os.close(file)
    return found


def _resident_parts(file: int, start: int, end: int) -> tuple[int, int] | None:
    page_bytes = mmap.PAGESIZE
    first, last = start // page_bytes, (end - 1) // page_bytes
    flags = bytearray()
    for page in range(first, last + 1, _PAGES_AT_ONCE):
        wanted = min(_PAGES_AT_ONCE, last + 1 - page) * _ENTRY_BYTES
        try:
            entries = os.pread(file, wanted, page * _ENTRY_BYTES)
        except OSError:
            return None
        if len(entries) != wanted:
            return None
        flags += entries[_ENTRY_BYTES - 1 :: _ENTRY_BYTES]
    present = flags.translate(_IS_PRESENT)
    of_no_file = flags.translate(_IS_OF_NO_FILE)
    outside = start - first * page_bytes, (last + 1) * page_bytes - end
    return _bytes_of(present, *outside), _bytes_of(of_no_file, *outside)


def _bytes_of(pages: bytearray, before_bytes: int, after_bytes: int) -> int:
    """Return the bytes of pages that are marked, without what is outside of a range at its ends."""
    total = pages.count(1) * mmap.PAGESIZE
    total -= before_bytes if pages[0] else 0
    total -= after_bytes if pages[-1] else 0
    return total
