"""The memory of this process over time: readings, limits, resident memory by use, leak detection.

Every name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.process.detector.alert import DetectorReport, LeakAlert, Verdict
    from memlens.process.detector.leak_detector import MemoryLeakDetector, check_iterations
    from memlens.process.held_memory import HeldMemory
    from memlens.process.identity import ProcessIdentity, identify
    from memlens.process.limits import LIMIT_SOURCES, MemoryLimit, memory_limit
    from memlens.process.memory_breakdown import MemoryBreakdown, MemoryPart, breakdown
    from memlens.process.reading import READING_COLUMNS, MemoryReading, read_memory
    from memlens.process.sampler import MemorySampler, SamplerHealth

__all__ = (
    "LIMIT_SOURCES",
    "READING_COLUMNS",
    "DetectorReport",
    "HeldMemory",
    "LeakAlert",
    "MemoryBreakdown",
    "MemoryLeakDetector",
    "MemoryLimit",
    "MemoryPart",
    "MemoryReading",
    "MemorySampler",
    "ProcessIdentity",
    "SamplerHealth",
    "Verdict",
    "breakdown",
    "check_iterations",
    "identify",
    "memory_limit",
    "read_memory",
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "memlens.process.detector.alert": ("DetectorReport", "LeakAlert", "Verdict"),
        "memlens.process.detector.leak_detector": ("MemoryLeakDetector", "check_iterations"),
        "memlens.process.identity": ("ProcessIdentity", "identify"),
        "memlens.process.limits": ("LIMIT_SOURCES", "MemoryLimit", "memory_limit"),
        "memlens.process.held_memory": ("HeldMemory",),
        "memlens.process.memory_breakdown": ("MemoryBreakdown", "MemoryPart", "breakdown"),
        "memlens.process.reading": ("READING_COLUMNS", "MemoryReading", "read_memory"),
        "memlens.process.sampler": ("MemorySampler", "SamplerHealth"),
    },
)
