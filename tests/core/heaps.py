"""A captured heap, read by object or by node, and the place where tests plant what is captured."""

from __future__ import annotations

import collections
import os
import types
from bisect import bisect_right
from functools import cached_property

import memlens
from memlens._core.layout import KIND_MASK, LABEL_BITS, NONE, EdgeKind, NodeFlag, RootKind

OWN_PREFIX = os.path.dirname(os.path.abspath(memlens.__file__)) + os.sep

# Holds what a test plants where every capture can see it: in 3.11 the pure core cannot read the
# variables of a running test.
PLANT = types.SimpleNamespace()


class Heap:
    """Answers questions about one mapping of sections, which is all that it knows.

    Objects are given as they are, nodes by number, and kinds are the names of `EdgeKind` and
    `RootKind`.
    """

    def __init__(self, sections):
        self.sections = sections

    @cached_property
    def node_of(self):
        """The node of each ``id()``; the process is not among them."""
        addresses = memoryview(self.sections["node_address"]).tolist()
        return {address: node for node, address in enumerate(addresses) if node}

    @cached_property
    def _blob(self):
        return bytes(memoryview(self.sections["string_bytes"]).cast("B"))

    @cached_property
    def _targets(self):
        return memoryview(self.sections["edge_target"]).tolist()

    def string(self, number):
        start, end = self.sections["string_offset"][number : number + 2]
        return self._blob[start:end].decode("utf-8", "surrogatepass")

    def mentions(self, text):
        """Whether a text is anywhere in the strings."""
        return text.encode() in self._blob

    # Nodes

    def node(self, obj):
        return self.node_of[id(obj)]

    def has(self, obj):
        return id(obj) in self.node_of

    def flags(self, obj):
        return self.flags_of_node(self.node(obj))

    def flags_of_node(self, node):
        return NodeFlag(self.sections["node_flags"][node])

    def size(self, obj):
        return self.sections["node_size"][self.node(obj)]

    def type_name(self, obj):
        return self.type_name_of_node(self.node(obj))

    def type_name_of_node(self, node):
        return self.string(self.sections["type_name"][self.sections["node_type"][node]])

    def type_node(self, obj):
        return self.sections["type_node"][self.sections["node_type"][self.node(obj)]]

    def sparse(self, obj, key, *columns):
        """The values of a sparse table in one object's row; None where it has none."""
        nodes = memoryview(self.sections[f"{key}_node"]).tolist()
        node = self.node(obj)
        if node not in nodes:
            return None
        return tuple(self.sections[f"{key}_{column}"][nodes.index(node)] for column in columns)

    # Edges

    def edges(self, obj):
        """(kind, name or position, id of the target) of each edge of an object."""
        address = self.sections["node_address"]
        return [(kind, name, address[to]) for kind, name, to in self.edges_of_node(self.node(obj))]

    def edges_of_node(self, node):
        """(kind, name or position, node of the target) of each edge of a node."""
        start, end = self.sections["edge_offset"][node : node + 2]
        return [(*self._label(edge), self._targets[edge]) for edge in range(start, end)]

    def _label(self, edge):
        packed = self.sections["edge_label"][edge]
        kind, payload = EdgeKind(packed & KIND_MASK), packed >> LABEL_BITS
        return kind.name, payload if kind is EdgeKind.INDEX else self.string(payload)

    def named(self, obj, *kinds):
        """The edges of these kinds as name -> id of the target."""
        return {name: target for kind, name, target in self.edges(obj) if kind in kinds}

    def strong(self, obj):
        """How often each target is referred to, weak references left out."""
        return collections.Counter(
            target for kind, _, target in self.edges(obj) if kind != EdgeKind.WEAK.name
        )

    def referrers(self, address):
        """(kind, name or position, node of the source) of each edge to the object at an address."""
        node, offsets = self.node_of[address], self.sections["edge_offset"]
        edges = [edge for edge, target in enumerate(self._targets) if target == node]
        rows = [(*self._label(edge), bisect_right(offsets, edge) - 1) for edge in edges]
        return [row for row in rows if row[-1]]  # without the roots

    def owners_of(self, nodes, name):
        """The nodes with an edge of this name to each of these nodes."""
        wanted, offsets = {node: set() for node in nodes}, self.sections["edge_offset"]
        for edge, target in enumerate(self._targets):
            if target in wanted and self._label(edge) == (EdgeKind.INTERNAL.name, name):
                wanted[target].add(bisect_right(offsets, edge) - 1)
        return wanted

    # Roots and frames

    def roots(self, obj=...):
        """(kind, name, count) of each root, of one object or of all."""
        wanted = None if obj is ... else self.node_of.get(id(obj))
        return [tuple(row) for to, *row in self._roots() if obj is ... or to == wanted]

    def roots_of_node(self, node):
        return [tuple(row) for to, *row in self._roots() if to == node]

    def _roots(self):
        columns = (self.sections[f"root_{name}"] for name in ("kind", "name", "count"))
        return [
            (to, RootKind(kind).name, self.string(name), count)
            for kind, name, count, to in zip(*columns, self._targets, strict=False)
        ]

    def external(self, obj):
        """The references to an object that nothing explains."""
        return sum(count for kind, _, count in self.roots(obj) if kind == "EXTERNAL")

    def frames(self):
        """(thread, function, file, line, depth) of each running frame."""
        names = ("thread", "function", "file", "line", "depth")
        rows = zip(*(self.sections[f"frame_{name}"] for name in names), strict=True)
        return [
            (thread, self.string(function), self.string(file), line, depth)
            for thread, function, file, line, depth in rows
        ]

    def frame_root(self, function):
        """The node of the running frame of this function."""
        for root, row in enumerate(self.sections["root_frame"]):
            if row != NONE and self.string(self.sections["frame_function"][row]) == function:
                return self._targets[root]
        raise LookupError(function)


def take(core, **options):
    """Capture the heap with the implementation under test."""
    return Heap(core.capture(own_prefix=OWN_PREFIX, **options))
