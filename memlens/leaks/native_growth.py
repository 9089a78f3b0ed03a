"""NativeGrowth: native memory that grew, by library and device, and where it accumulated."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memlens._display import displayed
from memlens._text import format_change
from memlens.heap.graph import checked_core
from memlens.heap.graph.dominator_tree import DominatorTree
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.matching import program_blocks, unmatched_blocks
from memlens.heap.graph.native_blocks import NativeKind
from memlens.heap.graph.paths import RetentionPathFinder
from memlens.heap.views.accumulation import Accumulation, accumulations

__all__ = (
    "NativeGrowth",
    "incomplete_notes",
    "largest_growth_first",
    "native_growth",
    "native_text",
)

MIN_GROWTH_BYTES = 64 * 1024  # of one library on one device; less says nothing of a process


@displayed
@dataclass(frozen=True, slots=True)
class NativeGrowth:
    """Native memory of one library on one device that grew, in bytes.

    ``holder``: the path of the object that most of it hangs on, where it is not that of a suspect.
    """

    library: str
    device: str
    growth_bytes: int
    holder: str = ""

    def __repr__(self) -> str:
        return f"<NativeGrowth {self}>"

    def __str__(self) -> str:
        kind = NativeKind(self.device, self.library)
        held = f", held by {self.holder}" if self.holder else ""
        return f"{format_change(self.growth_bytes)} native ({kind}){held}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def largest_growth_first(sizes: Mapping[NativeKind, float]) -> tuple[NativeGrowth, ...]:
    """Return the growth of each kind of memory, without those that did not grow."""
    grown = [
        NativeGrowth(kind.library, kind.device, round(size))
        for kind, size in sizes.items()
        if round(size) > 0
    ]
    return tuple(sorted(grown, key=lambda one: (-one.growth_bytes, one.library, one.device)))


def native_growth(before: HeapGraph, after: HeapGraph) -> tuple[NativeGrowth, ...] | None:
    """Return which native memory with known holders grew between two heaps, most bytes first.

    What only memlens holds is left out, such as the mapped files of snapshots that are open.
    None where a heap does not record native memory.
    """
    if any("native_node" not in graph.sections for graph in (before, after)):
        return None
    change = _sizes(after)
    change.subtract(_sizes(before))
    grown = {kind: size for kind, size in change.items() if size >= MIN_GROWTH_BYTES}
    if not grown:
        return ()
    without_paths = [graph for graph in (before, after) if not graph.has_paths]
    found = []
    for one in largest_growth_first(grown):
        kind = NativeKind(one.device, one.library)
        holder = _holder(before, after, kind, one.growth_bytes)
        found.append(NativeGrowth(one.library, one.device, one.growth_bytes, holder))
    for graph in without_paths:
        graph.forget_paths()
    return tuple(found)


def native_text(growth: Iterable[NativeGrowth] | None, incomplete: Sequence[str] = ()) -> str:
    """Return a text about `native_growth`, ``""`` where native memory is not recorded.

    ``incomplete``: what adapters of libraries could not see.
    """
    if growth is None:
        return ""
    grown = "; ".join(map(str, growth))
    text = "None of the native memory with known holders grew."
    if grown:
        text = f"Native memory with known holders: {grown}."
    return text + "".join(f" Not complete: {note}." for note in incomplete)


def incomplete_notes(*graphs: HeapGraph) -> tuple[str, ...]:
    """Return what adapters of libraries could not see in some heaps, each text once."""
    notes = [str(one) for graph in graphs for one in graph.adapter_notes if not one.is_complete]
    return tuple(dict.fromkeys(notes))


def _sizes(graph: HeapGraph) -> Counter[NativeKind]:
    found: Counter[NativeKind] = Counter()
    for node, kind in program_blocks(graph):
        found[kind] += graph.node_size[node]
    return found


def _holder(before: HeapGraph, after: HeapGraph, kind: NativeKind, growth_bytes: int) -> str:
    """Return the path of the object that retains most of the growth; ``""`` without such.

    Blocks of the same place that have gone are subtracted from new ones: a buffer that was replaced
    has not grown. What has gone from other places may be that of any holder.
    """
    new = array("I", unmatched_blocks(before, after, kind))
    gone = array("I", unmatched_blocks(after, before, kind))
    gone_bytes = sum(map(before.node_size.__getitem__, gone))
    grown_at = _accumulations(after, new)
    if not grown_at or 2 * grown_at[0].size_bytes < growth_bytes:
        return ""
    if 2 * gone_bytes < growth_bytes:
        return _path(after, grown_at[0])
    change = _by_path(after, grown_at)
    lost = _by_path(before, _accumulations(before, gone))
    for path in change:
        change[path] -= lost[path]
        gone_bytes -= lost[path]
    path, most = change.most_common(1)[0]
    return path if 2 * (most - gone_bytes) >= growth_bytes else ""


def _accumulations(graph: HeapGraph, blocks: array[int]) -> list[Accumulation]:
    """Return the objects in which some blocks accumulate, most bytes first."""
    tree = DominatorTree(graph.dominators.dominator, graph.dominators.retained)  # own, to be freed
    return accumulations(graph, _retained(graph, blocks), tree)


def _by_path(graph: HeapGraph, found: Iterable[Accumulation]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for one in found:
        sizes[_path(graph, one)] += one.size_bytes
    return sizes


def _path(graph: HeapGraph, found: Accumulation) -> str:
    path = RetentionPathFinder(graph).path_to(found.node)
    return "" if path is None else str(path)


def _retained(graph: HeapGraph, blocks: array[int]) -> array[int]:
    """Return how many bytes of some blocks each node retains."""
    part = array("Q", bytes(8 * graph.node_count))
    for node in blocks:
        part[node] = graph.node_size[node]
    return checked_core.subtree_sums(graph.dominators.dominator, part)
