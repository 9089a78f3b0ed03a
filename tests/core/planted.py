"""Objects planted in this process, and a small reader that finds them again in a capture."""

from __future__ import annotations

import collections
import os
import types

import memlens
from memlens._core.layout import LABEL_BITS, NONE, SECTIONS, EdgeKind, NodeFlag, RootKind

OWN_PREFIX = os.path.dirname(os.path.abspath(memlens.__file__)) + os.sep


# Where tests put what has to be held by something that every capture can see into: a local variable
# of a test that runs is not (3.11).
PLANT = types.SimpleNamespace()


class Captured:
    """A captured heap, read naively: the sections are the only thing it knows."""

    def __init__(self, sections):
        self.sections = {name: memoryview(sections[name]) for name in SECTIONS}
        self.blob = bytes(memoryview(sections["string_bytes"]).cast("B"))
        self.node_of = {
            address: node for node, address in enumerate(self.sections["node_address"]) if node
        }

    def string(self, number):
        start, end = self.sections["string_offset"][number : number + 2]
        return self.blob[start:end].decode("utf-8", "surrogatepass")

    def node(self, obj):
        return self.node_of[id(obj)]

    def has(self, obj):
        return id(obj) in self.node_of

    def label(self, edge):
        packed = self.sections["edge_label"][edge]
        kind, payload = EdgeKind(packed & (1 << LABEL_BITS) - 1), packed >> LABEL_BITS
        return kind.name, payload if kind is EdgeKind.INDEX else self.string(payload)

    def edges_of_node(self, node):
        start, end = self.sections["edge_offset"][node : node + 2]
        return [
            (*self.label(edge), self.sections["edge_target"][edge]) for edge in range(start, end)
        ]

    def edges(self, obj):
        """(kind, name, id of the target) of each edge of ``obj``."""
        address = self.sections["node_address"]
        return [(kind, name, address[to]) for kind, name, to in self.edges_of_node(self.node(obj))]

    def named(self, obj, *kinds):
        """The edges of these kinds as name -> id of the target."""
        return {name: target for kind, name, target in self.edges(obj) if kind in kinds}

    def strong(self, obj):
        """How often each target is referred to, weak references left out."""
        return collections.Counter(
            target for kind, _, target in self.edges(obj) if kind != EdgeKind.WEAK.name
        )

    def holders(self, obj):
        """(id of the source, kind, name) of each edge to ``obj``; the process has id 0."""
        wanted = self.node(obj)
        found = []
        for node, address in enumerate(self.sections["node_address"]):
            for kind, name, to in self.edges_of_node(node) if node else ():
                if to == wanted:
                    found.append((address, kind, name))
        return found

    def roots(self, obj=...):
        """(kind, name, count) of each root, of one object or of all."""
        columns = (self.sections[f"root_{name}"] for name in ("kind", "name", "count"))
        rows = zip(*columns, self.sections["edge_target"], strict=False)
        wanted = None if obj is ... else self.node_of.get(id(obj))
        return [
            (RootKind(kind).name, self.string(name), count)
            for kind, name, count, to in rows
            if obj is ... or to == wanted
        ]

    def external(self, obj):
        """The references to ``obj`` that nothing explains."""
        return sum(count for kind, _, count in self.roots(obj) if kind == "EXTERNAL")

    def flags(self, obj):
        return NodeFlag(self.sections["node_flags"][self.node(obj)])

    def size(self, obj):
        return self.sections["node_size"][self.node(obj)]

    def type_name(self, obj):
        row = self.sections["node_type"][self.node(obj)]
        return self.string(self.sections["type_name"][row])

    def type_node(self, obj):
        return self.sections["type_node"][self.sections["node_type"][self.node(obj)]]

    def sparse(self, obj, key, *columns):
        """The values of a sparse table in one object's row; None where it has none."""
        node = self.node(obj)
        for row, owner in enumerate(self.sections[f"{key}_node"]):
            if owner == node:
                return tuple(self.sections[f"{key}_{column}"][row] for column in columns)
        return None

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
                return self.sections["edge_target"][root]
        raise LookupError(function)

    def mentions(self, text):
        return text.encode() in self.blob


def take(core, **options):
    """Capture the heap with the implementation under test."""
    return Captured(core.capture(own_prefix=OWN_PREFIX, **options))
