"""The ids of objects in a ``.heapsnapshot``, by which DevTools recognises them in the next one.

The id of an object follows from its address, its type and, where it never changes, its size, as
`memlens.heap.graph.matching` recognises objects. So files that were written one by one, even by
different processes, agree: except for about one object in 2,000 of a million, whose number another one
has already. Given the earlier snapshots, all agree, and later objects have greater ids, as V8's have:
DevTools can then show the objects allocated between two snapshots.

Ids are odd, as those of objects on V8's heap are, and fit in 32 bits.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise

from memlens._core.layout import NONE
from memlens.errors import OptionError
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.matching import check_same_process, match_graphs, node_identities

__all__ = ("RESERVED_IDS", "ROOT_ID", "node_ids", "reserved_id")

ROOT_ID = 1
RESERVED_IDS = 1 << 20  # for nodes that are no objects
_FIRST_LATER_ID = (1 << 31) + 1  # of objects that were not in the first snapshot
_MAX_ID = (1 << 32) - 1
_NUMBERS = (1 << 30) - RESERVED_IDS


def reserved_id(place: int) -> int:
    """Return the id of one of the nodes that are no objects and not the root."""
    if place + 1 >= RESERVED_IDS:
        raise OptionError(f"too many roots and large objects for a .heapsnapshot: {place}")
    return 2 * place + 3


def node_ids(graph: HeapGraph, before: Sequence[HeapGraph] = ()) -> array[int]:
    """Return the id of each node of a graph (``"I"``), that of node 0 included.

    ``before``: earlier graphs of the same process, the earliest first. Raises ``ComparisonError`` for
    those of another process.
    """
    chain = [*before, graph]
    check_same_process(*chain)
    ids = _first_ids(chain[0])
    later = _FIRST_LATER_ID
    for known, following in pairwise(chain):
        same = match_graphs(known, following)
        new_ids = iter(range(later, _MAX_ID + 1, 2))
        later += 2 * same.count(NONE)
        if later > _MAX_ID:
            raise OptionError("too many objects for the ids of a .heapsnapshot")
        ids = array("I", [next(new_ids) if node == NONE else ids[node] for node in same])
    return ids


def _first_ids(graph: HeapGraph) -> array[int]:
    numbers = checked_core.identity_numbers(*node_identities(graph), _NUMBERS)
    ids = array("I", [2 * (RESERVED_IDS + number) + 1 for number in numbers])
    ids[0] = ROOT_ID
    return ids
