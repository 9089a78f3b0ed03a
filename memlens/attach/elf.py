"""What an ELF file says: addresses of dynamic symbols, sections, and bytes at an address.

Only 64-bit little-endian files, which are those of Linux on x86-64 and ARM64.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Iterable
from io import BufferedReader

__all__ = ("X86_64", "ElfFile", "NotElfError")

X86_64 = 62  # the machine of the header
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNSYM, _LOAD = 11, 1  # the types of a section and of a segment
_UNDEFINED = 0


class NotElfError(ValueError):
    """A file is not a 64-bit little-endian ELF file, or it is damaged."""


class ElfFile:
    """An ELF file, read through a memory mapping. Addresses are those of the file, not of a process.

    Raises ``NotElfError`` for another file, ``OSError`` if it cannot be read.
    """

    def __init__(self, path: str) -> None:
        try:
            with _opened(path) as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            header = _HEADER.unpack_from(self._data)
            if header[0][:6] != b"\x7fELF\x02\x01":
                raise NotElfError(f"{path} is not a 64-bit little-endian ELF file")
            self.machine: int = header[2]
            self._sections = self._table(_SECTION, header[6], header[11], header[12])
            self._segments = self._table(_SEGMENT, header[5], header[9], header[10])
            names = self._sections[header[13]] if self._sections else None
        except (struct.error, IndexError, ValueError, OverflowError) as error:
            raise NotElfError(f"{path} is not an ELF file: {error}") from error
        self._names_offset = names[4] if names else 0

    def _table(
        self, row: struct.Struct, offset: int, size: int, count: int
    ) -> list[tuple[int, ...]]:
        return [row.unpack_from(self._data, offset + size * index) for index in range(count)]

    def _text(self, offset: int) -> bytes:
        if offset >= len(self._data):
            return b""
        return self._data[offset : max(offset, self._data.find(b"\0", offset))]

    def section_address(self, name: str) -> int | None:
        """Return the address of a section; None if there is none of that name."""
        wanted = name.encode()
        for section in self._sections:
            if self._text(self._names_offset + section[0]) == wanted:
                return section[3]
        return None

    def symbols(self, names: Iterable[str]) -> dict[str, int]:
        """Return the addresses of those of the dynamic symbols that the file defines.

        A damaged file defines none.
        """
        try:
            return self._symbols({name.encode(): name for name in names})
        except (struct.error, IndexError, OverflowError):
            return {}

    def _symbols(self, wanted: dict[bytes, str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for section in self._sections:
            if section[1] != _DYNSYM:
                continue
            strings = self._sections[section[6]][4]
            for index in range(section[5] // _SYMBOL.size):
                row = _SYMBOL.unpack_from(self._data, section[4] + index * _SYMBOL.size)
                if row[3] != _UNDEFINED and row[4]:
                    name = wanted.get(self._text(strings + row[0]))
                    if name is not None:
                        found[name] = row[4]
        return found

    def bytes_at(self, address: int, size: int) -> bytes:
        """Return initial bytes at an address. Raises ``NotElfError`` if the file has none there."""
        for segment in self._segments:
            begin = address - segment[3]
            if segment[0] == _LOAD and 0 <= begin <= segment[5] - size:
                found = self._data[segment[2] + begin : segment[2] + begin + size]
                if len(found) == size:
                    return found
        raise NotElfError(f"no bytes at {address:#x}")

    def first_address(self) -> int:
        """Return the address of the first loaded page, which belongs to the begin of the file."""
        pages = [segment[3] & ~0xFFF for segment in self._segments if segment[0] == _LOAD]
        return min(pages, default=0)


def _opened(path: str) -> BufferedReader:
    """Open a regular file. Of others nothing but their kind is looked at: a device may do something.

    Raises ``NotElfError`` for another one.
    """
    descriptor = os.open(path, os.O_PATH)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotElfError(f"{path} is not a regular file")
        return open(f"/proc/self/fd/{descriptor}", "rb")
    finally:
        os.close(descriptor)
