"""WasteView: the base of the views of wasted memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from memlens._rows import Rows
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPathFinder

__all__ = ("WasteView",)


class _Row(Protocol):
    @property
    def wasted_bytes(self) -> int: ...

    @property
    def order(self) -> Any: ...


Row = TypeVar("Row", bound=_Row)


class WasteView(Rows[Row]):
    """Rows of waste, the most wasted bytes first; equal ones are sorted by their ``order``."""

    def __init__(self, graph: HeapGraph, rows: Iterable[Row]) -> None:
        super().__init__(sorted(rows, key=lambda row: (-row.wasted_bytes, row.order)))
        self._finder = RetentionPathFinder(graph)

    def to_dict(self, limit: int | None = 1000) -> dict[str, Any]:
        """Return the totals and the first ``limit`` rows as JSON-ready values."""
        return super().to_dict(limit)

    @property
    def wasted_bytes(self) -> int:
        """The total number of wasted bytes."""
        return sum(row.wasted_bytes for row in self.rows)

    def _place(self, node: int) -> str:
        path = self._finder.path_to(node)
        return "(garbage)" if path is None else str(path)
