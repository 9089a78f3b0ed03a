"""Match the objects of two snapshots of one process.

Two nodes are the same object when their address and key agree. The key is made from the type, and
also from the size for types whose objects never change size. A new object of the same type and size
at a reused address is taken for the old one. That is too rare to matter in a sum, and is never the
only evidence for a suspect.
"""

from __future__ import annotations

import zlib
from array import array

from memlens._core.layout import NONE
from memlens.errors import ComparisonError
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import is_native_type

__all__ = ("check_same_process", "match_graphs", "node_identities")

_NATIVE_BIT = 1 << 63  # no object of a process has such an address
_FIXED_SIZE_TYPES = frozenset(
    {"str", "bytes", "int", "float", "complex", "tuple", "frozenset", "range", "slice"}
)


def check_same_process(*graphs: HeapGraph) -> None:
    """Raise ``ComparisonError`` unless all graphs were captured in one process."""
    processes = {(graph.facts.get("pid"), graph.facts.get("process")) for graph in graphs}
    if len(processes) > 1:
        pids = ", ".join(sorted(str(pid) for pid, _ in processes))
        raise ComparisonError(
            f"these snapshots were taken in different processes (pid {pids});"
            " compare snapshots of one process"
        )


def match_graphs(before: HeapGraph, after: HeapGraph) -> array[int]:
    """Return for each node of ``after`` the same object's node in ``before``, or ``NONE``."""
    return checked_core.match_nodes(*node_identities(before), *node_identities(after))


def _addresses(graph: HeapGraph) -> memoryview | array[int]:
    """Return the address of each node, those of native blocks made different from all others.

    A native block may have the address of an object. One whose address is unknown belongs to one
    object only, whose address identifies it.
    """
    if graph.native is None:
        return graph.node_address
    addresses = array("Q")
    addresses.frombytes(graph.node_address.cast("B"))  # without a second copy of the column
    dominator = graph.dominators.dominator
    used: set[int] = set()
    for node in graph.native.nodes:
        owner = dominator[node]
        address = addresses[node]
        if not address and owner != NONE:
            address = graph.node_address[owner]
        address %= _NATIVE_BIT
        while address in used:
            address = (address + 1) % _NATIVE_BIT
        used.add(address)
        addresses[node] = address | _NATIVE_BIT
    return addresses


def node_identities(
    graph: HeapGraph,
) -> tuple[memoryview | array[int], memoryview, memoryview, array[int], bytes]:
    """Return the columns by which the core recognises the objects of a graph.

    Addresses, rows and sizes by node; a key and whether the size counts, by row of the type table.
    """
    rows = range(len(graph.type_names))
    return (
        _addresses(graph),
        graph.node_type,
        graph.node_size,
        array("Q", [_type_key(graph, row) for row in rows]),
        bytes(name in _FIXED_SIZE_TYPES or is_native_type(name) for name in graph.type_names),
    )


def _type_key(graph: HeapGraph, row: int) -> int:
    node = graph.type_node[row]
    address = 0 if node == NONE else graph.node_address[node]
    name = zlib.crc32(graph.type_names[row].encode("utf-8", "surrogatepass"))
    return (name << 28 ^ address << 4) & 0x7FFF_FFFF_FFFF_FFFF
