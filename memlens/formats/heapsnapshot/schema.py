"""The fields and types of a ``.heapsnapshot``, in the order in which memlens writes them.

The format has no specification: it is what V8 writes (``heap-snapshot-generator.cc``) and what Chrome
DevTools reads (``HeapSnapshotLoader.ts``, ``HeapSnapshot.ts``). A file is one JSON object. ``nodes``
and ``edges`` are flat arrays of integers of 32 bits, ``node_fields`` and ``edge_fields`` of them a row;
an edge names its target by the place of the row in ``nodes``. Texts are numbers of ``strings``.
"""

from __future__ import annotations

from typing import Any

from memlens._core.layout import EdgeKind

__all__ = (
    "CLOSURE",
    "CODE",
    "EDGE_FIELDS",
    "EDGE_TYPES",
    "EDGE_TYPE_OF_KIND",
    "ELEMENT",
    "EXPORTED_FACTS",
    "INTERNAL",
    "MAX_SIZE",
    "META",
    "NATIVE",
    "NODE_FIELDS",
    "NODE_TYPES",
    "OBJECT",
    "PROPERTY",
    "STRING",
    "SYNTHETIC",
    "WEAK",
)

NODE_FIELDS = (
    *("type", "name", "id", "self_size", "edge_count"),
    *("trace_node_id", "detachedness"),
)
NODE_TYPES = (
    *("hidden", "array", "string", "object", "code", "closure", "regexp", "number", "native"),
    *("synthetic", "concatenated string", "sliced string", "symbol", "bigint", "object shape"),
)
EDGE_FIELDS = ("type", "name_or_index", "to_node")
EDGE_TYPES = ("context", "element", "property", "internal", "hidden", "shortcut", "weak")

STRING, OBJECT, CODE = map(NODE_TYPES.index, ("string", "object", "code"))
CLOSURE, NATIVE, SYNTHETIC = map(NODE_TYPES.index, ("closure", "native", "synthetic"))
CONTEXT, ELEMENT, PROPERTY = map(EDGE_TYPES.index, ("context", "element", "property"))
INTERNAL, WEAK = map(EDGE_TYPES.index, ("internal", "weak"))

EDGE_TYPE_OF_KIND = {
    EdgeKind.INTERNAL: INTERNAL,
    EdgeKind.ATTRIBUTE: PROPERTY,
    EdgeKind.KEY: PROPERTY,
    EdgeKind.INDEX: ELEMENT,
    EdgeKind.LOCAL: CONTEXT,
    EdgeKind.CELL: CONTEXT,
    EdgeKind.WEAK: WEAK,
    EdgeKind.ITEM: INTERNAL,
}

MAX_SIZE = (1 << 32) - (1 << 12)  # bytes of one node: readers keep 32 bits of a number

META: dict[str, Any] = {
    "node_fields": NODE_FIELDS,
    "node_types": [NODE_TYPES, "string", "number", "number", "number", "number", "number"],
    "edge_fields": EDGE_FIELDS,
    "edge_types": [EDGE_TYPES, "string_or_number", "node"],
    "trace_function_info_fields": [
        *("function_id", "name", "script_name", "script_id", "line", "column"),
    ],
    "trace_node_fields": ["id", "function_info_index", "count", "size", "children"],
    "sample_fields": ["timestamp_us", "last_assigned_id"],
    "location_fields": ["object_index", "script_id", "line", "column"],
}
# In the header under "memlens", which other readers ignore.
EXPORTED_FACTS = ("pid", "timestamp", "process", "language")
