"""The encoding of protobuf messages, as far as profiles need it.

Wire format: https://protobuf.dev/programming-guides/encoding/. Each function returns a field with
its tag; a message is the concatenation of its fields.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ("as_bytes", "as_fixed64", "as_number", "as_packed", "as_text")


def as_number(field: int, number: int) -> bytes:
    """Encode an integer field; protobuf omits zeros."""
    return _varint(field << 3) + _varint(number) if number else b""


def as_fixed64(field: int, number: int) -> bytes:
    """Encode an unsigned integer of eight bytes; protobuf omits zeros."""
    return _varint(field << 3 | 1) + number.to_bytes(8, "little") if number else b""


def as_bytes(field: int, data: bytes) -> bytes:
    """Encode bytes, or a message within a message; empty ones are kept."""
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def as_text(field: int, text: str) -> bytes:
    """Encode a string; what is not valid Unicode is written with backslashes."""
    return as_bytes(field, text.encode("utf-8", "backslashreplace"))


def as_packed(field: int, numbers: Iterable[int]) -> bytes:
    """Encode a repeated integer field."""
    return as_bytes(field, b"".join(map(_varint, numbers)))


def _varint(number: int) -> bytes:
    """Encode an integer in seven-bit groups; negative ones as 64-bit two's complement."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
