"""The text of edges: those of the graph, some at a time, with the edges that are added to a row."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterator

from memlens._core.layout import KIND_MASK, LABEL_BITS, EdgeKind
from memlens.formats.heapsnapshot.columns import Columns
from memlens.formats.heapsnapshot.extra_nodes import ExtraEdge, ExtraNodes
from memlens.formats.heapsnapshot.schema import EDGE_TYPE_OF_KIND, NODE_FIELDS, WEAK
from memlens.formats.heapsnapshot.strings import StringTable
from memlens.heap.graph import checked_core

__all__ = ("EdgeRows",)

_CHUNK = 1 << 16  # edges
_TYPES = bytes(EDGE_TYPE_OF_KIND[EdgeKind(byte & KIND_MASK)] for byte in range(256))
_LOW_BYTE = 0 if sys.byteorder == "little" else array("I").itemsize - 1
_NO_NAMES = {
    EdgeKind.INTERNAL: "reference",
    EdgeKind.ATTRIBUTE: "attribute",
    EdgeKind.KEY: "value",
    EdgeKind.LOCAL: "local variable",
    EdgeKind.CELL: "cell variable",
    EdgeKind.WEAK: "weak reference",
    EdgeKind.ITEM: "item",
}
_ROW = len(NODE_FIELDS)


class EdgeRows:
    """The edges of one file in the order of their sources."""

    def __init__(self, columns: Columns, extra: ExtraNodes, strings: StringTable) -> None:
        self._columns = columns
        self._extra = extra
        # Of a label without a string, by its kind; positions are no strings.
        self._unnamed = [
            strings.add(_NO_NAMES[EdgeKind(kind)]) if EdgeKind(kind) in _NO_NAMES else 0
            for kind in range(KIND_MASK + 1)
        ]

    @property
    def count(self) -> int:
        """The number of edges."""
        offset = self._columns.edge_offset
        added = sum(map(len, self._extra.edges_by_row.values()))
        return int(offset[-1] - offset[1]) + added + sum(len(n.edges) for n in self._extra.nodes)

    def counts(self) -> array[int]:
        """Return the number of edges of each row but those of extra nodes (``"I"``)."""
        offset = self._columns.edge_offset
        counts = array("I", map(int.__sub__, offset[1:], offset[:-1]))
        counts[0] = 0
        for row, edges in self._extra.edges_by_row.items():
            counts[row] += len(edges)
        return counts

    def texts(self) -> Iterator[bytes]:
        """Yield the text of the edges, each piece with a comma at its end."""
        offset = self._columns.edge_offset
        start = offset[1]
        for row, edges in sorted(self._extra.edges_by_row.items()):
            end = offset[row + 1]
            yield from self._stored(start, end)
            yield _extra_text(edges)
            start = max(end, offset[1])
        yield from self._stored(start, offset[-1])
        for node in self._extra.nodes:
            if node.edges:
                yield _extra_text(node.edges)

    def _stored(self, start: int, end: int) -> Iterator[bytes]:
        for first in range(start, end, _CHUNK):
            yield self._chunk(first, min(first + _CHUNK, end))

    def _chunk(self, start: int, end: int) -> bytes:
        columns, unnamed = self._columns, self._unnamed
        labels = columns.edge_label[start:end]
        types = bytearray(labels.tobytes()[_LOW_BYTE :: labels.itemsize].translate(_TYPES))
        names = array(
            "I",
            [
                label >> LABEL_BITS
                if label & KIND_MASK == EdgeKind.INDEX
                else (label >> LABEL_BITS) + 1  # see StringTable.stored
                if label > KIND_MASK
                else unnamed[label]
                for label in labels
            ],
        )
        weak = columns.weak_edges
        for place in range(bisect_left(weak, start), bisect_left(weak, end)):
            edge = weak[place] - start
            types[edge] = WEAK
            if labels[edge] & KIND_MASK == EdgeKind.INDEX:
                names[edge] = unnamed[EdgeKind.ITEM]
        targets = array("I", [row * _ROW for row in columns.edge_target[start:end]])
        return checked_core.decimal_rows([types, names, targets])


def _extra_text(edges: list[ExtraEdge]) -> bytes:
    numbers = array(
        "I", [n for edge in edges for n in (edge.type, edge.name_or_index, edge.target * _ROW)]
    )
    return checked_core.decimal_rows([numbers])
