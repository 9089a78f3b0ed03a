"""Resident memory by use: objects, free memory in allocators, file mappings, stacks, the rest.

A leak, a cache, fragmentation and native growth look the same in RSS; here they differ. Only the
allocators' own statistics are read, and no file descriptor of the process is touched:

- pymalloc prints its statistics (``sys._debugmallocstats``) to a C stream. The function behind it,
  ``_PyObject_DebugMallocStats(FILE *)``, is called with a stream in memory (``open_memstream``)
  while the GIL is held. The sizes of anonymous mappings would not show the arenas, because the
  kernel joins adjacent mappings.
- glibc's ``mallinfo2`` returns malloc's statistics over all of its arenas.
- ``/proc/self/smaps`` lists resident memory by mapping. ``/proc/self/task/*/syscall`` holds the
  stack pointers of waiting threads, which distinguish their stacks from other anonymous memory.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from memlens._core.mappings import device_of_path
from memlens._core.sampler_api import pymalloc_statistics
from memlens._display import displayed
from memlens._own_memory import own_memory
from memlens._table import columns
from memlens._text import fitted, format_bytes
from memlens.process.held_memory import HeldMemory, KnowsHolders, held_memory

__all__ = ("MemoryBreakdown", "MemoryPart", "breakdown", "malloc_bytes", "small_object_bytes")

_PYMALLOC = "pymalloc's own statistics"
_MALLOC = "mallinfo2"
_SMAPS = "/proc/self/smaps"
_HOW_TO_JOIN = (
    "Which objects hold native memory: print(memlens.breakdown(memlens.take_heap_snapshot()))"
)


@displayed
@dataclass(frozen=True, slots=True)
class MemoryPart:
    """One part of the resident memory; ``size_bytes`` is None if it is unknown.

    ``source`` says where the number comes from, or why it is unknown.
    """

    name: str
    size_bytes: int | None
    source: str

    def __str__(self) -> str:
        size = "unknown" if self.size_bytes is None else format_bytes(self.size_bytes)
        return f"{self.name}: {size}"

    def __repr__(self) -> str:
        return f"<MemoryPart {self}>"


@displayed
@dataclass(frozen=True, slots=True)
class MemoryBreakdown:
    """The resident memory of this process by use, at one instant.

    ``objects`` are Python objects of at most 512 bytes; larger ones come from malloc, which does
    not distinguish them from native memory. Free memory of the allocators is counted as mapped;
    some of it may not be resident, so ``rest`` is a lower bound, and None if the parts exceed RSS.
    ``own`` is the memory of snapshots that memlens has open; the other parts do not include it.
    ``held`` says how much has known holders, None where no snapshot was given.
    """

    rss: MemoryPart
    objects: MemoryPart
    pymalloc_free: MemoryPart
    malloc_in_use: MemoryPart
    malloc_free: MemoryPart
    file_mappings: MemoryPart
    stacks: MemoryPart
    own: MemoryPart
    rest: MemoryPart
    allocated_blocks: int
    held: HeldMemory | None = None

    @property
    def parts(self) -> tuple[MemoryPart, ...]:
        """All parts, without the total."""
        return (
            self.objects,
            self.pymalloc_free,
            self.malloc_in_use,
            self.malloc_free,
            self.file_mappings,
            self.stacks,
            self.own,
            self.rest,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers and their sources as JSON-ready values."""
        fields = ["rss", "objects", "pymalloc_free", "malloc_in_use", "malloc_free"]
        fields += ["file_mappings", "stacks", "own", "rest"]
        out: dict[str, Any] = {
            f"{field}_bytes": getattr(self, field).size_bytes for field in fields
        }
        out["allocated_blocks"] = self.allocated_blocks
        out["held"] = None if self.held is None else self.held.to_dict()
        out["sources"] = {field: getattr(self, field).source for field in fields}
        return out

    def __repr__(self) -> str:
        known = [part for part in (self.rss, self.objects, self.malloc_in_use) if part.size_bytes]
        sizes = ", ".join(f"{part.name} {format_bytes(part.size_bytes or 0)}" for part in known)
        return f"<MemoryBreakdown: {sizes}>"

    def __str__(self) -> str:
        total = self.rss.size_bytes
        rows = []
        for part in (self.rss, *self.parts):
            size = part.size_bytes
            share = f"{100 * size / total:.1f} %" if size is not None and total else ""
            rows.append(
                (part.name, "unknown" if size is None else format_bytes(size), share, part.source)
            )
        table = columns(
            ("memory", "size", "of RSS", "source"),
            rows,
            right=(False, True, True, False),
            optional=("of RSS",),
            wrap=True,
        )
        return f"{table}\n\n{fitted(_HOW_TO_JOIN) if self.held is None else self.held}"


class _Mapping(NamedTuple):
    start: int
    end: int
    name: str
    rss_bytes: int
    anonymous_bytes: int = 0  # the part of that which is no page of a file

    @property
    def is_of_file(self) -> bool:
        """Whether the system can drop it: not if most of a private mapping was written."""
        is_written = 2 * self.anonymous_bytes > self.end - self.start
        return device_of_path(self.name) == "mapped" and not is_written


def breakdown(snapshot: KnowsHolders | None = None) -> MemoryBreakdown:
    """Return the resident memory of this process by use.

    ``snapshot``: a `HeapSnapshot` of this process, taken just before; then ``held`` says how much of
    the memory that malloc and mmap have in use has known holders, by library.

    Walks pymalloc's pool headers and the kernel's list of mappings: milliseconds, or tens of
    milliseconds for a heap of gigabytes. A part that the platform does not report is None, with
    the reason in its ``source``. Raises ``OptionError`` for a snapshot of another process.
    """
    own = own_memory()
    pymalloc = _pymalloc_parts()
    malloc = _malloc_parts(own.copied_bytes)
    mappings, why = _mappings()
    if mappings is None:
        rss = _rss_of_psutil()
        files, stacks = MemoryPart("file mappings", None, why), MemoryPart("stacks", None, why)
    else:
        resident = sum(mapping.rss_bytes for mapping in mappings)
        rss = MemoryPart("resident (RSS)", resident, _SMAPS)
        stacks, of_threads = _stacks(mappings)
        named = [m for m in mappings if m.is_of_file and m not in of_threads]
        mapped_bytes = sum(m.rss_bytes for m in named) - own.mapped_bytes
        files = MemoryPart("file mappings", max(mapped_bytes, 0), _SMAPS)
    own_part = MemoryPart("memlens: open snapshots", own.total_bytes, "memlens")
    known = (*pymalloc, *malloc, files, stacks, own_part)
    rest = _rest(rss, known)
    held = None
    if snapshot is not None:
        held = held_memory(snapshot, os.getpid(), malloc[0].size_bytes, rest.size_bytes)
    return MemoryBreakdown(rss, *known, rest, sys.getallocatedblocks(), held)


def _rest(rss: MemoryPart, parts: tuple[MemoryPart, ...]) -> MemoryPart:
    name = "the rest"
    missing = [part.name for part in parts if part.size_bytes is None]
    if rss.size_bytes is None or missing:
        return MemoryPart(name, None, f"unknown: {', '.join(missing) or rss.name}")
    left = rss.size_bytes - sum(part.size_bytes or 0 for part in parts)
    if left < 0:
        return MemoryPart(
            name, None, f"parts exceed RSS by {format_bytes(-left)}: not all resident"
        )
    return MemoryPart(name, left, "RSS minus the parts: other mappings, shared memory, tables")


# -- pymalloc -----------------------------------------------------------------------------------


def _pymalloc_parts() -> tuple[MemoryPart, MemoryPart]:
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
        return _pymalloc_parts()[0].size_bytes
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


# -- malloc -------------------------------------------------------------------------------------


def _malloc_parts(own_bytes: int) -> tuple[MemoryPart, MemoryPart]:
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


# -- mappings -----------------------------------------------------------------------------------

_HEADER = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$")


def _mappings() -> tuple[list[_Mapping] | None, str]:
    try:
        with open("/proc/self/smaps", encoding="utf-8", errors="replace", newline="\n") as file:
            return parse_smaps(file.read()), ""
    except OSError:
        return None, "this platform does not list mappings"


def parse_smaps(text: str) -> list[_Mapping]:
    """Return the mappings of a ``smaps`` file, each with its resident bytes."""
    found: list[_Mapping] = []
    for line in text.split("\n"):
        header = _HEADER.match(line)
        if header:
            start, end, name = header.groups()
            found.append(_Mapping(int(start, 16), int(end, 16), name, 0))
        elif line.startswith("Rss:") and found:
            found[-1] = found[-1]._replace(rss_bytes=int(line.split()[1]) * 1024)
        elif line.startswith("Anonymous:") and found:
            found[-1] = found[-1]._replace(anonymous_bytes=int(line.split()[1]) * 1024)
    return found


def _stacks(mappings: list[_Mapping]) -> tuple[MemoryPart, list[_Mapping]]:
    """Return the resident memory of stacks, and their mappings.

    Linux names only the main thread's stack; the other stacks are the mappings that the stack
    pointers of waiting threads point into. A running thread shows no stack pointer: its stack
    stays in the rest, and the source says how many such threads there were.
    """
    pointers, hidden = _stack_pointers()
    chosen = [
        m
        for m in mappings
        if m.name == "[stack]"
        or (not m.name and any(m.start <= pointer < m.end for pointer in pointers))
    ]
    source = _SMAPS + (f"; {hidden} running threads not found" if hidden else "")
    return MemoryPart("stacks", sum(m.rss_bytes for m in chosen), source), chosen


def _stack_pointers() -> tuple[list[int], int]:
    """Return the stack pointers of waiting threads, and the number of threads that show none."""
    pointers, hidden = [], 0
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return [], 0
    for thread in threads:
        if int(thread) == os.getpid():
            continue  # the main thread: its stack has a name
        try:
            with open(f"/proc/self/task/{thread}/syscall", encoding="ascii") as file:
                fields = file.read().split()
            pointers.append(int(fields[-2], 16))
        except (OSError, IndexError, ValueError):  # running, ended, or not permitted
            hidden += 1
    return pointers, hidden


def _rss_of_psutil() -> MemoryPart:
    import psutil

    try:
        size = int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return MemoryPart("resident (RSS)", None, "neither the kernel nor psutil reports it")
    return MemoryPart("resident (RSS)", size, "psutil")
