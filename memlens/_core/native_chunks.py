"""The messages in which measured blocks travel to the core that captures.

Each chunk is complete in itself. In native byte order, without padding::

    u32 name_count, u32 row_count, u32 note_bytes
    row_count times five u64: position of the owner, address, bytes, number of the device's name,
        number of the library's name
    name_count times: u32 length in bytes, UTF-8
    note_bytes of JSON on one line

A row for the device `HELD_OBJECT` is no block. It states that the owner holds the Python object at the
address through native code; the bytes are the address of the object's type.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ("HELD_OBJECT", "NUMBERS_A_ROW", "Chunk", "Row", "decode_chunk", "encode_chunk")

HELD_OBJECT = "python object"  # as in native_rows.h
NUMBERS_A_ROW = 5
_HEADER = struct.Struct("=III")
_LENGTH = struct.Struct("=I")


class Row(NamedTuple):
    """One block and its owner: the position of the owner, the address, the bytes, device, library."""

    position: int
    address: int
    size: int
    device: str
    library: str


class Chunk(NamedTuple):
    """A chunk in readable form; ``note`` is empty if there is none."""

    rows: tuple[Row, ...]
    note: dict[str, Any]


def encode_chunk(
    numbers: Iterable[int], names: Sequence[str], note: Mapping[str, Any] | None = None
) -> bytes:
    """Return a chunk of rows: five numbers for each, of which the last two are indexes of ``names``."""
    rows = array("Q", numbers)
    row_count, rest = divmod(len(rows), NUMBERS_A_ROW)
    if rest:
        raise ValueError(f"expected five numbers for each row, got {len(rows)} numbers")
    note_text = json.dumps(note).encode("ascii") if note else b""
    pieces = [_HEADER.pack(len(names), row_count, len(note_text)), rows.tobytes()]
    for name in names:
        text = name.encode("utf-8", "replace")
        pieces += (_LENGTH.pack(len(text)), text)
    pieces.append(note_text)
    return b"".join(pieces)


def decode_chunk(chunk: bytes) -> Chunk:
    """Return what a chunk says.

    Raises ``ValueError`` if the chunk is incomplete, has a rest, or names something that it lacks.
    """
    try:
        name_count, row_count, note_bytes = _HEADER.unpack_from(chunk)
        offset = _HEADER.size
        end = offset + row_count * NUMBERS_A_ROW * 8
        numbers = array("Q", chunk[offset:end])
        names = []
        for _ in range(name_count):
            (length,) = _LENGTH.unpack_from(chunk, end)
            offset, end = end + _LENGTH.size, end + _LENGTH.size + length
            names.append(chunk[offset:end].decode("utf-8"))
        if end + note_bytes != len(chunk) or len(numbers) != row_count * NUMBERS_A_ROW:
            raise ValueError(f"a chunk of {len(chunk):,} bytes has a wrong length")
        note = json.loads(chunk[end:]) if note_bytes else {}
        quintuples = zip(*[iter(numbers)] * NUMBERS_A_ROW, strict=True)
        rows = tuple(
            Row(row[0], row[1], row[2], names[row[3]], names[row[4]]) for row in quintuples
        )
    except (struct.error, IndexError) as error:
        raise ValueError(f"a chunk of {len(chunk):,} bytes is damaged: {error}") from error
    return Chunk(rows, note)
