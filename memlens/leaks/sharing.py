"""What a holder is responsible for: the new objects that it reaches, shared out among holders.

BLeak's LeakShare: Vilk and Berger, PLDI 2018.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from memlens._core.layout import NodeFlag
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import NativeKind
from memlens.leaks.growth import Growth, Holder

__all__ = ("reach", "share_out")

_MAX_ROUNDS = 4  # each finds what lies behind one more object that was taken for another


def reach(growth: Growth, holders: Iterable[Holder]) -> None:
    """Fill in all the new objects that each holder reaches through new objects."""
    graph = growth.last
    marks: dict[int, array[int]] = {}
    for holder in holders:
        if holder.start not in marks:
            marks[holder.start] = _new_objects(growth, holder.start)
        gained = _reached(graph, marks[holder.start], array("I", holder.entries))
        if holder.node in gained:
            gained.remove(holder.node)
        holder.gained = gained


def _reached(graph: HeapGraph, mark: array[int], entries: array[int]) -> array[int]:
    """Return the marked nodes that some entries reach, also behind what only marked nodes hold."""
    for _ in range(_MAX_ROUNDS):
        gained = checked_core.reach_marked(
            graph.edge_offset, graph.edge_target, graph.edge_label, mark, entries
        )
        behind = _behind_unmarked(graph, mark, gained)
        if not behind:
            break
        entries.extend(behind)
    return gained


def _behind_unmarked(graph: HeapGraph, mark: array[int], gained: array[int]) -> set[int]:
    """Return marked nodes that were not reached, behind unmarked ones that marked ones dominate.

    The interpreter uses the memory of small lists and tuples again at once, so that a new one may be
    taken for one that is gone. If nothing but new objects holds it, what it refers to is theirs.
    """
    dominator, offset, targets = graph.dominators.dominator, graph.edge_offset, graph.edge_target
    passed = {
        target
        for node in gained
        for target in targets[offset[node] : offset[node + 1]]
        if dominator[target] == node and not mark[target]
    }
    waiting, found = [*passed], set[int]()
    for node in waiting:
        for target in graph.strong_targets(node):
            if mark[target]:
                found.add(target)
            elif dominator[target] == node and target not in passed:
                passed.add(target)
                waiting.append(target)
    return found.difference(gained)


def _new_objects(growth: Growth, since: int) -> array[int]:
    """Mark what was born after a snapshot, without modules and their namespaces."""
    mark = growth.born_since(since)[:]
    for node in growth.last.modules:  # what refers to a function does not hold its module
        mark[node] = 0
    return mark


def share_out(growth: Growth, holders: Sequence[Holder]) -> None:
    """Give each holder its share of the bytes: what n holders reach counts one n-th for each."""
    offset, nodes = array("Q", [0]), array("I")
    for holder in holders:
        nodes.extend(array("I", holder.gained))
        offset.append(len(nodes))
    shares = checked_core.share_sizes(growth.last.node_size, offset, nodes)
    for holder, share in zip(holders, shares, strict=True):
        holder.share_bytes = share
        if holder.shape == "buffer":
            holder.share_bytes = holder.lengths[-1] - holder.lengths[0]
        elif holder.shape in ("container", "cluster"):  # its own table grew with it
            holder.share_bytes += sum(
                _own_growth(growth, node) for node in holder.members or (holder.node,)
            )
    if growth.last.native is not None:
        _share_native(growth, holders)


def _share_native(growth: Growth, holders: Sequence[Holder]) -> None:
    """Fill in which part of each holder's share is native memory, by device and library."""
    graph = growth.last
    assert graph.native is not None
    flags, native = graph.node_flags, int(NodeFlag.NATIVE)
    blocks = [[node for node in holder.gained if flags[node] & native] for holder in holders]
    counts = Counter(chain.from_iterable(blocks))
    for holder, nodes in zip(holders, blocks, strict=True):
        found: dict[NativeKind, float] = {}
        for node in nodes:
            kind = graph.native.kind_of(node)
            if kind is not None:
                found[kind] = found.get(kind, 0.0) + graph.node_size[node] / counts[node]
        own = graph.native.kind_of(holder.node)
        if holder.shape == "buffer" and own is not None:
            found[own] = holder.share_bytes
        holder.native_bytes = found


def _own_growth(growth: Growth, node: int) -> int:
    born = growth.births[node]
    was = growth.history(node)[0]
    return max(0, growth.last.node_size[node] - growth.graphs[born].node_size[was])
