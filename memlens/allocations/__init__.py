"""Allocations: who allocates memory, sampled or traced; and what functions and blocks allocate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens._frame import CallPath, Frame
    from memlens.allocations.blocks.memory_block import MemoryBlock
    from memlens.allocations.blocks.result import BlockResult
    from memlens.allocations.profile.allocation_profile import AllocationProfile
    from memlens.allocations.profile.call_tree import CallNode
    from memlens.allocations.profile.profile_comparison import (
        AllocationComparison,
        AllocationDifference,
    )
    from memlens.allocations.profile.profile_facts import ProfileFacts
    from memlens.allocations.profile.program_lines import ProgramLine, ProgramLines
    from memlens.allocations.profile.rows import AllocationRow
    from memlens.allocations.profiler import AllocationProfiler
    from memlens.allocations.tracing.trace_store import TraceStore
    from memlens.allocations.tracing.trace_table import (
        TraceComparison,
        TraceDifference,
        TraceStatistic,
        TraceStatistics,
    )
    from memlens.allocations.tracing.traces import TracedMemory
    from memlens.allocations.tracker import AllocationTracker, TrackedAllocations, TrackerReport

__all__ = (
    "AllocationComparison",
    "AllocationDifference",
    "AllocationProfile",
    "AllocationProfiler",
    "AllocationRow",
    "AllocationTracker",
    "BlockResult",
    "CallNode",
    "CallPath",
    "Frame",
    "MemoryBlock",
    "ProfileFacts",
    "ProgramLine",
    "ProgramLines",
    "TraceComparison",
    "TraceDifference",
    "TraceStatistic",
    "TraceStatistics",
    "TraceStore",
    "TracedMemory",
    "TrackedAllocations",
    "TrackerReport",
)

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "memlens._frame": ("CallPath", "Frame"),
        "memlens.allocations.blocks.memory_block": ("MemoryBlock",),
        "memlens.allocations.blocks.result": ("BlockResult",),
        "memlens.allocations.profile.allocation_profile": ("AllocationProfile",),
        "memlens.allocations.profile.call_tree": ("CallNode",),
        "memlens.allocations.profile.profile_comparison": (
            "AllocationComparison",
            "AllocationDifference",
        ),
        "memlens.allocations.profile.profile_facts": ("ProfileFacts",),
        "memlens.allocations.profile.program_lines": ("ProgramLine", "ProgramLines"),
        "memlens.allocations.profile.rows": ("AllocationRow",),
        "memlens.allocations.profiler": ("AllocationProfiler",),
        "memlens.allocations.tracing.trace_store": ("TraceStore",),
        "memlens.allocations.tracing.trace_table": (
            "TraceComparison",
            "TraceDifference",
            "TraceStatistic",
            "TraceStatistics",
        ),
        "memlens.allocations.tracing.traces": ("TracedMemory",),
        "memlens.allocations.tracker": (
            "AllocationTracker",
            "TrackedAllocations",
            "TrackerReport",
        ),
    },
)
