"""Build the edge sections: the edges to the roots, of the walk, and those found later."""

from __future__ import annotations

from array import array
from itertools import accumulate, compress

from memlens._core.layout import EdgeKind
from memlens._core.pure.labels import label
from memlens._core.pure.roots import Root
from memlens._core.pure.walk import WalkedHeap

__all__ = ("count_inbound", "drop_hidden", "edge_sections", "find_reached")

LateEdges = dict[int, list[tuple[int, int]]]


def count_inbound(heap: WalkedHeap) -> list[int]:
    """Return the number of strong edges of the walk to each node."""
    inbound = [0] * len(heap.objects)
    for target in heap.targets:
        inbound[target] += 1
    return inbound


def find_reached(heap: WalkedHeap, late: LateEdges, roots: list[Root], known: int) -> bytearray:
    """Return a byte for each node: 1 if it is reachable from a root by strong references.

    The walk found the nodes below ``known`` from named roots, so they are reachable.
    """
    reached = bytearray(b"\1") * known + bytearray(len(heap.objects) - known)
    starts, targets = heap.starts, heap.targets
    stack = [root.node for root in roots if root.node >= known]
    for source, added in late.items():
        if source < known:
            stack += [target for target, _ in added]
    while stack:
        node = stack.pop()
        if not reached[node]:
            reached[node] = 1
            stack += targets[starts[node] : starts[node + 1]]
            if node in late:
                stack += [target for target, _ in late[node]]
    return reached


def edge_sections(heap: WalkedHeap, late: LateEdges, roots: list[Root]) -> dict[str, array[int]]:
    """Return the edges as compressed rows: those of the walk, late ones, weak ones."""
    added = {source: [*edges] for source, edges in late.items()}
    for source, target in heap.weak:
        added.setdefault(source, []).append((target, label(EdgeKind.WEAK)))
    starts = heap.starts
    targets = array("I", [root.node for root in roots])
    labels = array("I", [label(EdgeKind.INTERNAL)]) * len(targets)
    offsets = array("Q", [0])
    done = 1  # the first node whose edges are not copied yet
    for source in sorted(added):
        shift = len(targets) - starts[done]
        offsets.extend([start + shift for start in starts[done : source + 1]])
        targets += heap.targets[starts[done] : starts[source + 1]]
        labels += heap.labels[starts[done] : starts[source + 1]]
        targets.extend([target for target, _ in added[source]])
        labels.extend([edge_label for _, edge_label in added[source]])
        done = source + 1
    shift = len(targets) - starts[done]
    offsets.extend([start + shift for start in starts[done:]])
    targets += heap.targets[starts[done] :]
    labels += heap.labels[starts[done] :]
    return {"edge_offset": offsets, "edge_target": targets, "edge_label": labels}


def drop_hidden(heap: WalkedHeap) -> WalkedHeap:
    """Return the heap without edges to hidden objects, whose node is 0."""
    keep = [*map(bool, heap.targets)]
    before = array("Q", [0, *accumulate(keep)])
    return heap._replace(
        starts=array("Q", map(before.__getitem__, heap.starts)),
        targets=array("I", compress(heap.targets, keep)),
        labels=array("I", compress(heap.labels, keep)),
    )
