"""The ``.memlens`` container: named sections of fixed-width integers in one checksummed file.

Layout, little-endian throughout:

- a header of 64 bytes: magic ``MEMLENS\\0``, version u32, section count u32, file size u64, CRC-32
  u32 of the section table, CRC-32 u32 of the header's bytes before this field, zeros;
- the section table, 64 bytes a section: name (32 bytes, padded with zeros), typecode (8 bytes,
  padded with zeros: a typecode of ``array``), offset u64, size in bytes u64, CRC-32 u32, zeros;
- the sections, each at a multiple of 64 bytes; ``facts`` is UTF-8 JSON, the rest is what
  `memlens._core.layout` defines.

The checksum of a section is verified on first use. Nothing is ever unpickled. Files up to
`COPY_LIMIT_BYTES` are read into memory. Larger ones are mapped and read without a copy; their size is
checked again before a section is used, because reading beyond the end of a file that was truncated
kills the process. A file is written under a temporary name in the same folder, readable by its owner
only, and renamed once it is complete.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from memlens._atomic import checked_path, open_whole
from memlens._own_memory import hold_copy, hold_mapping
from memlens.errors import OptionError, SnapshotFileError

__all__ = ("FORMAT_VERSION", "MAGIC", "SectionFile", "facts_text", "write_sections")

MAGIC = b"MEMLENS\0"
FORMAT_VERSION = 1
ALIGNMENT = 64
MAX_SECTIONS = 4096
COPY_LIMIT_BYTES = 1 << 26
MAX_FACTS_BYTES = 1 << 24  # the limit of the forked child

_HEADER = struct.Struct("<8sIIQI")  # magic, version, section count, file size, table checksum
_CHECKSUM = struct.Struct("<I")
_ENTRY = struct.Struct("<32s8sQQI")  # name, typecode, offset, size in bytes, checksum
_ITEM_SIZES = {"B": 1, "H": 2, "I": 4, "Q": 8, "d": 8}


class SectionFile(Mapping[str, memoryview]):
    """The sections of one file by name, each a read-only ``memoryview`` of its typecode.

    Raises ``SnapshotFileError`` for a file that is no memlens snapshot, is truncated or damaged, or
    was written by a newer version. Damage inside a section is found on its first use or by `verify`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = checked_path(path)
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would block
        except OSError as error:
            raise _unreadable(self.path, error) from error
        try:
            self._read(descriptor, copy_limit_bytes=COPY_LIMIT_BYTES)
        finally:
            os.close(descriptor)

    @classmethod
    def from_descriptor(cls, descriptor: int) -> SectionFile:
        """Open the file of a descriptor, which has no name and may be closed afterwards."""
        file = cls.__new__(cls)
        file.path = "<snapshot without a file>"
        file._read(descriptor, copy_limit_bytes=0)
        return file

    def _read(self, descriptor: int, *, copy_limit_bytes: int) -> None:
        self._map: mmap.mmap | None = None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SnapshotFileError(f"{self.path}: not a regular file")
            if status.st_size == 0:
                raise SnapshotFileError(f"{self.path}: the file is empty, not a memlens snapshot")
            if status.st_size <= copy_limit_bytes:
                with open(descriptor, "rb", closefd=False) as file:
                    content = file.read()
                self._view = memoryview(content)
                hold_copy(self, len(content))
            else:
                self._map = mmap.mmap(descriptor, status.st_size, access=mmap.ACCESS_READ)
                self._view = memoryview(self._map)
                hold_mapping(self._map)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        self._table = _read_table(self.path, self._view)
        self._checked: dict[str, memoryview] = {}

    def __getitem__(self, name: str) -> memoryview:
        if name not in self._checked:
            self._check_size()
            typecode, start, size_bytes, checksum = self._table[name]
            raw = self._view[start : start + size_bytes]
            if zlib.crc32(raw) != checksum:
                raise SnapshotFileError(
                    f"{self.path}: section {name!r} is damaged (its checksum does not match);"
                    " take the snapshot again or copy the file again"
                )
            cast: Any = raw.cast  # its typeshed overloads want a literal
            self._checked[name] = cast(typecode)
        return self._checked[name]

    def _check_size(self) -> None:
        """Raise if a mapped file has been truncated: reading it would kill the process (SIGBUS)."""
        if self._map is not None and self._map.size() < len(self._view):
            raise SnapshotFileError(
                f"{self.path}: the file was truncated while it was open; copy the file again"
            )

    def __contains__(self, name: object) -> bool:
        return name in self._table  # the inherited method would read the section

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def typecode(self, name: str) -> str:
        """Return the typecode of a section without reading its contents."""
        return self._table[name][0]

    def item_count(self, name: str) -> int:
        """Return the number of items in a section without reading its contents."""
        typecode, _, size_bytes, _ = self._table[name]
        return size_bytes // _ITEM_SIZES[typecode]

    @property
    def size_bytes(self) -> int:
        """The size of the file in bytes."""
        return len(self._view)

    def facts(self) -> dict[str, Any]:
        """Return the JSON object ``facts``: what was recorded about the process and the capture."""
        try:
            facts = json.loads(bytes(self["facts"]))
        except (KeyError, ValueError, RecursionError) as error:
            raise SnapshotFileError(f"{self.path}: its facts cannot be read: {error}") from error
        if type(facts) is not dict:
            raise SnapshotFileError(f"{self.path}: its facts are not a JSON object")
        return facts

    def verify(self) -> None:
        """Verify the checksum of every section. Raises ``SnapshotFileError`` for a damaged one."""
        for name in self:
            self[name]


def write_sections(
    path: str | os.PathLike[str], sections: Mapping[str, tuple[str, Any]], facts: Mapping[str, Any]
) -> int:
    """Write ``{name: (typecode, buffer)}`` and the facts to ``path``; return the bytes written.

    The file appears whole or not at all. Raises ``OutputError`` where it cannot be written.
    """
    body = {name: (typecode, _raw(buffer)) for name, (typecode, buffer) in sections.items()}
    body["facts"] = ("B", memoryview(facts_text(facts).encode()))
    table, file_size = _layout(body)
    with open_whole(path) as file:
        file.write(_header(len(body), file_size, table))
        file.write(table)
        for _, raw in body.values():
            file.write(bytes(-file.tell() % ALIGNMENT))
            file.write(raw)
        if file.tell() != file_size:  # a short write without an error, as some systems do
            raise OSError(f"only {file.tell()} of {file_size} bytes could be written")
    return file_size


def facts_text(facts: Mapping[str, Any]) -> str:
    """Return facts as JSON. Raises ``OptionError`` for facts that JSON cannot represent."""
    try:
        text = json.dumps(facts, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"facts must be JSON-ready values: {error}") from error
    if len(text) > MAX_FACTS_BYTES:
        raise OptionError(f"facts take {len(text)} bytes as JSON: the maximum is {MAX_FACTS_BYTES}")
    return text


def _unreadable(path: str, error: OSError) -> SnapshotFileError:
    return SnapshotFileError(f"cannot read {path!r}: {error.strerror or error}")


def _read_table(path: str, view: memoryview) -> dict[str, tuple[str, int, int, int]]:
    if bytes(view[: len(MAGIC)]) != MAGIC[: len(view)]:
        raise SnapshotFileError(f"{path}: not a memlens snapshot (it does not begin with MEMLENS)")
    if len(view) < ALIGNMENT:
        raise SnapshotFileError(f"{path}: truncated within its header ({len(view)} bytes)")
    _, version, count, file_size, table_checksum = _HEADER.unpack_from(view)
    if version > FORMAT_VERSION:
        raise SnapshotFileError(
            f"{path}: written in format {version}, this memlens reads up to {FORMAT_VERSION};"
            " install a newer memlens"
        )
    (header_checksum,) = _CHECKSUM.unpack_from(view, _HEADER.size)
    if zlib.crc32(view[: _HEADER.size]) != header_checksum or not 0 < count <= MAX_SECTIONS:
        raise SnapshotFileError(f"{path}: its header is damaged")
    if file_size != len(view):
        raise SnapshotFileError(
            f"{path}: truncated: {len(view)} of {file_size} bytes are there; copy the file again"
        )
    if ALIGNMENT * (1 + count) > len(view):
        raise SnapshotFileError(f"{path}: truncated within its section table")
    raw = view[ALIGNMENT : ALIGNMENT * (1 + count)]
    if zlib.crc32(raw) != table_checksum:
        raise SnapshotFileError(f"{path}: its section table is damaged")
    table = dict(_read_entry(path, raw, index, file_size) for index in range(count))
    if len(table) != count:
        raise SnapshotFileError(f"{path}: its section table has the same name twice")
    return table


def _read_entry(
    path: str, raw: memoryview, index: int, file_size: int
) -> tuple[str, tuple[str, int, int, int]]:
    name, typecode, offset, size, checksum = _ENTRY.unpack_from(raw, index * ALIGNMENT)
    code = typecode.rstrip(b"\0").decode("ascii", "replace")
    item_size = _ITEM_SIZES.get(code)
    if item_size is None or size % item_size or offset + size > file_size or offset % ALIGNMENT:
        raise SnapshotFileError(f"{path}: entry {index} of its section table is invalid")
    return name.rstrip(b"\0").decode("ascii", "replace"), (code, offset, size, checksum)


def _layout(body: Mapping[str, tuple[str, memoryview]]) -> tuple[bytes, int]:
    position = ALIGNMENT * (1 + len(body))
    table = bytearray()
    for name, (typecode, raw) in body.items():
        position += -position % ALIGNMENT
        entry = _ENTRY.pack(name.encode(), typecode.encode(), position, len(raw), zlib.crc32(raw))
        table += entry.ljust(ALIGNMENT, b"\0")
        position += len(raw)
    return bytes(table), position


def _header(count: int, file_size: int, table: bytes) -> bytes:
    head = _HEADER.pack(MAGIC, FORMAT_VERSION, count, file_size, zlib.crc32(table))
    return (head + _CHECKSUM.pack(zlib.crc32(head))).ljust(ALIGNMENT, b"\0")


def _raw(buffer: Any) -> memoryview:
    view = memoryview(buffer)
    if sys.byteorder == "big" and view.itemsize > 1:
        swapped = array(view.format, view.tobytes())
        swapped.byteswap()
        view = memoryview(swapped)
    return view.cast("B")
