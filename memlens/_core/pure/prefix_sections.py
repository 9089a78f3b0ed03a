"""The keyed hashes of numbers, and of the beginnings of texts, large buffers and large ints.

A buffer that accumulates keeps its beginning; one that is emptied does not. A number at an address
that is used again tells a new row of a batch from the old one. The hash is Python's own
of ``bytes``, whose key is secret and of this process, so that contents cannot be guessed from a
snapshot.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from memlens._core.pure.untraversed import find_class, numpy_prefix_reader
from memlens._core.pure.walk import WalkedHeap

__all__ = ("prefix_sections",)

_Reader = Callable[[Any], "str | bytes | None"]

_MIN_NODE_BYTES = 512
_MIN_ARRAY_BYTES = 1280  # of numpy
_PREFIX_BYTES = 256
_PREFIX_CHARACTERS = 128
_DIGIT_BITS, _PREFIX_DIGITS = 30, 64  # of an int, as CPython stores it
_MIN_LARGE_DIGITS = (_MIN_NODE_BYTES - 24) // 4  # an int of 512 bytes or more
_MAX_CACHED_INT = 1024  # of all versions: ints up to here may be one shared object


def prefix_sections(
    heap: WalkedHeap, node_type: Sequence[int], node_size: Sequence[int]
) -> dict[str, array[int]]:
    """Return the hash of the beginning of each str and bytes, and of large buffers, arrays and ints.

    Of a short text or bytes, of a float and of a smaller int it is the hash of all of it.
    """
    readers: dict[int, _Reader] = {}
    smallest: dict[int, int] = {}
    array_type = find_class("numpy", "ndarray")
    for row, number in enumerate(heap.types, 1):
        cls = heap.objects[number]
        reader = next((read for known, read in _READERS.items() if known is cls), None)
        if cls is array_type:
            reader = numpy_prefix_reader(cls, _of_buffer)
        if reader is not None:
            readers[row] = reader
            smallest[row] = _MIN_ARRAY_BYTES if cls is array_type else _MIN_NODE_BYTES
            if cls in _HASHED_WHOLE:
                smallest[row] = 0
    nodes, hashes = array("I"), array("I")
    for node, row in enumerate(node_type):
        if row in readers and node_size[node] >= smallest[row]:
            prefix = readers[row](heap.objects[node])
            if prefix is not None:
                nodes.append(node)
                hashes.append(hash(prefix) & 0xFFFF_FFFF)
    return {"prefix_node": nodes, "prefix_hash": hashes}


def _of_text(text: str) -> str | bytes:
    """Return the characters, so that a str that gets wider ones keeps its beginning."""
    if len(text) < _PREFIX_CHARACTERS:
        return text
    # Not by a codec, whose module would be imported by the capture.
    return array("I", map(ord, text[:_PREFIX_CHARACTERS])).tobytes()


def _of_bytes(data: bytes) -> bytes | None:
    return data if len(data) < _PREFIX_BYTES else _of_buffer(data)


def _of_buffer(buffer: Any) -> bytes | None:
    with memoryview(buffer) as view, view.cast("B") as data:
        prefix = bytes(data[:_PREFIX_BYTES])
    # Zeros may just not have been written yet.
    return prefix if len(prefix) == _PREFIX_BYTES and any(prefix) else None


def _of_float(value: float) -> bytes:
    return array("d", [value]).tobytes()


def _of_int(value: int) -> bytes | None:
    """Return the digits; of a large int 64 of them, from the lowest that is not zero.

    An int whose bits are a set keeps them where only higher bits are added.
    """
    if value <= _MAX_CACHED_INT:
        return None
    count = (value.bit_length() + _DIGIT_BITS - 1) // _DIGIT_BITS
    if count < _MIN_LARGE_DIGITS:
        return _digits(value, count)
    first = ((value & -value).bit_length() - 1) // _DIGIT_BITS
    if count - first < _PREFIX_DIGITS:
        return None
    low = value >> first * _DIGIT_BITS & (1 << _DIGIT_BITS * _PREFIX_DIGITS) - 1
    return _digits(low, _PREFIX_DIGITS)


def _digits(value: int, count: int) -> bytes:
    mask = (1 << _DIGIT_BITS) - 1
    return array("I", (value >> _DIGIT_BITS * i & mask for i in range(count))).tobytes()


_READERS: dict[type, _Reader] = {
    str: _of_text,
    bytes: _of_bytes,
    bytearray: _of_buffer,
    array: _of_buffer,
    int: _of_int,
    float: _of_float,
}
_HASHED_WHOLE = frozenset((str, bytes, int, float))
