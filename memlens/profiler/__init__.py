"""`MemoryProfiler`, the facade over sampling, snapshots and leak detection, and its report.

Every name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.profiler.memory_profiler import MemoryProfiler
    from memlens.profiler.metrics import ProfilerMetrics
    from memlens.profiler.profiler_report import ProfilerReport, SnapshotRecord

__all__ = ("MemoryProfiler", "ProfilerMetrics", "ProfilerReport", "SnapshotRecord")

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "memlens.profiler.memory_profiler": ("MemoryProfiler",),
        "memlens.profiler.metrics": ("ProfilerMetrics",),
        "memlens.profiler.profiler_report": ("ProfilerReport", "SnapshotRecord"),
    },
)
