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
    from memlens.allocations.tracing import TraceStore
    from memlens.decorators import BlockResult, memory_block, profile_memory
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
    from memlens.files import load
    from memlens.heap.capture import start_heap_snapshot, take_heap_snapshot
    from memlens.heap.comparison import HeapComparison, TypeChange
    from memlens.heap.forked import SnapshotProgress, SnapshotTask
    from memlens.heap.live import (
        Retention,
        draw_referrers,
        find_live_path,
        retained_size,
        why_alive,
    )
    from memlens.heap.node import Node
    from memlens.heap.paths import Hop, RetentionPath, RetentionPathFinder
    from memlens.heap.snapshot import HeapSnapshot, compare_snapshots
    from memlens.heap.views.domination import BigDrop, BigDrops, Dominators
    from memlens.heap.views.duplicates import DuplicateGroup, Duplicates
    from memlens.heap.views.retainers import Retainers
    from memlens.heap.views.selection import NodeSet
    from memlens.heap.views.sparse import SparseCollection, SparseCollections
    from memlens.heap.views.statistics import Statistics, StatisticsRow
    from memlens.heap.views.summary import Summary, SummaryRow
    from memlens.heap.views.tree import Branch
    from memlens.leaks.report import LeakReport
    from memlens.leaks.scope import Scope, scope
    from memlens.leaks.scope_report import ScopeReport, ScopeSurvivors
    from memlens.leaks.suspects import LeakSuspect, find_leaks
    from memlens.process.accounting import MemoryBreakdown, breakdown
    from memlens.process.alert import DetectorReport, LeakAlert, Verdict
    from memlens.process.detector import MemoryLeakDetector, check_iterations
    from memlens.process.reading import MemoryReading, read_memory
    from memlens.process.sampler import MemorySampler
    from memlens.profiler import MemoryProfiler
    from memlens.report.progress import progress_bar
    from memlens.watch.records import ProfilerReport, SnapshotRecord

__version__ = "0.1.0"

__all__ = (
    "BigDrop",
    "BigDrops",
    "BlockResult",
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
    "Retainers",
    "Retention",
    "RetentionPath",
    "RetentionPathFinder",
    "Scope",
    "ScopeReport",
    "ScopeSurvivors",
    "ScriptError",
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
    "memlens.allocations.tracing": ("TraceStore",),
    "memlens.decorators": (
        "BlockResult",
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
    "memlens.files": ("load",),
    "memlens.heap.capture": ("start_heap_snapshot", "take_heap_snapshot"),
    "memlens.heap.forked": ("SnapshotProgress", "SnapshotTask"),
    "memlens.heap.comparison": (
        "HeapComparison",
        "TypeChange",
    ),
    "memlens.heap.live": (
        "Retention",
        "draw_referrers",
        "find_live_path",
        "retained_size",
        "why_alive",
    ),
    "memlens.heap.node": ("Node",),
    "memlens.heap.paths": (
        "Hop",
        "RetentionPath",
        "RetentionPathFinder",
    ),
    "memlens.heap.snapshot": (
        "HeapSnapshot",
        "compare_snapshots",
    ),
    "memlens.heap.views.domination": ("BigDrop", "BigDrops", "Dominators"),
    "memlens.heap.views.duplicates": ("DuplicateGroup", "Duplicates"),
    "memlens.heap.views.retainers": ("Retainers",),
    "memlens.heap.views.selection": ("NodeSet",),
    "memlens.heap.views.sparse": ("SparseCollection", "SparseCollections"),
    "memlens.heap.views.statistics": ("Statistics", "StatisticsRow"),
    "memlens.heap.views.summary": ("Summary", "SummaryRow"),
    "memlens.heap.views.tree": ("Branch",),
    "memlens.leaks.report": ("LeakReport",),
    "memlens.leaks.scope": (
        "Scope",
        "scope",
    ),
    "memlens.leaks.scope_report": (
        "ScopeReport",
        "ScopeSurvivors",
    ),
    "memlens.leaks.suspects": (
        "LeakSuspect",
        "find_leaks",
    ),
    "memlens.process.accounting": (
        "MemoryBreakdown",
        "breakdown",
    ),
    "memlens.process.alert": (
        "DetectorReport",
        "LeakAlert",
        "Verdict",
    ),
    "memlens.process.detector": (
        "MemoryLeakDetector",
        "check_iterations",
    ),
    "memlens.process.reading": (
        "MemoryReading",
        "read_memory",
    ),
    "memlens.process.sampler": ("MemorySampler",),
    "memlens.profiler": ("MemoryProfiler",),
    "memlens.report.progress": ("progress_bar",),
    "memlens.watch.records": (
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
