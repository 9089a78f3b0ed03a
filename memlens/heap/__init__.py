"""Heap snapshots: capture all objects of a process, and ask what keeps them alive.

::

    from memlens.heap import take_heap_snapshot

    snapshot = take_heap_snapshot("app.memlens")
    print(snapshot.summary())
    print(snapshot.retention_paths(snapshot.largest(1)[0])[0].tree())

The functions capture the heap or answer a question about one live object. The classes are what
they, and the methods of a `HeapSnapshot`, return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memlens._lazy import lazy_exports

if TYPE_CHECKING:
    from memlens._core.layout import EdgeKind
    from memlens._frame import Frame
    from memlens.heap.capture.forked import SnapshotProgress, SnapshotTask
    from memlens.heap.capture.take import start_heap_snapshot, take_heap_snapshot
    from memlens.heap.comparison import HeapComparison, TypeChange
    from memlens.heap.graph.allocation_sites import AllocationSites, SiteShare
    from memlens.heap.graph.dominator_tree import DominatorTree
    from memlens.heap.graph.heap_graph import Edge, HeapGraph
    from memlens.heap.graph.native_blocks import AdapterNote, NativeBlocks, NativeKind
    from memlens.heap.graph.node import Node
    from memlens.heap.graph.paths import Hop, RetentionPath, RetentionPathFinder
    from memlens.heap.live import Retention, retained_size, why_alive
    from memlens.heap.live_search import draw_referrers, find_live_path
    from memlens.heap.snapshot import HeapSnapshot, compare_snapshots
    from memlens.heap.views.branch import Branch
    from memlens.heap.views.containment import Containment, ContainmentGroup
    from memlens.heap.views.devices import DeviceHolder, DeviceRow, DeviceSummary
    from memlens.heap.views.dominators import BigDrop, BigDrops, Dominators
    from memlens.heap.views.duplicates import DuplicateGroup, Duplicates
    from memlens.heap.views.node_set import NodeSet
    from memlens.heap.views.referrers import Referrers
    from memlens.heap.views.sparse_collections import SparseCollection, SparseCollections
    from memlens.heap.views.statistics import Statistics, StatisticsRow
    from memlens.heap.views.summary import Summary, SummaryRow

__all__ = (
    "AdapterNote",
    "AllocationSites",
    "BigDrop",
    "BigDrops",
    "Branch",
    "Containment",
    "ContainmentGroup",
    "DeviceHolder",
    "DeviceRow",
    "DeviceSummary",
    "DominatorTree",
    "Dominators",
    "DuplicateGroup",
    "Duplicates",
    "Edge",
    "EdgeKind",
    "Frame",
    "HeapComparison",
    "HeapGraph",
    "HeapSnapshot",
    "Hop",
    "NativeBlocks",
    "NativeKind",
    "Node",
    "NodeSet",
    "Referrers",
    "Retention",
    "RetentionPath",
    "RetentionPathFinder",
    "SiteShare",
    "SnapshotProgress",
    "SnapshotTask",
    "SparseCollection",
    "SparseCollections",
    "Statistics",
    "StatisticsRow",
    "Summary",
    "SummaryRow",
    "TypeChange",
    "compare_snapshots",
    "draw_referrers",
    "find_live_path",
    "retained_size",
    "start_heap_snapshot",
    "take_heap_snapshot",
    "why_alive",
)

_HOMES = {
    "memlens._core.layout": ("EdgeKind",),
    "memlens._frame": ("Frame",),
    "memlens.heap.capture.forked": ("SnapshotProgress", "SnapshotTask"),
    "memlens.heap.capture.take": ("start_heap_snapshot", "take_heap_snapshot"),
    "memlens.heap.comparison": ("HeapComparison", "TypeChange"),
    "memlens.heap.graph.allocation_sites": ("AllocationSites", "SiteShare"),
    "memlens.heap.graph.dominator_tree": ("DominatorTree",),
    "memlens.heap.graph.heap_graph": ("Edge", "HeapGraph"),
    "memlens.heap.graph.native_blocks": ("AdapterNote", "NativeBlocks", "NativeKind"),
    "memlens.heap.graph.node": ("Node",),
    "memlens.heap.graph.paths": ("Hop", "RetentionPath", "RetentionPathFinder"),
    "memlens.heap.live": ("Retention", "retained_size", "why_alive"),
    "memlens.heap.live_search": ("draw_referrers", "find_live_path"),
    "memlens.heap.snapshot": ("HeapSnapshot", "compare_snapshots"),
    "memlens.heap.views.branch": ("Branch",),
    "memlens.heap.views.containment": ("Containment", "ContainmentGroup"),
    "memlens.heap.views.devices": ("DeviceHolder", "DeviceRow", "DeviceSummary"),
    "memlens.heap.views.dominators": ("BigDrop", "BigDrops", "Dominators"),
    "memlens.heap.views.duplicates": ("DuplicateGroup", "Duplicates"),
    "memlens.heap.views.node_set": ("NodeSet",),
    "memlens.heap.views.referrers": ("Referrers",),
    "memlens.heap.views.sparse_collections": ("SparseCollection", "SparseCollections"),
    "memlens.heap.views.statistics": ("Statistics", "StatisticsRow"),
    "memlens.heap.views.summary": ("Summary", "SummaryRow"),
}
__getattr__, __dir__ = lazy_exports(__name__, _HOMES)
