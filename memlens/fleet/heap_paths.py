"""The paths of types by which roots reach the objects of one type, counted."""

from __future__ import annotations

from typing import Any

from memlens.fleet.engine import Engine
from memlens.fleet.heap_reach import REACHED, Reach, union

__all__ = ("type_paths",)

_ARROW = " > "


def type_paths(
    engine: Engine, snapshot: str, type_name: str, reach: Reach, limit: int
) -> tuple[list[tuple[Any, ...]], int]:
    """Return root, path, least distance, objects and bytes of the paths, and how many there are.

    The rows walk from the farthest objects towards the roots, a level at a time, and are grouped on
    each: what comes from the same parent by the same types is one row from there on.
    """
    if not reach.reached:
        return [], 0
    farthest = int(engine.rows(f"select max(distance) from {REACHED}")[0][0])
    for distance in range(farthest, 0, -1):
        engine.keep(
            f"heap_walk_{distance}",
            _next_walk(reach, distance, farthest),
            snapshot=snapshot,
            type_name=type_name,
        )
        engine.drop(f"heap_walk_{distance + 1}")
    kinds = engine.keep(
        "heap_paths",
        "select n.root, w.path, min(w.distance) as distance, sum(w.count) as count,"
        f" sum(w.size_bytes) as size_bytes from ({_all_at(0, farthest)}) w"
        " join nodes n on n.node = w.node where n.snapshot = :snapshot group by n.root, w.path",
        snapshot=snapshot,
        type_name=type_name,
    )
    rows = engine.rows(
        "select root, path, distance, count, size_bytes from heap_paths"
        f" order by size_bytes desc, count desc, root, path limit {limit}"
    )
    engine.drop("heap_walk_1")
    engine.drop("heap_paths")
    return rows, kinds


def _all_at(distance: int, farthest: int) -> str:
    """Return a query for the rows at a distance: objects of the type, and parents of farther ones."""
    own = (
        "select node, parent, :type_name as path, distance, cast(1 as bigint) as count, size_bytes"
        f" from {REACHED} where distance = {distance}"
    )
    if distance == farthest:
        return own
    columns = "node, parent, path, distance, count, size_bytes"
    return f"{own} union all select {columns} from heap_walk_{distance + 1}"


def _next_walk(reach: Reach, distance: int, farthest: int) -> str:
    """Return a query for the parents of the rows at a distance, with their own parents."""
    follows = f"substr(w.path, 1, length(n.type) + {len(_ARROW)}) = concat(n.type, '{_ARROW}')"
    return (
        "select p.node, p.parent, w.path, w.distance, w.count, w.size_bytes from ("
        f" select w.parent as node, case when {follows} then w.path"
        f" else concat(n.type, '{_ARROW}', w.path) end as path, min(w.distance) as distance,"
        f" sum(w.count) as count, sum(w.size_bytes) as size_bytes"
        f" from ({_all_at(distance, farthest)}) w join nodes n on n.node = w.parent"
        " where n.snapshot = :snapshot group by 1, 2) w"
        f" join ({union('node, parent', reach.visited)}) p on p.node = w.node"
    )
