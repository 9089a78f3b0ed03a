"""Match the objects of two snapshots of one process.

Two nodes are the same object when their address and key agree. The key is made from the type, and
also from the size for types whose objects never change size. A new object of the same type and size
at a reused address is taken for the old one. That is too rare to matter in a sum, and is never the
only evidence for a suspect.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from operator import lt
from typing import TypeAlias

from memlens._core.layout import NONE, NodeFlag
from memlens.errors import ComparisonError, SnapshotFileError
from memlens.heap.graph import checked_core
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.native_blocks import NativeKind, is_native_type

__all__ = (
    "check_same_process",
    "match_graphs",
    "node_identities",
    "program_blocks",
    "unmatched_blocks",
)

_Column: TypeAlias = "memoryview | array[int]"
_NATIVE_BIT = 1 << 63  # no object of a process has such an address
_MAX_KEY = (1 << 64) - 1
_OWNER_BIT = 1 << 62  # of a block of an unknown address
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
    if _have_known_addresses(before) and _have_known_addresses(after):
        try:
            return _match(before, before.node_address, after, after.node_address)
        except SnapshotFileError:
            pass  # a block of a device lies at the address of an object
    return _match(before, _addresses(before), after, _addresses(after))


def _match(
    before: HeapGraph, addresses_before: _Column, after: HeapGraph, addresses_after: _Column
) -> array[int]:
    identities = _identities(before, addresses_before), _identities(after, addresses_after)
    return checked_core.match_nodes(*identities[0], *identities[1])


def _have_known_addresses(graph: HeapGraph) -> bool:
    """Tell whether all blocks have addresses, and different ones: these are in ascending order."""
    if graph.native is None:
        return True
    addresses = array("Q", map(graph.node_address.__getitem__, graph.native.nodes))
    return addresses[0] > 0 and all(map(lt, addresses, islice(addresses, 1, None)))


def unmatched_blocks(before: HeapGraph, after: HeapGraph, kind: NativeKind) -> Iterator[int]:
    """Yield the native blocks of ``after``, of one kind, that are not in ``before``.

    Without what only memlens holds.
    """
    known = array("Q", sorted(key for _, key in _block_keys(before, kind)))
    is_used = bytearray(len(known))
    for node, key in _block_keys(after, kind):
        first = bisect_left(known, key)
        found = is_used.find(0, first, bisect_right(known, key, first))
        if found < 0:
            yield node
        else:
            is_used[found] = 1


def program_blocks(graph: HeapGraph) -> Iterator[tuple[int, NativeKind]]:
    """Yield the native blocks with their kinds, without what only memlens holds."""
    if graph.native is not None:
        for node, kind in zip(graph.native.nodes, graph.native.kinds, strict=True):
            if not graph.has(node, NodeFlag.OWN):
                yield node, kind


def _block_keys(graph: HeapGraph, wanted: NativeKind) -> Iterator[tuple[int, int]]:
    """Yield the blocks of one kind with what identifies them: the address and the size."""
    for node, kind in program_blocks(graph):
        if kind == wanted:
            key = hash((_block_address(graph, node), graph.node_size[node]))
            yield node, key & _MAX_KEY


def _block_address(graph: HeapGraph, node: int) -> int:
    """Return the address of a block, or what identifies one of an unknown address.

    That belongs to one object, so it is a number made of the object's address and its own size.
    """
    address = graph.node_address[node]
    owner = graph.dominators.dominator[node]
    if not address and owner != NONE:
        address = graph.node_address[owner] ^ graph.node_size[node] << 48 | _OWNER_BIT
    return address % _NATIVE_BIT


def _addresses(graph: HeapGraph) -> _Column:
    """Return the address of each node, those of native blocks made different from all others."""
    if graph.native is None:
        return graph.node_address
    addresses = array("Q")
    addresses.frombytes(graph.node_address.cast("B"))  # without a second copy of the column
    used: set[int] = set()
    for node in graph.native.nodes:
        address = _block_address(graph, node)
        while address in used:
            address = (address + 1) % _NATIVE_BIT
        used.add(address)
        addresses[node] = address | _NATIVE_BIT
    return addresses


def node_identities(
    graph: HeapGraph,
) -> tuple[_Column, memoryview, memoryview, array[int], bytes]:
    """Return the columns by which the core recognises the objects of a graph.

    Addresses, rows and sizes by node; a key and whether the size counts, by row of the type table.
    """
    return _identities(graph, _addresses(graph))


def _identities(
    graph: HeapGraph, addresses: _Column
) -> tuple[_Column, memoryview, memoryview, array[int], bytes]:
    """Return the columns by which the core recognises the objects of a graph."""
    rows = range(len(graph.type_names))
    return (
        addresses,
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
