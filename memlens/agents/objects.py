"""The tools about single objects: what is largest, what an object dominates, what keeps it alive."""

from __future__ import annotations

from typing import Any

from memlens.agents.answers import Answer
from memlens.agents.known_files import one_snapshot
from memlens.agents.leaks import call_path_text
from memlens.agents.workspace import Workspace
from memlens.errors import NotInSnapshotError, OptionError
from memlens.heap.graph.node import Node
from memlens.heap.graph.paths import Hop, RetentionPath
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("largest", "why_alive")

MAX_ROWS = 500  # objects that one answer lists on all of its pages
_MAX_HOPS = 40  # of a path in one row


def why_alive(
    workspace: Workspace,
    file: str | None = None,
    pid: int | None = None,
    type: str | None = None,  # noqa: A002 - the name of the argument that the caller of a tool gives
    path: str | None = None,
    object: int | None = None,  # noqa: A002
    max_objects: int = 1,
    max_paths: int = 3,
) -> Answer:
    """Return the independent paths that keep objects alive; a row for each path.

    The objects: one by its number in the snapshot, one by its path as printed, or the
    ``max_objects`` of a type that retain most.
    """
    name = one_snapshot(workspace, file, pid)
    snapshot = workspace.snapshot(name)
    nodes = _wanted(snapshot, type, path, object, max_objects)
    rows = []
    for node in nodes:
        paths = snapshot.retention_paths(node, max_paths)
        facts = {"object": node.index, "type": node.type_name}
        rows += [{**facts, **_path_row(found)} for found in paths]
        if not paths:
            rows.append({**facts, "path": None, "root_kind": "garbage"})
    head = {
        "file": workspace.name_of(name),
        "objects": [_object_row(node) for node in nodes],
        "matching_count": len(snapshot.select(type)) if type else len(nodes),
    }
    return Answer(
        head, "paths", rows, ("largest with an object of hops: what is below it and how much",)
    )


def largest(
    workspace: Workspace,
    file: str | None = None,
    pid: int | None = None,
    by: str = "object",
    object: int | None = None,  # noqa: A002
) -> Answer:
    """Return what retains most: ``by`` object, type, or where memory accumulates (``drop``).

    ``object``: only what that object immediately dominates; by default what the process does.
    """
    name = one_snapshot(workspace, file, pid)
    snapshot = workspace.snapshot(name)
    head: dict[str, Any] = {"file": workspace.name_of(name), "pid": snapshot.pid, "by": by}
    if object is not None:
        head["of"] = _object_row(_node(snapshot, object))
        head["of"]["path"] = _text(snapshot, object)
    rows, total = _ROWS[by](snapshot, object)
    hints = ["why_alive with an object: the references that keep it alive"]
    if by == "object":
        hints.append("largest with an object: what it immediately dominates")
    return Answer(head, "rows", rows, tuple(hints), total_count=total)


def _objects(snapshot: HeapSnapshot, below: int | None) -> tuple[list[dict[str, Any]], int | None]:
    if below is None:
        nodes, total = snapshot.largest(MAX_ROWS), None
    else:
        branches = snapshot.dominators(below).children()
        nodes = [branch.node for branch in branches[:MAX_ROWS] if branch.node is not None]
        total = len(branches)
    return [{**_object_row(node), "path": _text(snapshot, node.index)} for node in nodes], total


def _types(snapshot: HeapSnapshot, below: int | None) -> tuple[list[dict[str, Any]], int | None]:
    rows = [
        {
            "type": row.name,
            "count": row.count,
            "shallow_bytes": row.shallow_bytes,
            "retained_bytes": row.retained_bytes,
        }
        for row in snapshot.dominators(below).by_type()
    ]
    return rows[:MAX_ROWS], len(rows)


def _drops(snapshot: HeapSnapshot, below: int | None) -> tuple[list[dict[str, Any]], int | None]:
    drops = snapshot.dominators(below).big_drops()
    rows = [
        {
            **_object_row(drop.node),
            "largest_child_bytes": drop.largest_child_bytes,
            "child_count": drop.child_count,
            "path": _text(snapshot, drop.node.index),
        }
        for drop in drops.rows[:MAX_ROWS]
    ]
    return rows, len(drops)


_ROWS = {"object": _objects, "type": _types, "drop": _drops}


def _wanted(
    snapshot: HeapSnapshot, type_name: str | None, path: str | None, number: int | None, limit: int
) -> list[Node]:
    if sum(one is not None for one in (type_name, path, number)) != 1:
        raise OptionError("give exactly one of type, path and object")
    if number is not None:
        return [_node(snapshot, number)]
    if path is not None:
        found = snapshot.node_at(path)
        if found is None:
            raise NotInSnapshotError(
                f"no object is at {path!r}: begin with a module, as in app.registry._sessions; keys"
                " of dicts are not recorded; for what lies in a dict, a task or a frame give a type, or"
                " the number of an object of largest"
            )
        return [found]
    chosen = snapshot.select(type_name)
    if not chosen:
        raise OptionError(
            f"no object is of type {type_name!r}: give the full name, such as 'collections.deque',"
            " or part of it with *; summarize lists the types"
        )
    return chosen.largest(limit)


def _node(snapshot: HeapSnapshot, number: int) -> Node:
    if not 0 < number < snapshot.graph.node_count:
        raise NotInSnapshotError(
            f"there is no object {number} in this snapshot: numbers are those of answers about the"
            " same file"
        )
    return Node(snapshot.graph, number)


def _object_row(node: Node) -> dict[str, Any]:
    row: dict[str, Any] = {"object": node.index, "type": node.type_name}
    allocated = node.allocated_at
    more = {
        "name": node.name or None,
        "element_count": node.length,
        "max_element_count": node.bound,
        "retained_native_bytes": node.retained_native_bytes or None,
        "retained_device_bytes": node.retained_device_bytes or None,
        "allocated_at": call_path_text(allocated)[:3] if allocated else None,
    }
    row |= {"shallow_bytes": node.shallow_bytes, "retained_bytes": node.retained_bytes}
    return {**row, **{name: value for name, value in more.items() if value is not None}}


def _text(snapshot: HeapSnapshot, number: int) -> str | None:
    path = snapshot.path_to(number)
    return None if path is None else str(path)


def _path_row(path: RetentionPath) -> dict[str, Any]:
    hops = [hop for hop in path.hops if hop.text]
    shown = hops if len(hops) <= _MAX_HOPS else [*hops[: _MAX_HOPS // 2], *hops[-_MAX_HOPS // 2 :]]
    return {
        "path": str(path),
        "root_kind": path.root_kind,
        "hop_count": len(hops),
        "hops": [_hop(hop) for hop in shown],
    }


def _hop(hop: Hop) -> dict[str, Any]:
    return {
        "reference": hop.text,
        "type": hop.type_name,
        "object": hop.node,
        "retained_bytes": hop.retained_bytes,
    }
