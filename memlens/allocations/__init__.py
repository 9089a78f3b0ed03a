"""Where memory is allocated: exact traces (`TraceStore`), measured blocks, and their values."""

from __future__ import annotations

from memlens.allocations.block_result import BlockResult
from memlens.allocations.frame import CallPath, Frame
from memlens.allocations.trace_file import load_traces, save_traces
from memlens.allocations.trace_snapshot import TraceSnapshot, compare_traces
from memlens.allocations.trace_table import (
    TraceComparison,
    TraceDifference,
    TraceStatistic,
    TraceStatistics,
)
from memlens.allocations.tracing import TraceStore

__all__ = (
    "BlockResult",
    "CallPath",
    "Frame",
    "TraceComparison",
    "TraceDifference",
    "TraceSnapshot",
    "TraceStatistic",
    "TraceStatistics",
    "TraceStore",
    "compare_traces",
    "load_traces",
    "save_traces",
)
