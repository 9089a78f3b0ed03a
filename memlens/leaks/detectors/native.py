"""Objects that native code, or the interpreter itself, holds: more of one type each time.

No object of the heap refers to them: their reference counts say that something does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from memlens.leaks.detectors.accumulating_places import follow_elements
from memlens.leaks.gates import is_leak
from memlens.leaks.growth import Growth, Holder

__all__ = ("held_natively", "references_from_outside")


def held_natively(growth: Growth, holders: Iterable[Holder]) -> list[Holder]:
    """Return a holder for each type of which ever more objects are held from outside the heap.

    Objects that a known holder has gained are its own: an extension may refer to them besides.
    """
    explained: set[int] = set()
    for holder in holders:
        explained.update(holder.gained)
        explained.update(holder.entries)
    found = []
    for key, nodes in growth.places(growth.end).external.items():
        through = [set(growth.places(step).external.get(key, ())) for step in range(growth.end)]
        through.append(set(nodes) - explained)
        lengths = [len(one) for one in through]
        if lengths[-1] <= lengths[0]:
            continue
        contents, arrival = follow_elements(growth, through, lengths)
        entries = [node for node, when in arrival.items() if when]
        if is_leak(contents) and entries:
            found.append(Holder(entries[0], "native", 0, tuple(lengths), entries))
    return found


def references_from_outside(growth: Growth, nodes: Collection[int]) -> int:
    """Return how many references to some nodes of the last graph no object explains."""
    graph, wanted = growth.last, set(nodes)
    return sum(
        graph.root_count[root]
        for root, target in enumerate(graph.edge_target[: graph.root_count_total])
        if target in wanted
    )
