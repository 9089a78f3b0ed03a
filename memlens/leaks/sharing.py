"""What a holder is responsible for: the new objects that it reaches, shared out among holders.

BLeak's LeakShare: Vilk and Berger, PLDI 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memlens._core.layout import KIND_MASK, EdgeKind
from memlens.leaks.growth import Growth, Holder

__all__ = ("reach", "share_out")

_WEAK = int(EdgeKind.WEAK)


def reach(growth: Growth, holders: Iterable[Holder]) -> None:
    """Fill in all the new objects that each holder reaches through new objects."""
    graph, new = growth.last, growth.new
    offsets, targets, labels = graph.edge_offset, graph.edge_target, graph.edge_label
    for holder in holders:
        seen: dict[int, None] = dict.fromkeys(holder.entries)
        stack = list(seen)
        while stack:  # over millions of objects: no calls in here
            node = stack.pop()
            start, end = offsets[node], offsets[node + 1]
            for target, label in zip(targets[start:end], labels[start:end], strict=True):
                if new[target] and target not in seen and label & KIND_MASK != _WEAK:
                    seen[target] = None
                    stack.append(target)
        seen.pop(holder.node, None)
        holder.gained = list(seen)


def share_out(growth: Growth, holders: Sequence[Holder]) -> None:
    """Give each holder its share of the bytes: what n holders reach counts one n-th for each."""
    reached: dict[int, int] = {}
    for holder in holders:
        for node in holder.gained:
            reached[node] = reached.get(node, 0) + 1
    sizes = growth.last.node_size
    for holder in holders:
        holder.share_bytes = sum(sizes[node] / reached[node] for node in holder.gained)
        if holder.shape == "buffer":
            holder.share_bytes = holder.lengths[-1] - holder.lengths[0]
        elif holder.shape in ("container", "cluster"):  # its own table grew with it
            holder.share_bytes += sum(
                _own_growth(growth, node) for node in holder.members or (holder.node,)
            )


def _own_growth(growth: Growth, node: int) -> int:
    old = growth.same[0][node]
    return max(0, growth.last.node_size[node] - growth.graphs[0].node_size[old])
