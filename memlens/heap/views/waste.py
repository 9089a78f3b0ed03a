"""What the views of wasted memory share: rows by the bytes that they waste, and where they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPathFinder

__all__ = ("WasteView",)


class _Row(Protocol):
    @property
    def wasted_bytes(self) -> int: ...

    @property
    def order(self) -> Any: ...


Row = TypeVar("Row", bound=_Row)


class WasteView(Generic[Row]):
    """Rows of waste, the most wasted bytes first; rows that waste the same by their ``order``."""

    def __init__(self, graph: HeapGraph, rows: Iterable[Row]) -> None:
        self._finder = RetentionPathFinder(graph)
        self.rows = tuple(sorted(rows, key=lambda row: (-row.wasted_bytes, row.order)))

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    @property
    def wasted_bytes(self) -> int:
        """What could be saved in all."""
        return sum(row.wasted_bytes for row in self.rows)

    def _place(self, node: int) -> str:
        path = self._finder.path_to(node)
        return "(garbage)" if path is None else str(path)
