"""The encoding of protobuf messages, as far as profiles need it.

Wire format: https://protobuf.dev/programming-guides/encoding/. Each function returns a field with
its tag; a message is the concatenation of its fields.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ("as_bytes", "as_fixed64", "as_number", "as_packed", "as_text", "fields_of")

_SINGLE = tuple(bytes((number,)) for number in range(1 << 7))


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
    if 0 <= number < 1 << 14:  # nearly all of them
        if number < 1 << 7:
            return _SINGLE[number]
        return bytes((number & 0x7F | 0x80, number >> 7))
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def fields_of(message: bytes) -> dict[int, list[int | bytes]]:
    """Return the fields of a message that has numbers and texts; what cannot be read ends it."""
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(message, at)
            fields.setdefault(key >> 3, []).append(value)
        elif kind == 2:
            length, at = _read_varint(message, at)
            fields.setdefault(key >> 3, []).append(message[at : at + length])
            at += length
        else:
            break
    return fields


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends; the end of the message ends it, too."""
    number = shift = 0
    while at < len(message):
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, min(shift + 7, 63)
        if byte < 0x80:
            break
    return number, at
