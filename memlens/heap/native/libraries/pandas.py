"""pandas: the hash tables of indexes; all other native memory belongs to numpy or pyarrow objects.

A table that maps Python objects is reported with its buckets only: the objects are in the heap.
"""

from __future__ import annotations

from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import Block

__all__ = ("ADAPTERS",)


def _blocks_of_table(table: Any) -> tuple[Block, ...]:
    return ((0, table.sizeof(), "cpu"),)


ADAPTERS = LibraryAdapters(
    "pandas", {}, families={"pandas._libs.hashtable.HashTable": _blocks_of_table}
)
