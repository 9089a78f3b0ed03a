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

What these functions and methods return, and the errors that they raise, can be imported from
`memlens.heap`, `memlens.process`, `memlens.allocations`, `memlens.leaks` and `memlens.errors`.

(PYTEST_DONT_REWRITE: the plugin for pytest may find this package imported already.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens.allocations.profiler import AllocationProfiler
    from memlens.allocations.tracing.trace_store import TraceStore
    from memlens.allocations.tracker import AllocationTracker
    from memlens.decorators import memory_block, profile_memory
    from memlens.errors import MemlensError
    from memlens.files import export, load
    from memlens.heap.capture.take import start_heap_snapshot, take_heap_snapshot
    from memlens.heap.live import retained_size, why_alive
    from memlens.heap.native.blocks import NativeBlock
    from memlens.heap.native.registry import register_native, unregister_native
    from memlens.heap.snapshot import HeapSnapshot, compare_snapshots
    from memlens.leaks.leak_report import LeakReport, find_leaks
    from memlens.leaks.scopes import scope
    from memlens.leaks.suspects import LeakSuspect
    from memlens.lifetimes.closing import watch_closed
    from memlens.lifetimes.expectations import assert_collected, expect_collected
    from memlens.process.detector.leak_detector import MemoryLeakDetector, check_iterations
    from memlens.process.memory_breakdown import breakdown
    from memlens.process.reading import read_memory
    from memlens.process.sampler import MemorySampler
    from memlens.profiler.memory_profiler import MemoryProfiler
    from memlens.progress import progress_bar
    from memlens.stuck.stuck_report import stuck_tasks

__version__ = "0.1.0"

__all__ = (
    "AllocationProfiler",
    "AllocationTracker",
    "HeapSnapshot",
    "LeakReport",
    "LeakSuspect",
    "MemlensError",
    "MemoryLeakDetector",
    "MemoryProfiler",
    "MemorySampler",
    "NativeBlock",
    "TraceStore",
    "assert_collected",
    "breakdown",
    "check_iterations",
    "compare_snapshots",
    "expect_collected",
    "export",
    "find_leaks",
    "load",
    "memory_block",
    "profile_memory",
    "progress_bar",
    "read_memory",
    "register_native",
    "retained_size",
    "scope",
    "start_heap_snapshot",
    "stuck_tasks",
    "take_heap_snapshot",
    "unregister_native",
    "watch_closed",
    "why_alive",
)

# Loaded when first used: a service that only imports memlens pays for nothing else.
_HOMES = {
    "memlens.allocations.profiler": ("AllocationProfiler",),
    "memlens.allocations.tracing.trace_store": ("TraceStore",),
    "memlens.allocations.tracker": ("AllocationTracker",),
    "memlens.decorators": ("memory_block", "profile_memory"),
    "memlens.errors": ("MemlensError",),
    "memlens.files": ("export", "load"),
    "memlens.heap.capture.take": ("start_heap_snapshot", "take_heap_snapshot"),
    "memlens.heap.live": ("retained_size", "why_alive"),
    "memlens.heap.native.blocks": ("NativeBlock",),
    "memlens.heap.native.registry": ("register_native", "unregister_native"),
    "memlens.heap.snapshot": ("HeapSnapshot", "compare_snapshots"),
    "memlens.leaks.leak_report": ("LeakReport", "find_leaks"),
    "memlens.leaks.scopes": ("scope",),
    "memlens.leaks.suspects": ("LeakSuspect",),
    "memlens.lifetimes.closing": ("watch_closed",),
    "memlens.lifetimes.expectations": ("assert_collected", "expect_collected"),
    "memlens.process.detector.leak_detector": ("MemoryLeakDetector", "check_iterations"),
    "memlens.process.memory_breakdown": ("breakdown",),
    "memlens.process.reading": ("read_memory",),
    "memlens.process.sampler": ("MemorySampler",),
    "memlens.profiler.memory_profiler": ("MemoryProfiler",),
    "memlens.progress": ("progress_bar",),
    "memlens.stuck.stuck_report": ("stuck_tasks",),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)


def load_ipython_extension(ipython: Any) -> None:
    """Register ``%%memory``, ``%why_alive`` and ``%leaks``: ``%load_ext memlens`` calls this."""
    from memlens.integrations.ipython import load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Remove the magics again: ``%unload_ext memlens`` calls this."""
    from memlens.integrations.ipython import unload

    unload(ipython)
