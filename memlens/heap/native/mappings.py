"""Which addresses lie in files that are mapped into memory, so that such blocks are told apart."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from memlens._core.mappings import open_list, ranges_of

__all__ = ("FileMappings", "read_file_mappings")


class FileMappings:
    """The ranges of addresses of this process that are backed by files.

    ``bounds`` are where ranges begin and end, by turns and ascending: an address lies in one if an odd
    number of them is not above it.
    """

    __slots__ = ("bounds",)

    def __init__(self, lines: Iterable[str]) -> None:
        ranges = sorted(
            (start, end) for start, end, device in ranges_of(lines) if device == "mapped"
        )
        self.bounds = [bound for pair in ranges for bound in pair]  # they never overlap

    def __contains__(self, address: int) -> bool:
        return bisect_right(self.bounds, address) % 2 == 1


def read_file_mappings() -> FileMappings:
    """Return the file mappings of this process; none where the system does not list them."""
    try:
        with open_list() as lines:
            return FileMappings(lines)
    except OSError:
        return FileMappings(())
