"""Measure objects with the built-in adapters, as a capture does."""

from __future__ import annotations

import ctypes
import gc

import pytest

from memlens._core.native_chunks import HELD_OBJECT, decode_chunk
from memlens.heap.native.measure import make_measure
from memlens.heap.native.registry import active_types


def rows_of(*objects):
    """Return the rows of blocks; fails if an adapter fails or leaves an object out."""
    return [row for row in _all_rows(objects) if row.device != HELD_OBJECT]


def held_by(*objects):
    """Return the addresses of the Python objects that the objects hold through native code."""
    return {row.address for row in _all_rows(objects) if row.device == HELD_OBJECT}


def _all_rows(objects):
    chunks = []
    make_measure(active_types(), forked=True, limit_seconds=60)(
        objects, lambda chunk: chunks.append(decode_chunk(chunk))
    )
    for chunk in chunks:
        assert chunk.note.get("failed", 0) == chunk.note.get("skipped", 0) == 0, chunk.note
    return [row for chunk in chunks for row in chunk.rows]


def distinct_bytes(*objects):
    """Return the bytes of all distinct blocks: a block within another one is a part of it."""
    rows = rows_of(*objects)
    total = sum(row.size for row in rows if not row.address)
    end = 0
    for start, size in sorted((row.address, row.size) for row in rows if row.address):
        total += max(0, start + size - max(start, end))
        end = max(end, start + size)
    return total


def addresses(*objects):
    return {row.address for row in rows_of(*objects)}


class _MallocInfo(ctypes.Structure):
    _fields_ = [(f"field_{number}", ctypes.c_size_t) for number in range(10)]


def malloc_bytes():
    """Return the bytes that the C library has in use; skips the test where it does not tell."""
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        pytest.skip("the C library has no mallinfo2")
    mallinfo2.restype = _MallocInfo
    gc.collect()
    info = mallinfo2()
    return info.field_7 + info.field_4  # in use in the arenas, and in mappings of their own
