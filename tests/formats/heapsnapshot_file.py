"""A ``.heapsnapshot`` read by the rules of DevTools and memlab, independently of memlens."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import NamedTuple

ORDER = (
    *("snapshot", "nodes", "edges", "trace_function_infos", "trace_tree", "samples", "locations"),
    "strings",
)


class Edge(NamedTuple):
    source: int
    type: str
    name: str | int
    target: int


class Node(NamedTuple):
    type: str
    name: str
    id: int
    self_size: int
    edge_count: int
    trace_node_id: int
    detachedness: int


class HeapSnapshotFile:
    """The nodes and edges of a file, and what follows from them."""

    def __init__(self, path):
        text = path.read_bytes().decode("ascii")
        self.json = json.loads(text, object_pairs_hook=pairs_once)
        assert tuple(self.json) == ORDER
        # DevTools looks for these tokens as they are, without a blank before the colon.
        assert text.startswith('{"snapshot":{')
        header = text[: text.index('\n"nodes":[')]
        assert '"nodes"' not in header
        assert not re.search(
            r"[-.eE]", text[text.index('"nodes":[') + 9 : text.index(',\n"edges":[')]
        )
        self.header = self.json["snapshot"]
        self.strings = self.json["strings"]
        meta = self.header["meta"]
        self.nodes = [
            Node(meta["node_types"][0][row[0]], self.strings[row[1]], *row[2:])
            for row in rows(self.json["nodes"], len(meta["node_fields"]))
        ]
        assert meta["node_fields"] == [*Node._fields]
        self.edges = [*self._edges(meta)]
        self._check()

    def _edges(self, meta):
        width = len(meta["node_fields"])
        found = iter(rows(self.json["edges"], len(meta["edge_fields"])))
        for source, node in enumerate(self.nodes):
            for _ in range(node.edge_count):
                kind, name, target = next(found)
                kind = meta["edge_types"][0][kind]
                assert target % width == 0
                name = name if kind in ("element", "hidden") else self.strings[name]
                yield Edge(source, kind, name, target // width)
        assert next(found, None) is None

    def _check(self):
        assert self.header["node_count"] == len(self.nodes)
        assert self.header["edge_count"] == len(self.edges)
        ids = [node.id for node in self.nodes]
        assert len({*ids}) == len(ids)
        assert all(0 < number < 1 << 32 for number in ids)
        for numbers in ("nodes", "edges", "trace_function_infos"):
            assert all(0 <= number < 1 << 32 for number in self.json[numbers])
        assert self.nodes[0][:2] == ("synthetic", "")
        assert all(self.nodes[edge.target].type == "synthetic" for edge in self.edges_of(0))
        assert all(edge.type != "shortcut" for edge in self.edges)
        assert not {"array", "hidden"} & {node.type for node in self.nodes}
        for node in range(len(self.nodes)):
            if self.nodes[node].type == "synthetic":
                names = [(edge.type, edge.name) for edge in self.edges_of(node)]
                assert len({*names}) == len(names)

    @cached_property
    def _rows(self):
        found = [[] for _ in self.nodes]
        for edge in self.edges:
            found[edge.source].append(edge)
        return found

    def edges_of(self, node):
        return self._rows[node]

    def named(self, name):
        """The only node of a name."""
        (found,) = [number for number, node in enumerate(self.nodes) if node.name == name]
        return found

    def by_id(self):
        return {node.id: number for number, node in enumerate(self.nodes)}

    @cached_property
    def dominators(self):
        """The immediate dominator of each node; every node must be reached from the root."""
        import networkx  # here: a small process does without

        strong = [
            (edge.source, edge.target)
            for edge in self.edges
            if edge.type != "weak" and edge.source != edge.target
        ]
        graph = networkx.DiGraph(strong)
        graph.add_node(0)
        found = networkx.immediate_dominators(graph, 0)
        assert {*found} | {0} == {*range(len(self.nodes))}, (
            "nodes that DevTools would complain about"
        )
        return found

    @cached_property
    def retained(self):
        sums = [node.self_size for node in self.nodes]
        children = {}
        for node, dominator in self.dominators.items():
            if node:
                children.setdefault(dominator, []).append(node)
        order = [0]
        for node in order:
            order += children.get(node, ())
        for node in reversed(order):
            if node:
                sums[self.dominators[node]] += sums[node]
        return sums


def rows(numbers, width):
    assert len(numbers) % width == 0
    return [numbers[start : start + width] for start in range(0, len(numbers), width)]


def pairs_once(pairs):
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)
