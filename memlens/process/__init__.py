"""The process over time: readings, the sampler that takes them, and the limit they run against."""

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
