"""What is counted or matched node by node, without following an edge."""

from __future__ import annotations

from array import array
from itertools import compress
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.search import read_column, read_sizes

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("count_types", "match_nodes")

_MAX_FLAGS = 0xFFFF  # ``node_flags`` is a column of u16


def count_types(
    node_type: ReadableBuffer,
    node_size: ReadableBuffer,
    node_flags: ReadableBuffer,
    type_count: int,
    skip_flags: int = 0,
) -> tuple[array[int], array[int]]:
    """How many objects there are of each type, and their shallow size.

    Nodes with any bit of ``skip_flags`` are left out, and so is node 0, which is no object.
    Returns two columns of ``type_count`` rows (``"Q"``): the counts, and the sizes in bytes.
    Raises `ValueError` for columns that do not fit together and types that are not in the table.
    """
    types = read_column(node_type, "I", "node_type").tolist()
    flags = read_column(node_flags, "H", "node_flags").tolist()
    if not types:
        raise ValueError("node_type is empty: without node 0 there is no heap")
    if len(flags) != len(types):
        raise ValueError(f"node_flags has {len(flags)} entries for {len(types)} nodes")
    sizes = read_sizes(node_size, len(types))
    if max(types) >= type_count:
        raise ValueError(f"node_type names type {max(types)} of only {type_count} types")
    if not 0 <= skip_flags <= _MAX_FLAGS:
        raise ValueError(f"skip_flags must be from 0 to {_MAX_FLAGS}, not {skip_flags}")
    is_counted = [not flag & skip_flags for flag in flags]
    is_counted[0] = False
    counts = [0] * type_count
    total_bytes = [0] * type_count
    for type_row, size_bytes in compress(zip(types, sizes, strict=True), is_counted):
        counts[type_row] += 1
        total_bytes[type_row] += size_bytes
    return array("Q", counts), array("Q", total_bytes)


def match_nodes(
    address_a: ReadableBuffer,
    key_a: ReadableBuffer,
    address_b: ReadableBuffer,
    key_b: ReadableBuffer,
) -> array[int]:
    """Which node of heap ``a`` each node of heap ``b`` was: same address, same 64-bit key.

    The key (``"Q"``) tells an object from another that got its address later; the caller makes it
    from what does not change in an object's life. Returns for each node of ``b`` the node of
    ``a``, or `NONE`. Node 0, the process, is always matched by node 0 and by nothing else.
    Raises `ValueError` for columns that do not fit together, and for an address twice in ``a``.
    """
    addresses_a, keys_a = _read_identities(address_a, key_a, "a")
    addresses_b, keys_b = _read_identities(address_b, key_b, "b")
    node_count = len(addresses_a)
    node_by_address = dict(zip(addresses_a[1:], range(1, node_count), strict=True))
    if len(node_by_address) != node_count - 1:
        raise ValueError("address_a has the same address for several nodes")
    matched = [0]
    for address, key in zip(addresses_b[1:], keys_b[1:], strict=True):
        node = node_by_address.get(address)
        matched.append(NONE if node is None or keys_a[node] != key else node)
    return array("I", matched)


def _read_identities(
    address: ReadableBuffer, key: ReadableBuffer, heap: str
) -> tuple[list[int], list[int]]:
    """The address and the key of each node of one heap."""
    addresses = read_column(address, "Q", f"address_{heap}").tolist()
    keys = read_column(key, "Q", f"key_{heap}").tolist()
    if not addresses:
        raise ValueError(f"address_{heap} is empty: without node 0 there is no heap")
    if len(keys) != len(addresses):
        raise ValueError(f"key_{heap} has {len(keys)} entries for {len(addresses)} nodes")
    return addresses, keys
