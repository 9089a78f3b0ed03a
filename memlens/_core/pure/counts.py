"""Functions that count, rank or match nodes without following edges."""

from __future__ import annotations

from array import array
from heapq import nlargest
from itertools import compress
from typing import TYPE_CHECKING

from memlens._core.layout import NONE
from memlens._core.pure.columns import (
    MAX_FLAGS,
    read_column,
    read_flags,
    read_sizes,
    read_skipped,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = (
    "count_types",
    "largest_nodes",
    "mark_matched",
    "match_nodes",
    "match_runs",
    "matches_of_runs",
)

_KEY_MASK = (1 << 64) - 1


def count_types(
    node_type: ReadableBuffer,
    node_size: ReadableBuffer,
    node_flags: ReadableBuffer,
    type_count: int,
    skip_flags: int = 0,
) -> tuple[array[int], array[int]]:
    """Return the number of objects of each type, and their total shallow size.

    Nodes with any bit of ``skip_flags`` are ignored, and so is node 0, which is not an object.
    Returns two columns of ``type_count`` rows (``"Q"``): the counts, and the sizes in bytes.
    Raises `ValueError` for inconsistent columns and types that are not in the table.
    """
    types = read_column(node_type, "I", "node_type").tolist()
    if not types:
        raise ValueError("node_type is empty: without node 0 there is no heap")
    flags = read_flags(node_flags, len(types))
    sizes = read_sizes(node_size, len(types))
    if max(types) >= type_count:
        raise ValueError(f"node_type names type {max(types)} of only {type_count} types")
    read_skipped(skip_flags, "skip_flags")
    is_counted = [not flag & skip_flags for flag in flags]
    is_counted[0] = False
    counts = [0] * type_count
    total_bytes = [0] * type_count
    for type_row, size_bytes in compress(zip(types, sizes, strict=True), is_counted):
        counts[type_row] += 1
        total_bytes[type_row] += size_bytes
    return array("Q", counts), array("Q", total_bytes)


def largest_nodes(
    node_value: ReadableBuffer, node_flags: ReadableBuffer, count: int, skip_flags: int = 0
) -> array[int]:
    """Return the ``count`` nodes with the highest values, highest first, then by node number.

    ``node_value`` is a column of ``"Q"``: retained sizes, for instance. Nodes with any bit of
    ``skip_flags`` and node 0 are left out; fewer than ``count`` are returned where there are no
    more. Raises `ValueError` for inconsistent columns and a negative count.
    """
    values = read_column(node_value, "Q", "node_value").tolist()
    flags = read_flags(node_flags, len(values))
    read_skipped(skip_flags, "skip_flags")
    if count < 0:
        raise ValueError(f"count must not be negative, but is {count}")
    nodes = (node for node in range(1, len(values)) if not flags[node] & skip_flags)
    return array("I", nlargest(count, nodes, key=values.__getitem__))


def mark_matched(
    same: ReadableBuffer,
    flags_a: ReadableBuffer,
    flags_b: ReadableBuffer,
    skip_flags: int,
    mark: int,
) -> tuple[array[int], array[int]]:
    """Return the flags of two heaps, with the bits ``mark`` set exactly on the matched nodes.

    ``same`` is what `match_nodes` returned: for each node of ``b`` a node of ``a`` or `NONE`. A
    pair is marked where neither has any bit of ``skip_flags``; so, with ``skip_flags | mark`` left
    out, `count_types` counts the new objects of ``b`` and the deleted ones of ``a``. Returns two
    columns (``"H"``). Raises `ValueError` for inconsistent columns.
    """
    matched = read_column(same, "I", "same").tolist()
    marked_b = read_flags(flags_b, len(matched), "flags_b")
    marked_a = read_column(flags_a, "H", "flags_a").tolist()
    highest = max((node for node in matched if node != NONE), default=-1)
    if highest >= len(marked_a):
        raise ValueError(f"same names node {highest} of only {len(marked_a)} nodes")
    read_skipped(skip_flags, "skip_flags")
    read_skipped(mark, "mark")
    clear = MAX_FLAGS ^ mark
    marked_a = [flag & clear for flag in marked_a]
    marked_b = [flag & clear for flag in marked_b]
    skipped = skip_flags & clear
    for node, old in enumerate(matched):
        if old != NONE and not (marked_b[node] | marked_a[old]) & skipped:
            marked_b[node] |= mark
            marked_a[old] |= mark
    return array("H", marked_a), array("H", marked_b)


def match_nodes(
    address_a: ReadableBuffer,
    type_a: ReadableBuffer,
    size_a: ReadableBuffer,
    type_key_a: ReadableBuffer,
    type_is_sized_a: ReadableBuffer,
    address_b: ReadableBuffer,
    type_b: ReadableBuffer,
    size_b: ReadableBuffer,
    type_key_b: ReadableBuffer,
    type_is_sized_b: ReadableBuffer,
) -> array[int]:
    """Return for each node of heap ``b`` the node of heap ``a`` that is the same object (``"I"``).

    The same are nodes of one address (``"Q"``) whose types (``"I"``) have one key (``"Q"``, by
    type); where a type is sized (a byte for each type), the size (``"Q"``) is added to its key. The
    key distinguishes an object from a later one at the same address. Returns `NONE` for a node
    without a match. Node 0, the process, always and only matches node 0. Raises `ValueError` for
    inconsistent columns, and for an address twice in ``a``.
    """
    addresses_a, keys_a = _read_identities(
        "a", address_a, type_a, size_a, type_key_a, type_is_sized_a
    )
    addresses_b, keys_b = _read_identities(
        "b", address_b, type_b, size_b, type_key_b, type_is_sized_b
    )
    node_count = len(addresses_a)
    node_by_address = dict(zip(addresses_a[1:], range(1, node_count), strict=True))
    if len(node_by_address) != node_count - 1:
        raise ValueError("address_a has the same address for several nodes")
    matched = [0]
    for address, key in zip(addresses_b[1:], keys_b[1:], strict=True):
        node = node_by_address.get(address)
        matched.append(NONE if node is None or keys_a[node] != key else node)
    return array("I", matched)


def match_runs(same: ReadableBuffer) -> array[int]:
    """Return matches (``"I"``, as `match_nodes` returns them) as runs (``"Q"``).

    A run is of nodes that follow each other and match nodes that do, or that match none. Its first
    node is in the upper 32 bits, what that one matches, or `NONE`, in the lower. `matches_of_runs`
    is the reverse.
    """
    matched = read_column(same, "I", "same")
    runs = array("Q")
    expected = -1
    for node, was in enumerate(matched):
        if was != expected or not node:
            runs.append(node << 32 | was)
        expected = NONE if was == NONE else was + 1
        if expected == NONE and was != NONE:
            expected = -1  # the number after the last one is that of no node
    return runs


def matches_of_runs(runs: ReadableBuffer, node_count: int) -> array[int]:
    """Return the matches (``"I"``) of so many nodes that `match_runs` made runs of.

    Raises `ValueError` for runs that do not begin at node 0, do not ascend or match numbers that no
    node has.
    """
    columns = read_column(runs, "Q", "runs").tolist()
    starts = [run >> 32 for run in columns]
    ends = [*starts[1:], node_count]
    matched = array("I")
    fits = 0 <= node_count < NONE and bool(columns) == bool(node_count) and not any(starts[:1])
    for run, start, end in zip(columns, starts, ends, strict=False):
        was = run & NONE
        fits = fits and start < end and (was == NONE or was + end - start <= NONE)
        if not fits:
            break
        matched.extend([NONE] * (end - start) if was == NONE else range(was, was + end - start))
    if not fits:
        raise ValueError(f"runs do not fit {node_count} nodes")
    return matched


def _read_identities(
    heap: str,
    address: ReadableBuffer,
    node_type: ReadableBuffer,
    node_size: ReadableBuffer,
    type_key: ReadableBuffer,
    type_is_sized: ReadableBuffer,
) -> tuple[list[int], list[int]]:
    """Return the address and the key of each node of one heap."""
    addresses = read_column(address, "Q", f"address_{heap}").tolist()
    types = read_column(node_type, "I", f"type_{heap}").tolist()
    sizes = read_column(node_size, "Q", f"size_{heap}").tolist()
    type_keys = read_column(type_key, "Q", f"type_key_{heap}").tolist()
    is_sized = read_column(type_is_sized, "B", f"type_is_sized_{heap}").tolist()
    if not addresses:
        raise ValueError(f"address_{heap} is empty: without node 0 there is no heap")
    for name, column in (("type", types), ("size", sizes)):
        if len(column) != len(addresses):
            raise ValueError(f"{name}_{heap} has {len(column)} entries for {len(addresses)} nodes")
    if len(is_sized) != len(type_keys):
        raise ValueError(
            f"type_is_sized_{heap} has {len(is_sized)} entries for {len(type_keys)} types"
        )
    if max(types) >= len(type_keys):
        raise ValueError(f"type_{heap} names {max(types)} of only {len(type_keys)}")
    keys = [
        (type_keys[row] + size) & _KEY_MASK if is_sized[row] else type_keys[row]
        for row, size in zip(types, sizes, strict=True)
    ]
    return addresses, keys
