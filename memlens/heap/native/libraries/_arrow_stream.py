"""Read the addresses and sizes of buffers from Arrow C streams and arrays, without pyarrow.

The structures of the Arrow C interface are read as 64-bit words. See
https://arrow.apache.org/docs/format/CDataInterface.html
"""

from __future__ import annotations

import ctypes
import struct
from functools import lru_cache
from typing import Any, NamedTuple

from memlens.heap.native.blocks import Block

__all__ = ("Schema", "Stream", "address_of_values")

# All memory of the process, as 64-bit words: reading a few takes a tenth of what an object of ctypes
# for them takes.
_MEMORY = memoryview((ctypes.c_uint64 * (1 << 58)).from_address(0)).cast("B").cast("Q")
_SCHEMA_WORDS = ctypes.c_uint64 * 9
_ARRAY_WORDS = ctypes.c_uint64 * 10
_read_schema = struct.Struct("=9Q").unpack_from
_read_array = struct.Struct("=10Q").unpack_from
_read_stream = struct.Struct("=2Q").unpack_from  # get_schema, get_next
_ORDERED = 1  # flag of a schema: the order of the values of a dictionary has a meaning
_MAX_DEPTH = 64
_MANY = 1 << 40  # more arrays than a stream can have
# These functions keep the GIL: no other thread of the program runs between two reads. A library has a
# few, which take longer to make than to call.
_fill_functions = lru_cache(64)(ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p))
_release_functions = lru_cache(64)(ctypes.PYFUNCTYPE(None, ctypes.c_void_p))
_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
# Bytes for each value, by the format of the type.
_WIDTHS = {
    **dict.fromkeys(("c", "C"), 1),
    **dict.fromkeys(("s", "S", "e"), 2),
    **dict.fromkeys(("i", "I", "f", "tdD", "tts", "ttm", "tiM"), 4),
    **dict.fromkeys(("l", "L", "g", "tdm", "ttu", "ttn", "tiD", "tDs", "tDm", "tDu", "tDn"), 8),
    **dict.fromkeys(("tin", "_pli128", "_plu128"), 16),
}


class Schema(NamedTuple):
    """A type: its format, the types within it, and that of the values of a dictionary.

    ``width`` is the bytes for each value, 0 where these vary.
    """

    format: str
    is_ordered: bool
    children: tuple[Schema, ...]
    dictionary: Schema | None
    width: int


class Stream:
    """The stream in a capsule that ``__arrow_c_stream__`` returned; the capsule must outlive it."""

    __slots__ = ("_address", "_get_next", "_get_schema")

    def __init__(self, capsule: Any) -> None:
        self._address: int = _pointer_of(capsule, b"arrow_array_stream")
        self._get_schema, self._get_next = _read_stream(_MEMORY, self._address)

    def schema(self) -> Schema:
        """Return the type of the arrays, without reading any."""
        words = _SCHEMA_WORDS()
        address = self._fill(self._get_schema, words)
        try:
            return _schema(_read_schema(words), _MAX_DEPTH)
        finally:
            _release_functions(words[7])(address)

    def blocks(self, schema: Schema, array_count: int = _MANY) -> list[Block]:
        """Return the buffers of the arrays of the stream, whose type is ``schema``.

        ``array_count`` is how many there are, where that is known. A size is what the arrays use of a
        buffer, counted from where it begins.
        """
        found: list[Block] = []
        for _ in range(array_count):
            words = _ARRAY_WORDS()
            address = self._fill(self._get_next, words)
            release = words[8]
            if not release:  # no array: the stream ends
                break
            try:
                _add_blocks(_read_array(words), schema, found)
            finally:
                _release_functions(release)(address)
        return found

    def _fill(self, function: int, words: Any) -> int:
        address = ctypes.addressof(words)
        error_number = _fill_functions(function)(self._address, address)
        if error_number:
            raise RuntimeError(f"the Arrow C stream failed with error number {error_number}")
        return address


def address_of_values(capsule: Any) -> int:
    """Return where the values of an array of numbers, or of lists of numbers, begin; 0 if nowhere.

    ``capsule`` is an Arrow C array, as ``__arrow_c_array__`` returns it.
    """
    fields = _read_array(_MEMORY, _pointer_of(capsule, b"arrow_array"))
    if fields[4]:
        (child,) = _words_at(fields[6], 1)
        fields = _read_array(_MEMORY, child)
    return _words_at(fields[5], 2)[1] if fields[3] > 1 else 0


def _schema(words: tuple[int, ...], depth: int) -> Schema:
    if not depth:
        raise RecursionError("an Arrow schema is too deep")
    text_at, _, _, flags, child_count, children_at, dictionary_at, _, _ = words
    text = ctypes.string_at(text_at)
    if not child_count and not dictionary_at:
        return _simple_schema(text)
    children = tuple(
        _schema(_read_schema(_MEMORY, address), depth - 1)
        for address in _words_at(children_at, child_count)
    )
    dictionary = None
    if dictionary_at:
        dictionary = _schema(_read_schema(_MEMORY, dictionary_at), depth - 1)
    kind = text.decode("utf-8")
    return Schema(kind, bool(flags & _ORDERED), children, dictionary, _WIDTHS.get(kind, 0))


@lru_cache(64)
def _simple_schema(text: bytes) -> Schema:
    kind = text.decode("utf-8")
    return Schema(kind, False, (), None, _WIDTHS.get(kind, 0))


def _words_at(address: int, count: int) -> list[int]:
    start = address >> 3  # a pointer to words is a multiple of eight
    return _MEMORY[start : start + count].tolist()


def _add_blocks(words: tuple[int, ...], schema: Schema, found: list[Block]) -> None:
    length, _, offset, buffer_count, child_count, buffers_at, children_at, dictionary_at, _, _ = (
        words
    )
    end = offset + length
    if schema.width and end:
        validity, values = _words_at(buffers_at, 2)
        if validity:
            found.append((validity, (end + 7) // 8, "cpu"))
        if values:
            found.append((values, schema.width * end, "cpu"))
    elif end and buffer_count:
        buffers = _words_at(buffers_at, buffer_count)
        for address, size in zip(buffers, _sizes(schema.format, buffers, end), strict=False):
            if address and size:
                found.append((address, size, "cpu"))
    if child_count:
        children = _words_at(children_at, child_count)
        for address, child in zip(children, schema.children, strict=True):
            _add_blocks(_read_array(_MEMORY, address), child, found)
    if dictionary_at and schema.dictionary is not None:
        _add_blocks(_read_array(_MEMORY, dictionary_at), schema.dictionary, found)


def _sizes(text: str, buffers: list[int], end: int) -> tuple[int, ...]:
    """Return the bytes of each buffer of an array whose last value has the number ``end - 1``."""
    validity = (end + 7) // 8
    if text == "b":
        return (validity, validity)
    if text in ("u", "z"):
        return (validity, 4 * (end + 1), _number_at(ctypes.c_int32, buffers[1], end))
    if text in ("U", "Z"):
        return (validity, 8 * (end + 1), _number_at(ctypes.c_int64, buffers[1], end))
    if text in ("vu", "vz"):  # views; buffers of long values; last the sizes of these, made for us
        return (validity, 16 * end, *_words_at(buffers[-1], len(buffers) - 3))
    if text in ("+l", "+m", "+L"):
        return (validity, (8 if text == "+L" else 4) * (end + 1))
    if text in ("+vl", "+vL"):
        return (validity, *[(8 if text == "+vL" else 4) * end] * 2)
    if text == "+s" or text.startswith("+w:"):
        return (validity,)
    if text.startswith("w:"):
        return (validity, int(text[2:]) * end)
    if text.startswith("ts"):
        return (validity, 8 * end)
    if text.startswith("d:"):
        parts = text[2:].split(",")
        return (validity, (int(parts[2]) // 8 if len(parts) > 2 else 16) * end)
    if text.startswith("+us:"):
        return (end,)
    if text.startswith("+ud:"):
        return (end, 4 * end)
    return ()  # nulls and runs have no buffer of their own


def _number_at(kind: Any, offsets: int, number: int) -> int:
    address = offsets + number * ctypes.sizeof(kind)
    return int(kind.from_address(address).value)
