"""Objects that native code, or the interpreter itself, holds: more of one type each time.

No object of the heap refers to them: their reference counts say that something does.
"""

from __future__ import annotations

from collections.abc import Collection

from memlens._core.layout import NONE, RootKind
from memlens.leaks.growth import HIDDEN, Growth, Holder, rises

__all__ = ("held_natively", "references_from_outside")


def held_natively(growth: Growth, holders: Collection[Holder]) -> list[Holder]:
    """Return a holder for each type of which ever more objects are held from outside the heap.

    Objects that a known holder has gained are its own: an extension may refer to them besides.
    """
    explained: set[int] = set()
    for holder in holders:
        explained.update(holder.gained)
    steps = range(1, len(growth.graphs))
    by_type = [_new_external(growth, step) for step in steps]
    found = []
    for type_name, nodes in by_type[-1].items():
        nodes = [node for node in nodes if node not in explained]
        counts = (0, *(len(one.get(type_name, ())) for one in by_type[:-1]), len(nodes))
        if rises(counts):
            found.append(Holder(nodes[0], "native", counts, nodes))
    return found


def references_from_outside(growth: Growth, nodes: Collection[int]) -> int:
    """Return how many references to some nodes of the last graph no object explains."""
    graph, wanted = growth.last, set(nodes)
    return sum(
        graph.root_count[root]
        for root, target in enumerate(graph.edge_target[: graph.root_count_total])
        if target in wanted
    )


def _new_external(growth: Growth, step: int) -> dict[str, list[int]]:
    """Group the nodes of a graph that only native code holds and that were not in the first."""
    graph, same = growth.graphs[step], growth.in_first(step)
    dominator, flags = graph.dominators.dominator, graph.flags
    groups: dict[str, list[int]] = {}
    for root, kind in enumerate(graph.root_kind):
        if kind != RootKind.EXTERNAL:
            continue
        node = graph.edge_target[root]
        if same[node] == NONE and dominator[node] == 0 and not flags[node] & HIDDEN:
            groups.setdefault(graph.type_of(node), []).append(node)
    return groups
