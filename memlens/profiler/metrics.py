"""ProfilerMetrics: the numbers of a profiler for monitoring, read without a capture or an analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memlens._core.sampler_api import OwnWork
from memlens._display import displayed
from memlens._text import format_bytes
from memlens.allocations.sampling.site_tables import LiveSites
from memlens.errors import ReadingError
from memlens.process.allocator_memory import malloc_bytes, small_object_bytes
from memlens.process.detector.alert import DetectorReport
from memlens.process.gc_pauses import GcPauses
from memlens.process.limits import GIVEN, MemoryLimit, memory_limit
from memlens.process.reading import MemoryReading, read_memory
from memlens.profiler.allocation_source import AllocationSource
from memlens.profiler.profiler_report import SnapshotRecord
from memlens.profiler.trend_detectors import TrendDetectors

__all__ = ("ProfilerMetrics", "read_metrics")


@displayed
@dataclass(frozen=True, slots=True)
class ProfilerMetrics:
    """The numbers of a profiler now. Sizes are in bytes, times in seconds; None is unknown.

    * ``reading``: memory and the collector of this process.
    * ``small_object_bytes``: Python objects of at most 512 bytes. ``malloc_bytes``: what malloc has
      in use, which is larger Python objects and native memory.
    * ``sites``: the lines that allocated most of what is alive, None unless allocations are sampled.
    * ``limit``: that given to the profiler, with the source ``given`` and the resident memory of this
      process as what is used; else that of `memlens.process.memory_limit`.
    * ``seconds_to_limit``: only while a leak, or a steep rise of memory, is certain.
    * ``gc_pauses``, ``gc_pause_seconds``, ``gc_longest_pause_seconds``: collections while the
      profiler ran; the seconds are None without the C extension.
    * ``detectors``: the report of each series. ``health``: the counters of `MemoryProfiler.health`.
    * ``last_pause_seconds``: how long the newest kept snapshot stopped the program.
    """

    reading: MemoryReading | None
    small_object_bytes: int | None
    malloc_bytes: int | None
    sites: LiveSites | None
    limit: MemoryLimit
    seconds_to_limit: float | None
    gc_pauses: int
    gc_pause_seconds: float | None
    gc_longest_pause_seconds: float | None
    detectors: tuple[DetectorReport, ...]
    health: dict[str, Any]
    last_pause_seconds: float | None

    def __repr__(self) -> str:
        rss = "unknown" if self.reading is None else format_bytes(self.reading.rss_bytes)
        states = ", ".join(f"{one.series} {one.verdict.state}" for one in self.detectors)
        return f"<ProfilerMetrics: RSS {rss}, {states}>"

    @property
    def untracked_bytes(self) -> int | None:
        """Resident memory that the live estimate does not explain; None where it is unknown.

        It is that of native libraries, blocks from before the start, the interpreter and free memory
        that the allocators keep.
        """
        if self.reading is None or self.sites is None:
            return None
        return max(0, self.reading.rss_bytes - round(self.sites.live_bytes))


def read_metrics(
    health: dict[str, Any],
    records: list[SnapshotRecord],
    allocations: AllocationSource,
    detectors: TrendDetectors,
    pauses: GcPauses,
    limit_bytes: int | None,
    max_sites: int,
) -> ProfilerMetrics:
    """Return the numbers of the parts of a profiler; see `ProfilerMetrics`.

    ``limit_bytes`` is the limit given to the profiler, ``max_sites`` how many lines are returned.
    Takes about a millisecond, a few more with many allocation sites. Holds no lock of the profiler.
    """
    with OwnWork():
        reading = _reading()
        limit = _limit(limit_bytes, reading)
        return ProfilerMetrics(
            reading=reading,
            small_object_bytes=small_object_bytes(),
            malloc_bytes=malloc_bytes(),
            sites=allocations.live_sites(max_sites),
            limit=limit,
            seconds_to_limit=detectors.seconds_to_limit(limit.limit_bytes),
            gc_pauses=pauses.count,
            gc_pause_seconds=pauses.total_seconds,
            gc_longest_pause_seconds=pauses.longest_seconds,
            detectors=detectors.report(),
            health=health,
            last_pause_seconds=records[-1].pause_seconds if records else None,
        )


def _reading() -> MemoryReading | None:
    try:
        return read_memory()
    except ReadingError:
        return None  # the system does not report it: those numbers are unknown


def _limit(given_bytes: int | None, reading: MemoryReading | None) -> MemoryLimit:
    if given_bytes is None:
        return memory_limit()
    used = None if reading is None else reading.rss_bytes
    return MemoryLimit(given_bytes, GIVEN, used_bytes=used)
