"""Small files as V8 writes them, made by hand."""

from __future__ import annotations

import json

NODE_TYPES = ("synthetic", "object", "string", "closure", "array", "native", "number", "code")
EDGE_TYPES = ("context", "element", "property", "internal", "hidden", "shortcut", "weak")
NODE_FIELDS = ("type", "name", "id", "self_size", "edge_count", "trace_node_id", "detachedness")
EDGE_FIELDS = ("type", "name_or_index", "to_node")


class V8File:
    """Nodes are numbered from 1 in the order in which they are added; 0 is the root."""

    def __init__(self, node_fields=NODE_FIELDS, edge_fields=EDGE_FIELDS):
        self.node_fields, self.edge_fields = node_fields, edge_fields
        self.strings = ["<dummy>"]
        self.nodes = [("synthetic", "", 0, 1)]
        self.edges = [[]]
        self.header = {}
        self.more = {}

    def node(self, kind, name, size=10, id_=None):
        number = len(self.nodes)
        self.nodes.append((kind, name, size, id_ or 2 * number + 1))
        self.edges.append([])
        return number

    def edge(self, source, target, kind="property", name="x"):
        self.edges[source].append((kind, name, target))

    def text(self, text):
        if text not in self.strings:
            self.strings.append(text)
        return self.strings.index(text)

    def parts(self):
        nodes, edges = [], []
        for (kind, name, size, id_), row in zip(self.nodes, self.edges, strict=True):
            values = {
                "type": NODE_TYPES.index(kind), "name": self.text(name), "id": id_,
                "self_size": size, "edge_count": len(row),
            }  # fmt: skip
            nodes += [values.get(field, 0) for field in self.node_fields]
            for edge_kind, edge_name, target in row:
                is_text = edge_kind not in ("element", "hidden")
                values = {
                    "type": EDGE_TYPES.index(edge_kind),
                    "name_or_index": self.text(edge_name) if is_text else edge_name,
                    "to_node": target * len(self.node_fields),
                }
                edges += [values.get(field, 0) for field in self.edge_fields]
        node_types = ["number"] * len(self.node_fields)
        node_types[self.node_fields.index("type")] = NODE_TYPES
        edge_types = ["node"] * len(self.edge_fields)
        edge_types[self.edge_fields.index("type")] = EDGE_TYPES
        meta = {
            "node_fields": self.node_fields,
            "node_types": node_types,
            "edge_fields": self.edge_fields,
            "edge_types": edge_types,
        }
        header = {
            "meta": meta,
            "node_count": len(self.nodes),
            "edge_count": len(edges) // len(self.edge_fields),
        }
        return {
            "snapshot": header | self.header,
            "nodes": nodes,
            "edges": edges,
            "trace_function_infos": [],
            "trace_tree": [1, 0, 0, 0, [2, 0, 0, 0, []]],
            **self.more,
            "strings": self.strings,
        }

    def write(self, path, **format_options):
        path.write_text(json.dumps(self.parts(), **format_options))
        return path


def shop():
    """A global object whose registry holds two sessions with equal texts."""
    file = V8File()
    top = file.node("synthetic", "(GC roots)", 0)
    window = file.node("object", "Window / https://shop", 100)
    registry = file.node("object", "Map", 50)
    file.edge(0, top, "element", 1)
    file.edge(0, window, "shortcut", "1")
    file.edge(top, window, "element", 1)
    file.edge(window, registry, "property", "registry")
    for number in range(2):
        session = file.node("object", "Session", 200)
        file.edge(registry, session, "element", number)
        text = file.node("string", "same text", 30)
        file.edge(session, text, "property", "text")
    handler = file.node("closure", "onClick", 64)
    file.edge(window, handler, "property", "handler")
    file.edge(handler, registry, "context", "cache")
    return file
