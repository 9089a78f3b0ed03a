"""Many containers of one place, each of which grows a little: one holder, summed.

`app.sessions['ada'].history` and `app.sessions['bob'].history` are one place: paths are compared
with their keys and positions as wildcards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memlens._core.layout import KIND_MASK, NONE, EdgeKind, NodeFlag
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath, RetentionPathFinder
from memlens.leaks.detectors.growing_containers import keeps_elements
from memlens.leaks.growth import Growth, Holder, rises

__all__ = ("cluster", "place_of")

_MAX_PATHS = 5000  # looked at; of more, those that changed the most
_WILD = "[*]"


def place_of(path: RetentionPath) -> str:
    """Return a path with keys and positions as wildcards: ``app.sessions[*].history``."""
    return path.root + "".join(
        _WILD if hop.kind in ("key", "index") and hop.text else hop.text for hop in path.hops
    )


def cluster(growth: Growth, changed: Iterable[tuple[int, tuple[int, ...]]]) -> list[Holder]:
    """Return the growing holders among containers that changed, those of one place as one.

    Containers that shrank count too: only where the sum rises is it growth.
    """
    ordered = sorted(changed, key=lambda one: -abs(one[1][-1] - one[1][0]))
    finder = RetentionPathFinder(growth.last)
    places: dict[tuple[str, str], list[tuple[int, tuple[int, ...]]]] = {}
    for node, lengths in ordered[:_MAX_PATHS]:
        path = finder.path_to(node)
        place = place_of(path) if path is not None else ""
        is_namespace = growth.last.has(node, NodeFlag.NAMESPACE)  # attributes are no elements
        if _WILD not in place or is_namespace:
            place = f"{node}"  # a place of its own
        places.setdefault((place, growth.last.type_of(node)), []).append((node, lengths))
    holders = [_holder(growth, members) for members in places.values()]
    return [holder for holder in holders if holder is not None]


def _moves_one_way(members: Sequence[tuple[int, tuple[int, ...]]]) -> bool:
    """Tell whether most of the change in each interval is growth.

    Containers that fill and are flushed, and new ones at the addresses of freed ones, move both
    ways: their sum may rise by chance.
    """
    for interval in range(len(members[0][1]) - 1):
        changes = [lengths[interval + 1] - lengths[interval] for _, lengths in members]
        if sum(changes) * 2 < sum(map(abs, changes)):
            return False
    return True


def _is_lasting(growth: Growth, grown: Sequence[int]) -> bool:
    """Tell whether the members are old containers that grew, not new ones at old addresses.

    Where more containers of that place are new than old ones grew, the place is one of comings and
    goings, in which addresses are used again.
    """
    graph, before = growth.last, growth.same[-1]
    if sum(keeps_elements(growth, before[node], node) for node in grown) * 2 <= len(grown):
        return False
    wanted = _role(graph, grown[0])
    rivals = growth.new_containers_of(graph.node_type[grown[0]])
    new = sum(1 for node in rivals if _role(graph, node) == wanted)
    return new <= len(grown)


def _role(graph: HeapGraph, node: int) -> tuple[int, int]:
    """Return under which name, in objects of which type, a node hangs."""
    edge = graph.path_edges[node]
    if edge == NONE:
        return 0, 0
    label = graph.edge_label[edge]
    named = label & KIND_MASK in (EdgeKind.ATTRIBUTE, EdgeKind.CELL, EdgeKind.LOCAL)
    owner = graph.node_type[graph.edge_source(edge)]
    return label if named else label & KIND_MASK, owner


def _holder(growth: Growth, members: Sequence[tuple[int, tuple[int, ...]]]) -> Holder | None:
    sums = tuple(map(sum, zip(*(lengths for _, lengths in members), strict=True)))
    if not rises(sums) or not _moves_one_way(members):
        # One of them may still grow where the others come and go.
        members = [one for one in members if rises(one[1])][:1]
        if not members:
            return None
        sums = members[0][1]
    grown = [node for node, lengths in members if lengths[-1] > lengths[0]]
    if len(grown) > 1 and not _is_lasting(growth, grown):
        return None
    entries = list(dict.fromkeys(target for node in grown for target in growth.new_targets(node)))
    if not entries:
        return None
    if len(grown) == 1:
        return Holder(grown[0], "container", sums, entries)
    return Holder(grown[0], "cluster", sums, entries, members=tuple(grown))
