"""The process that opens a snapshot for the screen: see `memlens.profiler.answering`."""

from __future__ import annotations

from typing import Any

from memlens._text import format_bytes, printable
from memlens.heap.graph.node import Node
from memlens.heap.snapshot import HeapSnapshot
from memlens.profiler.answering import answer_request

__all__ = ("details_of", "main")

_MAX_PATHS = 3


def details_of(snapshot: HeapSnapshot, request: dict[str, Any]) -> dict[str, Any]:
    """Return the largest objects below the holder and the paths to it, as JSON-ready values."""
    node = _holder(snapshot, request)
    if node is None:
        return {"failure": f"{request['holder']} is not in this snapshot"}
    below = snapshot.dominators(node).children(request["limit"])
    return {
        "objects": [(format_bytes(one.retained_bytes), printable(one.label)) for one in below],
        "paths": [path.tree() for path in snapshot.retention_paths(node, _MAX_PATHS)],
    }


def _holder(snapshot: HeapSnapshot, request: dict[str, Any]) -> Node | None:
    """Return the holder by its number in the snapshot, or else by its path."""
    index = request["node"]
    if 0 < index < snapshot.graph.node_count:
        node = Node(snapshot.graph, index)
        if node.type_name == request["type"]:
            return node
    return snapshot.node_at(request["holder"])


def main() -> None:
    """Answer what standard input asks, on standard output."""
    answer_request(lambda request: details_of(HeapSnapshot.load(request["path"]), request))
