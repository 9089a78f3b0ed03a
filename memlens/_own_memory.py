"""The memory of this process that open snapshots use: it is memlens's, not the program's.

Readings and breakdowns leave it out of the program's numbers and show it under its own name. Small
snapshot files are copied into memory, larger ones are mapped; of a mapping only the pages that were
read are resident.
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import NamedTuple

__all__ = ("OwnMemory", "hold_copy", "hold_mapping", "own_memory")

_PRESENT = (
    0x80  # in the highest byte of an entry of /proc/self/pagemap, see the kernel's pagemap.rst
)
_ENTRY_BYTES = 8

_copies: dict[int, int] = {}  # sizes by a number of the copy
_mappings: dict[int, weakref.ref[mmap.mmap]] = {}


class OwnMemory(NamedTuple):
    """Resident bytes of open snapshots: copies in malloc, and pages of mapped files."""

    copied_bytes: int
    mapped_bytes: int

    @property
    def total_bytes(self) -> int:
        """The sum of both."""
        return self.copied_bytes + self.mapped_bytes


def hold_copy(owner: object, size_bytes: int) -> None:
    """Count ``size_bytes`` of a copied file until ``owner`` is gone."""
    finalizer = weakref.finalize(owner, _copies.pop, id(owner), None)
    finalizer.atexit = False
    _copies[id(owner)] = size_bytes


def hold_mapping(mapping: mmap.mmap) -> None:
    """Count the resident pages of a mapped file until the mapping is gone."""
    key = id(mapping)
    _mappings[key] = weakref.ref(mapping, lambda _: _mappings.pop(key, None))


def own_memory() -> OwnMemory:
    """Return the resident memory of all open snapshots. Costs nothing if none is open."""
    mappings = [mapping for known in list(_mappings.values()) if (mapping := known()) is not None]
    return OwnMemory(
        sum(list(_copies.values())), sum(_resident_bytes(mapping) for mapping in mappings)
    )


def _resident_bytes(mapping: mmap.mmap) -> int:
    """Return the resident bytes of a mapping; 0 if it is closed or the platform cannot tell."""
    with suppress(ValueError, OSError):  # closed meanwhile, or no /proc
        address = _address_reader()(mapping)
        first, pages = address // mmap.PAGESIZE, -(-len(mapping) // mmap.PAGESIZE)
        with open("/proc/self/pagemap", "rb", buffering=0) as file:
            file.seek(first * _ENTRY_BYTES)
            entries = file.read(pages * _ENTRY_BYTES)
        present = sum(1 for flags in entries[_ENTRY_BYTES - 1 :: _ENTRY_BYTES] if flags & _PRESENT)
        return present * mmap.PAGESIZE
    return 0


@cache  # ctypes makes classes, which only the garbage collector frees
def _address_reader() -> Callable[[mmap.mmap], int]:
    import ctypes

    class Buffer(ctypes.Structure):
        """``Py_buffer``, which is part of the stable ABI."""

        _fields_ = (
            ("address", ctypes.c_void_p),
            ("owner", ctypes.c_void_p),
            ("rest", ctypes.c_byte * 128),  # more than the other fields need
        )

    get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
    get.argtypes, release.argtypes = (
        [ctypes.py_object, ctypes.c_void_p, ctypes.c_int],
        [ctypes.c_void_p],
    )
    release.restype = None

    def read(mapping: mmap.mmap) -> int:
        buffer = Buffer()
        get(mapping, ctypes.byref(buffer), 0)
        try:
            return int(buffer.address or 0)
        finally:
            release(ctypes.byref(buffer))

    return read
