"""Which addresses lie in files that are mapped into memory, so that such blocks are told apart."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

__all__ = ("FileMappings", "read_file_mappings")

# Shared memory has a path like a file, but takes memory until it is released.
_NO_FILES = ("/dev/shm/", "/dev/zero", "/memfd:", "/SYSV")


class FileMappings:
    """The ranges of addresses of this process that are backed by files.

    ``bounds`` are where ranges begin and end, by turns and ascending: an address lies in one if an odd
    number of them is not above it.
    """

    __slots__ = ("bounds",)

    def __init__(self, lines: Iterable[str]) -> None:
        ranges = []
        for line in lines:
            fields = line.split(maxsplit=5)
            if (
                len(fields) == 6
                and fields[5].startswith("/")
                and not fields[5].startswith(_NO_FILES)
            ):
                start, _, end = fields[0].partition("-")
                ranges.append((int(start, 16), int(end, 16)))
        self.bounds = [bound for pair in sorted(ranges) for bound in pair]  # they never overlap

    def __contains__(self, address: int) -> bool:
        return bisect_right(self.bounds, address) % 2 == 1


def read_file_mappings() -> FileMappings:
    """Return the file mappings of this process; none where the system does not list them."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as lines:
            return FileMappings(lines)
    except OSError:
        return FileMappings(())
