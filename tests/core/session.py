"""A session that uses what memlens does with heaps: each function of the core takes part in it."""

from __future__ import annotations

import json
import tempfile
from itertools import chain

import memlens

KEPT: dict[int, object] = {}
FIELDS = {
    "node_fields": ["type", "name", "id", "self_size", "edge_count", "trace_node_id"],
    "node_types": [["synthetic", "object", "string"]],
    "edge_fields": ["type", "name_or_index", "to_node"],
    "edge_types": [["property", "element", "weak"]],
}


class Session:
    def __init__(self, number):
        self.number = number
        self.name = f"session {number % 10}"
        self.items = [number, {"key": number}]
        self.me = self


def grow(count):
    for _ in range(count):
        KEPT[len(KEPT)] = Session(len(KEPT))


def use_everything() -> None:
    with tempfile.TemporaryDirectory() as folder:
        snapshots = []
        for number, mode in enumerate(("auto", "auto", "inline")):
            grow(300)
            path = f"{folder}/{number}.memlens"
            snapshots.append(memlens.take_heap_snapshot(path, values=True, mode=mode))
        str(memlens.find_leaks(snapshots))
        for before, after in (snapshots[1:], [small_heap(folder, 3), small_heap(folder, 4)]):
            look_at(before, after, folder)


def look_at(before, after, folder) -> None:
    str(after.summary())
    str(before.compare(after))
    str(after.duplicates())
    after.graph.dominators.children(1)
    chosen = after.select("Thing") or after.select("*.Session")
    str(after.path_to(chosen.largest(1)[0]))
    assert chosen.retained_bytes > 0
    memlens.export(after, f"{folder}/heap.heapsnapshot", before=[before])
    memlens.load(f"{folder}/heap.heapsnapshot").save(f"{folder}/again.memlens")


def small_heap(folder, count):
    """A heap of a few nodes, with which a function takes a microsecond."""
    nodes = [[0, 0, 1, 0, 1, 0]] + [[1, 1, 2 * n + 3, 16, 1, 0] for n in range(count)]
    edges = [[0, 2, 6 * min(n + 1, count)] for n in range(count + 1)]
    document = {
        "snapshot": {"meta": FIELDS, "node_count": len(nodes), "edge_count": len(edges)},
        "nodes": [*chain(*nodes)],
        "edges": [*chain(*edges)],
        "strings": ["", "Thing", "next"],
    }
    path = f"{folder}/small.heapsnapshot"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)
    return memlens.load(path)
