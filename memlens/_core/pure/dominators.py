"""Immediate dominators and retained sizes of the heap graph.

Node ``d`` dominates node ``v`` when every path from node 0 to ``v`` goes through ``d``: without
``d``, ``v`` would be freed. The nearest such ``d`` is the immediate dominator, the parent of ``v``
in the dominator tree; the retained size of a node is the sum of the shallow sizes in its subtree.

The algorithm is Semi-NCA (L. Georgiadis, R. Tarjan, R. Werneck: Finding Dominators in Practice,
Journal of Graph Algorithms and Applications 10, 2006, doi 10.7155/jgaa.00119). All its phases work
on depth-first numbers, not on nodes, and none recurses: a linked list of millions of nodes is an
ordinary heap.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.columns import group_by_target, read_edges, read_sizes, strong_targets

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("dominator_tree",)


def dominator_tree(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    node_size: ReadableBuffer,
) -> tuple[array[int], array[int]]:
    """Return the immediate dominator and the retained size of each node. Weak edges are ignored.

    Returns two columns by node: the dominators (``"I"``; `NONE` for node 0 and for what it does not
    reach) and the retained sizes in bytes (``"Q"``; of a node that is not reached its shallow
    size, of node 0 the sum of all that it reaches). Takes time O(m log n) whatever the graph.
    Raises `ValueError` for inconsistent columns.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    sizes = read_sizes(node_size, edges.node_count)
    offset, targets = edges.offset, strong_targets(edges)
    node_by_number, number_by_node, parent = _number_depth_first(offset, targets)
    semi, in_offset, in_source = _gather_predecessors(
        offset, targets, node_by_number, number_by_node, parent
    )
    _find_semidominators(parent, semi, in_offset, in_source)
    dominator_number = _find_common_ancestors(parent, semi)
    dominator = [NONE] * edges.node_count
    for node, number in zip(node_by_number[1:], dominator_number[1:], strict=True):
        dominator[node] = node_by_number[number]
    _sum_retained(node_by_number, dominator, sizes)
    return array("I", dominator), array("Q", sizes)


def _number_depth_first(
    offset: list[int], targets: list[int]
) -> tuple[list[int], list[int], list[int]]:
    """Number the reached nodes in the order of a depth-first search from node 0.

    Returns the node of each number, the number of each node (-1: not reached), and the parent of
    each number in the search tree, itself a number.
    """
    number_by_node = [-1] * (len(offset) - 1)
    # A node may wait on the stack several times and is visited from the topmost, so the node that
    # pushed it last is its parent.
    pushed_by = [0] * (len(offset) - 1)
    node_by_number: list[int] = []
    waiting = [0]
    number = 0
    while waiting:
        node = waiting.pop()
        if number_by_node[node] >= 0:
            continue
        number_by_node[node] = number
        node_by_number.append(node)
        start = offset[node]
        end = offset[node + 1]
        if start != end:
            for target in targets[start:end]:
                if number_by_node[target] < 0:
                    pushed_by[target] = number
                    waiting.append(target)
        number += 1
    return node_by_number, number_by_node, [pushed_by[node] for node in node_by_number]


def _gather_predecessors(
    offset: list[int],
    targets: list[int],
    node_by_number: list[int],
    number_by_node: list[int],
    parent: list[int],
) -> tuple[list[int], list[int], list[int]]:
    """Turn the edges around, as far as they can matter, and into numbers.

    An edge to a higher number comes from an ancestor, and its source is by itself a candidate for
    the semidominator: the least one of each node is all that is kept (the parent, if there is no
    other). Edges to a lower number go into rows. Self loops and the edges of the search tree
    tell nothing new and fall out.

    Returns the least candidate of each number, and the compressed rows of the other predecessors.
    """
    least = parent.copy()
    edge_from: list[int] = []
    edge_to: list[int] = []
    for source, node in enumerate(node_by_number):
        start = offset[node]
        end = offset[node + 1]
        if start == end:
            continue
        for target_node in targets[start:end]:
            target = number_by_node[target_node]
            if target < source:
                edge_from.append(source)
                edge_to.append(target)
            elif source < least[target]:
                least[target] = source
    in_offset, in_source = group_by_target(edge_to, edge_from, len(parent))
    return least, in_offset, in_source


def _find_semidominators(
    parent: list[int], semi: list[int], in_offset: list[int], in_source: list[int]
) -> None:
    """Lower each number's candidate in ``semi`` to its semidominator, from the last number down.

    A predecessor above ``number`` contributes the least semidominator on its way up the search
    tree to, but without, the first ancestor not above ``number``. ``least`` holds that minimum from
    a node to, but without, ``above``; ways that were walked are shortened (path compression).
    """
    above = parent.copy()
    least = semi.copy()
    for number in range(len(parent) - 1, 0, -1):
        start = in_offset[number]
        end = in_offset[number + 1]
        lowest = semi[number]
        if start == end or not lowest:  # nothing is lower than node 0
            continue
        for source in in_source[start:end]:
            if above[source] > number:
                _compress_path(source, number, above, least)
            if least[source] < lowest:
                lowest = least[source]
        semi[number] = least[number] = lowest


def _compress_path(source: int, number: int, above: list[int], least: list[int]) -> None:
    """Point ``above`` of ``source`` and its ancestors to the first that is not above ``number``."""
    path = []
    while above[source] > number:
        path.append(source)
        source = above[source]
    top = above[source]
    lowest = least[source]
    for step in reversed(path):
        if least[step] < lowest:
            lowest = least[step]
        else:
            least[step] = lowest
        above[step] = top


def _find_common_ancestors(parent: list[int], semi: list[int]) -> list[int]:
    """Return the immediate dominator of each number: the nearest one of its parent up to ``semi``.

    The published algorithm climbs the dominator tree one step at a time, which is quadratic when
    the end of a long chain holds many objects that something near the start holds too. So each
    number also has a ``jump`` to a farther ancestor, with lengths as in a skew binary number
    (E. Myers: An applicative random-access stack, Information Processing Letters 17, 1983): a climb
    takes O(log n) steps.
    """
    dominator = [0]
    jump = [0]
    jump_length = [0]
    for ancestor, bound in zip(parent[1:], semi[1:], strict=True):
        while ancestor > bound:
            far = jump[ancestor]
            ancestor = far if far >= bound else dominator[ancestor]
        dominator.append(ancestor)
        far = jump[ancestor]
        if jump_length[ancestor] == jump_length[far]:
            jump.append(jump[far])
            jump_length.append(2 * jump_length[ancestor] + 1)
        else:
            jump.append(ancestor)
            jump_length.append(1)
    return dominator


def _sum_retained(node_by_number: list[int], dominator: list[int], sizes: list[int]) -> None:
    """Add the size of each reached node to its dominator's, the last numbered first.

    A dominator has a lower number than what it dominates, so each sum is complete when it is used.
    """
    for node in reversed(node_by_number[1:]):
        sizes[dominator[node]] += sizes[node]
