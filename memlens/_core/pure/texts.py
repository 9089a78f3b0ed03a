"""Numbers as decimal text, and the numbers by which a file names objects."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memlens._core.pure.columns import read_column

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("decimal_rows", "identity_numbers")

_MAX_COLUMNS = 16
_MAX_LIMIT = (1 << 32) - 1
_WORD = (1 << 64) - 1
_TYPE_FACTOR, _SIZE_FACTOR = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F


def decimal_rows(columns: Sequence[ReadableBuffer]) -> bytes:
    """Return the rows of some columns as text: each number in decimal, a comma after each.

    The columns have items of type ``"B"``, ``"I"`` or ``"Q"`` and the same length. Raises
    `ValueError` for others, and unless there are from 1 to 16 of them.
    """
    if not 1 <= len(columns) <= _MAX_COLUMNS:
        raise ValueError(f"columns must be from 1 to {_MAX_COLUMNS}, not {len(columns)}")
    views = [_read_numbers(column) for column in columns]
    for view in views:
        if len(view) != len(views[0]):
            raise ValueError(f"columns have {len(views[0])} and {len(view)} entries")
    row = "%d," * len(views)
    return "".join([row % numbers for numbers in zip(*views, strict=True)]).encode()


def _read_numbers(column: ReadableBuffer) -> memoryview:
    view = memoryview(column)
    if view.format == "B":
        return read_column(view, "B", "columns")
    if view.format == "I":
        return read_column(view, "I", "columns")
    if view.format == "Q":
        return read_column(view, "Q", "columns")
    raise ValueError(f"columns must have items of type B, I or Q, not {view.format!r}")


def identity_numbers(
    node_address: ReadableBuffer,
    node_type: ReadableBuffer,
    node_size: ReadableBuffer,
    type_key: ReadableBuffer,
    type_is_sized: ReadableBuffer,
    limit: int,
) -> array[int]:
    """Return a number from 1 below ``limit`` for each node (``"I"``), 0 for node 0; no two are equal.

    It follows from what identifies a node (as in `match_nodes`): the address, the key of its type
    and, where the type is sized, the size. Nodes whose numbers would be equal get the next free one,
    so the same object has the same number in nearly every heap. Raises `ValueError` for inconsistent
    columns, and for a limit that is not greater than the number of nodes.
    """
    addresses = read_column(node_address, "Q", "node_address")
    types = read_column(node_type, "I", "node_type")
    sizes = read_column(node_size, "Q", "node_size")
    keys = read_column(type_key, "Q", "type_key")
    sized = read_column(type_is_sized, "B", "type_is_sized")
    _check_identities(addresses, types, sizes, keys, sized)
    if not max(len(addresses), 1) < limit <= _MAX_LIMIT:
        least = max(len(addresses), 1) + 1
        raise ValueError(f"limit must be from {least} to {_MAX_LIMIT}, not {limit}")
    taken: set[int] = set()
    numbers = array("I", [0] * len(addresses))
    for node in range(1, len(addresses)):
        row = types[node]
        key = addresses[node] + keys[row] * _TYPE_FACTOR
        if sized[row]:
            key += sizes[node] * _SIZE_FACTOR
        number = _mixed(key & _WORD) % (limit - 1) + 1
        while number in taken:
            number = 1 if number + 1 == limit else number + 1
        taken.add(number)
        numbers[node] = number
    return numbers


def _mixed(key: int) -> int:
    """Return the finaliser of SplitMix64: each bit of it depends on every bit of the key."""
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    key = (key ^ key >> 27) * 0x94D049BB133111EB & _WORD
    return key ^ key >> 31


def _check_identities(
    addresses: memoryview, types: memoryview, sizes: memoryview, keys: memoryview, sized: memoryview
) -> None:
    for name, column in (("node_type", types), ("node_size", sizes)):
        if len(column) != len(addresses):
            raise ValueError(f"{name} has {len(column)} entries for {len(addresses)} nodes")
    for row in types:
        if row >= len(keys):
            raise ValueError(f"node_type names {row} of only {len(keys)}")
    if len(keys) != len(sized):
        raise ValueError("type_key and type_is_sized must have the same length")
