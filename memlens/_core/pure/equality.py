"""Which strings and bytes are equal: the numbers of groups, and nothing of the contents.

Comparing exact ``str`` and ``bytes`` runs no code of anybody's. What is stored says only that some
objects are equal to each other, so it needs no hash, and nobody can guess contents from it.
"""

from __future__ import annotations

from array import array

from memlens._core.pure.walk import WalkedHeap

__all__ = ("equal_sections",)


def equal_sections(heap: WalkedHeap, node_type: array[int]) -> dict[str, array[int]]:
    """Return the groups of equal strings and bytes that have at least two members."""
    group_by_node: list[tuple[int, int]] = []
    group_count = 0
    for cls in (str, bytes):  # apart: asking whether b"" == "" may be an error (python -bb)
        row = next((r for r, node in enumerate(heap.types, 1) if heap.objects[node] is cls), 0)
        nodes = [node for node, one in enumerate(node_type) if one == row] if row else []
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
