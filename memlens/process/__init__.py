"""The process over time: readings, where its memory went, and whether it grows without end."""

from __future__ import annotations

from memlens.process.limits import MemoryLimit, memory_limit
from memlens.process.reading import MemoryReading, read_memory
from memlens.process.sampler import MemorySampler, SamplerHealth

__all__ = (
    "MemoryLimit",
    "MemoryReading",
    "MemorySampler",
    "SamplerHealth",
    "memory_limit",
    "read_memory",
)
