"""The groups of equal strings and bytes, without their contents.

Comparing exact ``str`` and ``bytes`` runs no Python code. Only the groups are stored, no hashes, so
that contents cannot be guessed from a snapshot.
"""

from __future__ import annotations

from array import array

from memlens._core.pure.walk import WalkedHeap

__all__ = ("equal_sections",)


def equal_sections(heap: WalkedHeap, node_type: array[int]) -> dict[str, array[int]]:
    """Return the groups of equal strings and bytes that have at least two members."""
    group_by_node: list[tuple[int, int]] = []
    group_count = 0
    for cls in (str, bytes):  # separately, because comparing b"" and "" may raise (python -bb)
        row = next((r for r, node in enumerate(heap.types, 1) if heap.objects[node] is cls), 0)
        nodes = [node for node, other in enumerate(node_type) if other == row] if row else []
        found, group_count = _groups(heap, nodes, group_count)
        group_by_node += found
    group_by_node.sort()
    return {
        "equal_node": array("I", [node for node, _ in group_by_node]),
        "equal_group": array("I", [group for _, group in group_by_node]),
    }


def _groups(
    heap: WalkedHeap, nodes: list[int], group_count: int
) -> tuple[list[tuple[int, int]], int]:
    objects = heap.objects
    first: dict[str | bytes, int] = {}
    same = [first.setdefault(objects[node], node) for node in nodes]
    del first
    number: dict[int, int] = {}  # of the group, by its first node
    for node, leader in zip(nodes, same, strict=True):
        if node != leader and leader not in number:
            number[leader] = group_count
            group_count += 1
    members = [
        (node, number[leader]) for node, leader in zip(nodes, same, strict=True) if leader in number
    ]
    return members, group_count
