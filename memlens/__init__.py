"""memlens: what grows in a Python process, who holds it, since when, and what to do about it.

::

    import memlens

    with memlens.MemoryProfiler(on_alert=print) as profiler:
        serve()
    print(profiler.report())

    @memlens.profile_memory
    def load(): ...

    before = memlens.take_heap_snapshot()
    work()
    print(memlens.compare_snapshots(before, memlens.take_heap_snapshot()))
    print(memlens.why_alive(obj), memlens.retained_size(obj))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memlens.allocations.blocks.result import BlockResult
    from memlens.allocations.profile.allocation_profile import AllocationProfile
    from memlens.allocations.profile.rows import AllocationRow
    from memlens.allocations.profiler import AllocationProfiler
    from memlens.allocations.tracing.trace_store import TraceStore
    from memlens.allocations.tracker import AllocationTracker
    from memlens.decorators import memory_block, profile_memory
    from memlens.errors import (
        CaptureError,
        CaptureTimeoutError,
        ComparisonError,
        MemlensError,
        MissingExtraError,
        NotInSnapshotError,
        OptionError,
        OutputError,
        ScriptError,
        SnapshotFileError,
        TracingError,
    )
    from memlens.files import export, load
    from memlens.heap.capture.forked import SnapshotProgress, SnapshotTask
    from memlens.heap.capture.take import start_heap_snapshot, take_heap_snapshot
    from memlens.heap.comparison import HeapComparison, TypeChange
    from memlens.heap.graph.allocation_sites import SiteShare
    from memlens.heap.graph.node import Node
    from memlens.heap.graph.paths import Hop, RetentionPath, RetentionPathFinder
    from memlens.heap.live import Retention, retained_size, why_alive
    from memlens.heap.live_search import draw_referrers, find_live_path
    from memlens.heap.snapshot import HeapSnapshot, compare_snapshots
    from memlens.heap.views.branch import Branch
    from memlens.heap.views.dominators import BigDrop, BigDrops, Dominators
    from memlens.heap.views.duplicates import DuplicateGroup, Duplicates
    from memlens.heap.views.node_set import NodeSet
    from memlens.heap.views.referrers import Referrers
    from memlens.heap.views.sparse_collections import SparseCollection, SparseCollections
    from memlens.heap.views.statistics import Statistics, StatisticsRow
    from memlens.heap.views.summary import Summary, SummaryRow
    from memlens.leaks.leak_report import LeakReport, find_leaks
    from memlens.leaks.scope import Scope, scope
    from memlens.leaks.scope_report import ScopeReport, ScopeSurvivors
    from memlens.leaks.stated_bounds import BoundedHolder
    from memlens.leaks.suspects import LeakSuspect
    from memlens.process.detector.alert import DetectorReport, LeakAlert, Verdict
    from memlens.process.detector.leak_detector import MemoryLeakDetector, check_iterations
    from memlens.process.memory_breakdown import MemoryBreakdown, breakdown
    from memlens.process.reading import MemoryReading, read_memory
    from memlens.process.sampler import MemorySampler
    from memlens.profiler.memory_profiler import MemoryProfiler
    from memlens.profiler.profiler_report import ProfilerReport, SnapshotRecord
    from memlens.progress import progress_bar

__version__ = "0.1.0"

__all__ = (
    "AllocationProfile",
    "AllocationProfiler",
    "AllocationRow",
    "AllocationTracker",
    "BigDrop",
    "BigDrops",
    "BlockResult",
    "BoundedHolder",
    "Branch",
    "CaptureError",
    "CaptureTimeoutError",
    "ComparisonError",
    "DetectorReport",
    "Dominators",
    "DuplicateGroup",
    "Duplicates",
    "HeapComparison",
    "HeapSnapshot",
    "Hop",
    "LeakAlert",
    "LeakReport",
    "LeakSuspect",
    "MemlensError",
    "MemoryBreakdown",
    "MemoryLeakDetector",
    "MemoryProfiler",
    "MemoryReading",
    "MemorySampler",
    "MissingExtraError",
    "Node",
    "NodeSet",
    "NotInSnapshotError",
    "OptionError",
    "OutputError",
    "ProfilerReport",
    "Referrers",
    "Retention",
    "RetentionPath",
    "RetentionPathFinder",
    "Scope",
    "ScopeReport",
    "ScopeSurvivors",
    "ScriptError",
    "SiteShare",
    "SnapshotFileError",
    "SnapshotProgress",
    "SnapshotRecord",
    "SnapshotTask",
    "SparseCollection",
    "SparseCollections",
    "Statistics",
    "StatisticsRow",
    "Summary",
    "SummaryRow",
    "TraceStore",
    "TracingError",
    "TypeChange",
    "Verdict",
    "breakdown",
    "check_iterations",
    "compare_snapshots",
    "draw_referrers",
    "export",
    "find_leaks",
    "find_live_path",
    "load",
    "memory_block",
    "profile_memory",
    "progress_bar",
    "read_memory",
    "retained_size",
    "scope",
    "start_heap_snapshot",
    "take_heap_snapshot",
    "why_alive",
)

# Loaded when first used: a service that only imports memlens pays for nothing else.
_HOMES = {
    "memlens.allocations.blocks.result": ("BlockResult",),
    "memlens.allocations.profile.allocation_profile": ("AllocationProfile",),
    "memlens.allocations.profile.rows": ("AllocationRow",),
    "memlens.allocations.profiler": ("AllocationProfiler",),
    "memlens.allocations.tracing.trace_store": ("TraceStore",),
    "memlens.allocations.tracker": ("AllocationTracker",),
    "memlens.decorators": (
        "memory_block",
        "profile_memory",
    ),
    "memlens.errors": (
        "CaptureError",
        "CaptureTimeoutError",
        "ComparisonError",
        "MemlensError",
        "MissingExtraError",
        "NotInSnapshotError",
        "OptionError",
        "OutputError",
        "ScriptError",
        "SnapshotFileError",
        "TracingError",
    ),
    "memlens.files": (
        "export",
        "load",
    ),
    "memlens.heap.capture.take": ("start_heap_snapshot", "take_heap_snapshot"),
    "memlens.heap.capture.forked": ("SnapshotProgress", "SnapshotTask"),
    "memlens.heap.comparison": (
        "HeapComparison",
        "TypeChange",
    ),
    "memlens.heap.live": ("Retention", "retained_size", "why_alive"),
    "memlens.heap.live_search": ("draw_referrers", "find_live_path"),
    "memlens.heap.graph.node": ("Node",),
    "memlens.heap.graph.paths": (
        "Hop",
        "RetentionPath",
        "RetentionPathFinder",
    ),
    "memlens.heap.graph.allocation_sites": ("SiteShare",),
    "memlens.heap.snapshot": (
        "HeapSnapshot",
        "compare_snapshots",
    ),
    "memlens.heap.views.dominators": ("BigDrop", "BigDrops", "Dominators"),
    "memlens.heap.views.duplicates": ("DuplicateGroup", "Duplicates"),
    "memlens.heap.views.referrers": ("Referrers",),
    "memlens.heap.views.node_set": ("NodeSet",),
    "memlens.heap.views.sparse_collections": ("SparseCollection", "SparseCollections"),
    "memlens.heap.views.statistics": ("Statistics", "StatisticsRow"),
    "memlens.heap.views.summary": ("Summary", "SummaryRow"),
    "memlens.heap.views.branch": ("Branch",),
    "memlens.leaks.stated_bounds": ("BoundedHolder",),
    "memlens.leaks.leak_report": ("LeakReport", "find_leaks"),
    "memlens.leaks.scope": (
        "Scope",
        "scope",
    ),
    "memlens.leaks.scope_report": (
        "ScopeReport",
        "ScopeSurvivors",
    ),
    "memlens.leaks.suspects": ("LeakSuspect",),
    "memlens.process.memory_breakdown": (
        "MemoryBreakdown",
        "breakdown",
    ),
    "memlens.process.detector.alert": (
        "DetectorReport",
        "LeakAlert",
        "Verdict",
    ),
    "memlens.process.detector.leak_detector": (
        "MemoryLeakDetector",
        "check_iterations",
    ),
    "memlens.process.reading": (
        "MemoryReading",
        "read_memory",
    ),
    "memlens.process.sampler": ("MemorySampler",),
    "memlens.profiler.memory_profiler": ("MemoryProfiler",),
    "memlens.progress": ("progress_bar",),
    "memlens.profiler.profiler_report": (
        "ProfilerReport",
        "SnapshotRecord",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    import importlib

    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'memlens' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
