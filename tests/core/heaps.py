"""A captured heap, as tests look at it: by object, with labels in words."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from memlens._core.layout import KIND_MASK, LABEL_BITS, EdgeKind, RootKind


class Heap:
    """Answers questions about one mapping of sections."""

    def __init__(self, sections):
        self.sections = sections

    @cached_property
    def _node_by_address(self):
        addresses = self._list("node_address")
        return dict(zip(addresses, range(len(addresses)), strict=True))

    def _list(self, name):
        return memoryview(self.sections[name]).tolist()

    @cached_property
    def _targets(self):
        return self._list("edge_target")

    @cached_property
    def _offsets(self):
        return self._list("edge_offset")

    def string(self, number):
        start, end = self.sections["string_offset"][number : number + 2]
        return bytes(self.sections["string_bytes"][start:end]).decode("utf-8", "surrogatepass")

    def node_at(self, address):
        return self._node_by_address[address]

    def node(self, obj):
        return self._node_by_address[id(obj)]

    def has(self, obj):
        return id(obj) in self._node_by_address

    def type_name(self, node):
        return self.string(self.sections["type_name"][self.sections["node_type"][node]])

    def size(self, obj):
        return self.sections["node_size"][self.node(obj)]

    def flags(self, obj):
        return self.sections["node_flags"][self.node(obj)]

    def edges(self, node):
        """(kind, name or position, address of the target) of each edge, in order."""
        start, end = self.sections["edge_offset"][node], self.sections["edge_offset"][node + 1]
        return [self._edge(edge) for edge in range(start, end)]

    def edges_of(self, obj):
        return self.edges(self.node(obj))

    def _edge(self, edge):
        label = self.sections["edge_label"][edge]
        kind, payload = EdgeKind(label & KIND_MASK), label >> LABEL_BITS
        name = payload if kind is EdgeKind.INDEX else self.string(payload)
        return kind, name, self.sections["node_address"][self.sections["edge_target"][edge]]

    def referrers(self, address):
        """(kind, name or position, source) of each edge that ends at the object."""
        node = self.node_at(address)
        edges = self._edges_to(node)
        sources = [bisect_right(self._offsets, edge) - 1 for edge in edges]
        return [
            (*self._edge(edge)[:2], source)
            for edge, source in zip(edges, sources, strict=True)
            if source
        ]

    def _edges_to(self, node):
        found, edge = [], -1
        try:
            while True:
                edge = self._targets.index(node, edge + 1)
                found.append(edge)
        except ValueError:
            return found

    def roots(self, node):
        """(kind, name) of each root that is this node."""
        return [
            (
                RootKind(self.sections["root_kind"][root]),
                self.string(self.sections["root_name"][root]),
            )
            for root in range(self.sections["edge_offset"][1])
            if self.sections["edge_target"][root] == node
        ]
