"""Containers that came after the first snapshot and have grown ever since.

The first snapshot may be older than the program: that of ``memlens run`` is. What is then new hangs
below an old module; the container in it that grows is the one to name.
"""

from __future__ import annotations

from collections.abc import Sequence

from memlens._core.layout import NONE
from memlens.leaks.growth import Growth, Holder, length_in, rises

__all__ = ("name_late_containers",)


def name_late_containers(growth: Growth, holders: Sequence[Holder]) -> list[Holder]:
    """Return the holders, each structure replaced by the growing containers that are its growth."""
    found: list[Holder] = []
    for holder in holders:
        late = _late_containers(growth, holder) if holder.shape == "structure" else []
        found += late or [holder]
    return found


def _late_containers(growth: Growth, structure: Holder) -> list[Holder]:
    if len(growth.graphs) < 3:
        return []
    gained = set(structure.gained)
    found = []
    for node in growth.last.sections["container_node"]:
        if node not in gained:
            continue
        numbers = [*(same[node] for same in growth.same[1:]), node]
        if NONE in numbers:
            continue
        history = zip(growth.graphs[1:], numbers, strict=True)
        lengths = (0, *(length_in(graph, number) for graph, number in history))
        entries = growth.new_targets(node)
        if rises(lengths) and len(entries) >= lengths[-1] // 2:
            found.append(Holder(node, "late", lengths, entries))
    return found
