"""Places: the same position in the heap through time, with keys and indexes as wildcards.

Every object has a best path from a root. Two objects are in one place when their paths agree but
for keys, positions and members, and but for repetitions: ``app.sessions['ada'].history`` and
``app.sessions['bob'].history`` are one place, and so are all links of a linked list. A place is
named by a 64-bit hash, equal in all snapshots of a process.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import chain, repeat
from operator import sub
from typing import TYPE_CHECKING

from memlens._core.layout import KIND_MASK, LABEL_BITS, NONE, EdgeKind
from memlens._core.pure.columns import read_column, read_edges

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ("place_keys",)

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_WILD = frozenset({EdgeKind.KEY, EdgeKind.INDEX, EdgeKind.ITEM})
_MAX_PERIOD = 3  # of a repetition: traceback -> frame -> exception -> traceback


def place_keys(
    edge_offset: ReadableBuffer,
    edge_target: ReadableBuffer,
    edge_label: ReadableBuffer,
    path_edges: ReadableBuffer,
    node_type: ReadableBuffer,
    string_key: ReadableBuffer,
    type_key: ReadableBuffer,
    root_key: ReadableBuffer,
    anchor_node: ReadableBuffer,
    anchor_key: ReadableBuffer,
    namespace_string: int,
) -> tuple[array[int], array[int]]:
    """Return the place of each node as a 64-bit key, and which nodes repeat one above them.

    ``path_edges`` is what `shortest_paths` gives. ``string_key``, ``type_key`` and ``root_key``
    (all u64) stand for the texts of strings, type names and roots. An anchor (``anchor_node`` u32,
    ascending; ``anchor_key`` u64) is a place of its own wherever it hangs: a function, a coroutine.
    ``namespace_string`` is the number of the string ``__dict__``: the table of attributes between
    an object and its attribute is passed over. Node 0 and garbage have the key 0.

    Returns columns of u64 and u8. Raises `ValueError` for columns that do not fit together.
    """
    edges = read_edges(edge_offset, edge_target, edge_label)
    offset = edges.offset
    label = read_column(edge_label, "I", "edge_label")
    path = read_column(path_edges, "I", "path_edges").tolist()
    kinds = read_column(node_type, "I", "node_type")
    strings = read_column(string_key, "Q", "string_key")
    types = read_column(type_key, "Q", "type_key")
    roots = read_column(root_key, "Q", "root_key")
    nodes = read_column(anchor_node, "I", "anchor_node").tolist()
    anchors = dict(zip(nodes, read_column(anchor_key, "Q", "anchor_key"), strict=True))
    count = len(offset) - 1
    _check(count, path, kinds, label, strings, types, nodes)
    if any(edge != NONE and edges.target[edge] != node for node, edge in enumerate(path)):
        raise ValueError("path_edges names an edge that leads elsewhere")
    if len(roots) != offset[1]:
        raise ValueError("root_key must have an entry for each edge of node 0")
    row_length = map(sub, offset[1:], offset)
    source = list(chain.from_iterable(map(repeat, range(count), row_length)))
    parent = [0 if edge == NONE else source[edge] for edge in path]
    namespace = namespace_string << LABEL_BITS | EdgeKind.INTERNAL
    places = _Places(label, path, parent, kinds, strings, types, roots, namespace)
    for node in _top_down(path, parent):
        places.place(node, anchors.get(node))
    return array("Q", places.keys), array("B", places.repeats)


def _top_down(path: list[int], parent: list[int]) -> Iterator[int]:
    """Yield the nodes that have a path, each after the one above it."""
    is_done = bytearray(len(path))
    is_done[0] = 1
    for start in range(1, len(path)):
        trail = []
        node = start
        while not is_done[node] and path[node] != NONE:
            is_done[node] = 1
            trail.append(node)
            node = parent[node]
        yield from reversed(trail)


class _Places:
    """The key of each node so far, the step that led to it, and whether it repeats."""

    def __init__(
        self,
        label: memoryview,
        path: list[int],
        parent: list[int],
        kinds: memoryview,
        strings: memoryview,
        types: memoryview,
        roots: memoryview,
        namespace: int,
    ) -> None:
        self._label, self._path, self._parent, self._kinds = label, path, parent, kinds
        self._strings, self._types, self._roots = strings, types, roots
        self._namespace = namespace
        self.keys, self._steps = [0] * len(path), [0] * len(path)
        self.repeats = bytearray(len(path))

    def place(self, node: int, anchor: int | None) -> None:
        """Find the key of a node whose parent has one; that of an anchor is given."""
        edge, above = self._path[node], self._parent[node]
        if anchor is not None:
            self.keys[node] = self._steps[node] = anchor
            self._find_repetition(node)
            return
        type_key = self._types[self._kinds[node]]
        if above == 0:
            self.keys[node] = self._steps[node] = _mix(self._roots[edge], type_key)
            return
        label = self._label[edge]
        kind = label & KIND_MASK
        text = 0 if kind in _WILD else self._strings[label >> LABEL_BITS]
        step = self._steps[node] = _mix(_mix(kind + 1, text), type_key)
        if kind == EdgeKind.ATTRIBUTE and self._label[self._path[above]] == self._namespace:
            above = self._parent[above]
        self.keys[node] = _mix(self.keys[above], step)
        if label != self._namespace:
            self._find_repetition(node)

    def _find_repetition(self, node: int) -> None:
        """Give a node the key of an ancestor that was reached by the same step."""
        ancestor = self._parent[node]
        for _ in range(_MAX_PERIOD):
            if ancestor == 0:
                return
            if self._steps[ancestor] == self._steps[node]:
                self.keys[node] = self.keys[ancestor]
                self.repeats[node] = 1
                return
            ancestor = self._parent[ancestor]


def _check(
    count: int,
    path: list[int],
    kinds: memoryview,
    label: memoryview,
    strings: memoryview,
    types: memoryview,
    anchors: list[int],
) -> None:
    """Raise `ValueError` where an index would lead out of a column."""
    if len(path) != count or len(kinds) != count:
        raise ValueError("path_edges and node_type must have an entry for each node")
    if max(kinds) >= len(types):
        raise ValueError("node_type names a type without a key")
    edges = [edge for edge in path if edge != NONE]
    if edges and max(edges) >= len(label):
        raise ValueError("path_edges names an edge that does not exist")
    if any(
        label[edge] & KIND_MASK != EdgeKind.INDEX and label[edge] >> LABEL_BITS >= len(strings)
        for edge in edges
    ):
        raise ValueError("edge_label names a string without a key")
    if anchors and max(anchors) >= count:
        raise ValueError("anchor_node names a node that does not exist")


def _mix(key: int, value: int) -> int:
    """Combine two 64-bit keys in their order (the finaliser of splitmix64)."""
    mixed = (key * 0x9E37_79B9_7F4A_7C15 + value + 0x7F4A_7C15) & _MASK
    mixed = ((mixed ^ mixed >> 30) * 0xBF58_476D_1CE4_E5B9) & _MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94D0_49BB_1331_11EB) & _MASK
    return mixed ^ mixed >> 31
