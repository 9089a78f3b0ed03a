"""Where memory is allocated: sampled profiles, exact traces, measured blocks and counts by hand."""

from __future__ import annotations

from memlens.allocations.block_result import BlockResult
from memlens.allocations.frame import CallPath, Frame
from memlens.allocations.profile import AllocationProfile, ProfileFacts
from memlens.allocations.profiles.call_tree import CallNode
from memlens.allocations.profiles.comparison import AllocationComparison, AllocationDifference
from memlens.allocations.profiles.rows import AllocationRow
from memlens.allocations.sampling import AllocationProfiler
from memlens.allocations.trace_file import load_traces, save_traces
from memlens.allocations.trace_snapshot import TraceSnapshot, compare_traces
from memlens.allocations.trace_table import (
    TraceComparison,
    TraceDifference,
    TraceStatistic,
    TraceStatistics,
)
from memlens.allocations.tracing import TraceStore
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
    "ProfileFacts",
    "TraceComparison",
    "TraceDifference",
    "TraceSnapshot",
    "TraceStatistic",
    "TraceStatistics",
    "TraceStore",
    "TrackedAllocations",
    "TrackerReport",
    "compare_traces",
    "load_traces",
    "save_traces",
)
