"""Memory numbers of this process at one instant.

A reading is a value of plain numbers and keeps none of the process's objects alive. Taking one
costs about a quarter of a millisecond on Linux, mostly for the files of the container's limit.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from memlens._display import displayed
from memlens._own_memory import own_memory
from memlens._text import format_bytes, format_count
from memlens.errors import ReadingError
from memlens.process.limits import LIMIT_SOURCES, memory_limit

if TYPE_CHECKING:
    import psutil

__all__ = (
    "READING_COLUMNS",
    "Generations",
    "MemoryReading",
    "prepare_readings",
    "read_memory",
)

Generations = tuple[int, int, int]
T = TypeVar("T")


@displayed
@dataclass(frozen=True, slots=True)
class MemoryReading:
    """The memory of this process at one instant, as the system and the interpreter report it.

    Sizes are in bytes. A value is None if the platform does not provide it or if it was not
    requested.

    * ``timestamp``: seconds of the wall clock; ``monotonic_seconds``: seconds of the monotonic
      clock, for differences.
    * ``rss_bytes``: resident memory, without that of snapshots which memlens has open:
      ``own_bytes``. ``vms_bytes``: address space; ``shared_bytes``: resident memory shared with
      files or other processes; ``uss_bytes``: memory that would become free if the process ended.
    * ``minor_page_faults``, ``major_page_faults``: totals; a major fault waits for the disk.
    * ``num_children``, ``children_rss_bytes``: of all descendants; shared pages count in each.
    * ``allocated_blocks``: live blocks of the interpreter's small object allocator.
    * ``gc_counts``: the counters that are compared with the thresholds of the generations;
      ``gc_collections``, ``gc_collected``, ``gc_uncollectable``: totals by generation.
    * ``gc_pauses``, ``gc_pause_seconds``, ``gc_longest_pause_seconds``: the collections while a
      `MemorySampler` was running; None in a reading that was taken without one. Without the C
      extension the seconds are None.
    * ``limit_bytes``, ``limit_source``: the lowest limit on this process and its source; see
      `memlens.process.memory_limit`.
    """

    timestamp: float
    monotonic_seconds: float
    pid: int
    rss_bytes: int
    own_bytes: int
    vms_bytes: int
    shared_bytes: int | None
    uss_bytes: int | None
    minor_page_faults: int | None
    major_page_faults: int | None
    num_threads: int | None
    num_children: int | None
    children_rss_bytes: int | None
    allocated_blocks: int
    gc_counts: Generations
    gc_collections: Generations
    gc_collected: Generations
    gc_uncollectable: Generations
    gc_pauses: int | None
    gc_pause_seconds: float | None
    gc_longest_pause_seconds: float | None
    limit_bytes: int | None
    limit_source: str

    def __str__(self) -> str:
        utc = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.timestamp))
        parts = [f"RSS {format_bytes(self.rss_bytes)}"]
        if self.limit_bytes is not None:
            parts[0] += f" of {format_bytes(self.limit_bytes)} ({self.limit_source})"
        if self.own_bytes:
            parts.append(f"{format_bytes(self.own_bytes)} of open snapshots")
        if self.uss_bytes is not None:
            parts.append(f"USS {format_bytes(self.uss_bytes)}")
        parts.append(f"{format_count(self.allocated_blocks)} blocks")
        if self.num_threads is not None:
            parts.append(f"{self.num_threads} thread{'' if self.num_threads == 1 else 's'}")
        if self.num_children is not None:
            size = format_bytes(self.children_rss_bytes or 0)
            parts.append(f"{self.num_children} children with {size}")
        parts.append(f"{format_count(sum(self.gc_collections))} collections")
        return f"{utc} pid {self.pid}: {', '.join(parts)}"

    def __repr__(self) -> str:
        return f"<MemoryReading {self}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values; generations become lists."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    def to_row(self) -> tuple[float | None, ...]:
        """Return the numbers in the order of `READING_COLUMNS`; the source becomes its index."""
        row: list[float | None] = []
        for name in _FIELDS:
            value = getattr(self, name)
            if name == "limit_source":
                value = LIMIT_SOURCES.index(value)
            row.extend(value if name in _BY_GENERATION else (value,))
        return tuple(row)

    @classmethod
    def from_row(cls, row: Sequence[float | None]) -> MemoryReading:
        """Return the reading of which `to_row` returned this row; NaN and None both mean None."""
        numbers = iter(row)
        values: dict[str, Any] = {}
        for name in _FIELDS:
            if name in _BY_GENERATION:
                values[name] = tuple(int(next(numbers) or 0) for _ in range(3))
                continue
            number = next(numbers)
            if number is None or number != number:
                values[name] = None
            else:
                values[name] = number if name in _FRACTIONAL else int(number)
        values["limit_source"] = LIMIT_SOURCES[values["limit_source"]]
        return cls(**values)

    def with_gc_pauses(
        self, count: int, seconds: float | None, longest_seconds: float | None
    ) -> MemoryReading:
        """Return this reading with the number of collections and their pauses (None: unknown)."""
        return replace(
            self,
            gc_pauses=count,
            gc_pause_seconds=seconds,
            gc_longest_pause_seconds=longest_seconds,
        )


_FIELDS = tuple(field.name for field in fields(MemoryReading))
_BY_GENERATION = ("gc_counts", "gc_collections", "gc_collected", "gc_uncollectable")
_FRACTIONAL = (
    "timestamp",
    "monotonic_seconds",
    "gc_pause_seconds",
    "gc_longest_pause_seconds",
)

READING_COLUMNS: tuple[str, ...] = tuple(
    column
    for name in _FIELDS
    for column in ([f"{name}_{i}" for i in range(3)] if name in _BY_GENERATION else [name])
)
"""The name of each number of a reading; by generation: ``gc_counts_0`` to ``gc_counts_2``."""


def read_memory(*, uss: bool = False, children: bool = False) -> MemoryReading:
    """Return a reading of this process.

    ``uss=True`` walks the page tables (milliseconds for each GiB mapped), ``children=True`` the
    list of all processes (milliseconds on a busy machine).

    Raises:
        ReadingError: the system does not report the size of this process (no ``/proc``).
    """
    pid = os.getpid()
    process, memory = _measured_process(pid)
    own_bytes = own_memory().total_bytes
    minor_faults, major_faults = _page_faults()
    descendants = _answer(lambda: process.children(recursive=True)) if children else None
    statistics = gc.get_stats()
    limit = memory_limit()
    return MemoryReading(
        timestamp=time.time(),
        monotonic_seconds=time.monotonic(),
        pid=pid,
        rss_bytes=max(memory.rss - own_bytes, 0),
        own_bytes=own_bytes,
        vms_bytes=memory.vms,
        shared_bytes=getattr(memory, "shared", None),
        uss_bytes=getattr(_answer(process.memory_full_info), "uss", None) if uss else None,
        minor_page_faults=minor_faults,
        major_page_faults=major_faults,
        num_threads=_answer(process.num_threads),
        num_children=None if descendants is None else len(descendants),
        children_rss_bytes=None if descendants is None else _resident(descendants),
        allocated_blocks=sys.getallocatedblocks(),
        gc_counts=gc.get_count(),
        gc_collections=_by_generation(statistics, "collections"),
        gc_collected=_by_generation(statistics, "collected"),
        gc_uncollectable=_by_generation(statistics, "uncollectable"),
        gc_pauses=None,
        gc_pause_seconds=None,
        gc_longest_pause_seconds=None,
        limit_bytes=limit.limit_bytes,
        limit_source=limit.source,
    )


def prepare_readings() -> None:
    """Import psutil before the first reading.

    A signal handler that takes a reading while the same thread imports psutil would find a module
    that is half initialized.
    """
    import psutil  # noqa: F401


def _measured_process(pid: int) -> tuple[psutil.Process, Any]:
    import psutil

    try:
        process = _process(pid)
        return process, process.memory_info()
    except (psutil.Error, OSError) as error:
        raise ReadingError(
            f"the system does not report the memory of process {pid}: {error}; on Linux, mount"
            " /proc"
        ) from error


@lru_cache(maxsize=1)
def _process(pid: int) -> psutil.Process:
    """Return psutil's object for this process; keyed by pid, so a forked child gets its own."""
    import psutil

    return psutil.Process(pid)


def _answer(question: Callable[[], T]) -> T | None:
    """Return psutil's answer, or None if the system does not provide it."""
    import psutil

    try:
        return question()
    except (psutil.Error, NotImplementedError, OSError):
        return None


def _resident(processes: Sequence[Any]) -> int:
    infos = (_answer(process.memory_info) for process in processes)  # some may have ended
    return sum(info.rss for info in infos if info is not None)


def _page_faults() -> tuple[int | None, int | None]:
    try:
        import resource
    except ImportError:  # Windows
        return None, None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt, usage.ru_majflt


def _by_generation(statistics: Sequence[dict[str, int]], name: str) -> Generations:
    young, middle, old = (generation[name] for generation in statistics)
    return young, middle, old
