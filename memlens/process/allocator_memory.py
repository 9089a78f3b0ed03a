"""What the allocators have in use and free, by their own statistics.

- pymalloc prints its statistics (``sys._debugmallocstats``) to a C stream. The function behind it,
  ``_PyObject_DebugMallocStats(FILE *)``, is called with a stream in memory (``open_memstream``)
  while the GIL is held, so no file descriptor of the process is touched. The sizes of anonymous
  mappings would not show the arenas, because the kernel joins adjacent mappings.
- glibc's ``mallinfo2`` returns malloc's statistics over all of its arenas.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache

from memlens._core.sampler_api import pymalloc_statistics
from memlens._own_memory import own_memory
from memlens.process.memory_part import MemoryPart

__all__ = ("malloc_bytes", "malloc_parts", "pymalloc_parts", "small_object_bytes")

_PYMALLOC = "pymalloc's own statistics"
_MALLOC = "mallinfo2"


def pymalloc_parts() -> tuple[MemoryPart, MemoryPart]:
    """Return what pymalloc has in use and what is free in its arenas."""
    names = ("Python objects up to 512 B", "free in pymalloc arenas")
    statistics, why = _pymalloc_statistics()
    if statistics is None:
        return MemoryPart(names[0], None, why), MemoryPart(names[1], None, why)
    if not statistics:
        why = "pymalloc is not in use: all objects are in malloc"
        return MemoryPart(names[0], 0, why), MemoryPart(names[1], 0, why)
    used = _number(r"# bytes in allocated blocks\s*=\s*([\d,]+)", statistics)
    arenas = _number(r"arenas \* \d+ bytes/arena\s*=\s*([\d,]+)", statistics)
    if used is None or arenas is None:
        why = "pymalloc's statistics have an unknown form"
        return MemoryPart(names[0], None, why), MemoryPart(names[1], None, why)
    return MemoryPart(names[0], used, _PYMALLOC), MemoryPart(names[1], arenas - used, _PYMALLOC)


def small_object_bytes() -> int | None:
    """Return the bytes of Python objects up to 512 bytes, None where pymalloc does not tell.

    Takes less than a millisecond, also with millions of objects.
    """
    try:
        return pymalloc_parts()[0].size_bytes
    except OSError:  # ctypes cannot be imported now: no descriptor is free
        return None


def _number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text)
    return int(found.group(1).replace(",", "")) if found else None


def _pymalloc_statistics() -> tuple[str | None, str]:
    """Return pymalloc's statistics ('' if it is not in use), or None and the reason."""
    text = pymalloc_statistics()  # of the sampler, whose hook hides pymalloc from CPython
    if text is None:
        read = _pymalloc_reader()
        if read is None:
            return None, "this Python or C library cannot report pymalloc's statistics"
        text = read()
    if text is None:
        return None, "no memory for pymalloc's statistics"
    if not text and sys.getallocatedblocks() > 0:  # pymalloc has blocks, so it is in use
        return None, "hidden by hooks on the allocator, for example tracemalloc's"
    return text, ""


@cache  # ctypes makes classes for each library handle, which only the garbage collector frees
def _pymalloc_reader() -> Callable[[], str | None] | None:
    import ctypes

    try:
        libc = ctypes.CDLL(None)
        opened, close, free = libc.open_memstream, libc.fclose, libc.free
        write = ctypes.PyDLL(None)._PyObject_DebugMallocStats  # holds the GIL, as it must
    except (AttributeError, OSError, TypeError):
        return None
    opened.restype, opened.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]
    close.argtypes = free.argtypes = write.argtypes = [ctypes.c_void_p]
    free.restype, write.restype = None, ctypes.c_int

    def read() -> str | None:
        text, length = ctypes.c_void_p(), ctypes.c_size_t()
        stream = opened(ctypes.byref(text), ctypes.byref(length))
        if not stream:
            return None
        used = write(stream)
        close(stream)  # only now do the text and its length hold what was written
        try:
            return ctypes.string_at(text.value or 0, length.value).decode() if used else ""
        finally:
            free(text)

    return read


def malloc_parts(own_bytes: int) -> tuple[MemoryPart, MemoryPart]:
    """Return what malloc has in use, without ``own_bytes`` of memlens, and what is free in it."""
    names = ("malloc in use", "free in malloc")
    read = _malloc_reader()
    if read is None:
        why = "only glibc 2.33 and later report this"
        return MemoryPart(names[0], None, why), MemoryPart(names[1], None, why)
    in_use, free = read()
    return (
        MemoryPart(names[0], max(in_use - own_bytes, 0), f"{_MALLOC}: larger objects, native"),
        MemoryPart(names[1], free, _MALLOC),
    )


def malloc_bytes() -> int | None:
    """Return the bytes that malloc has in use, None where the C library does not report them.

    Without those of snapshots that memlens has open. Takes microseconds.
    """
    try:
        read = _malloc_reader()
    except OSError:  # ctypes cannot be imported now: no descriptor is free
        return None
    return None if read is None else max(read()[0] - own_memory().copied_bytes, 0)


@cache
def _malloc_reader() -> Callable[[], tuple[int, int]] | None:
    try:
        import ctypes
    except ImportError:  # a Python without libffi
        return None

    fields = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"

    class MallInfo2(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in fields.split()]

    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype, mallinfo2.argtypes = MallInfo2, []

    def read() -> tuple[int, int]:
        info = mallinfo2()
        return info.uordblks + info.hblkhd, info.fordblks

    return read
