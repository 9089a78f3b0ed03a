"""Which objects the objects of one type keep alive, and by which paths roots reach them.

One breadth-first search over nodes and edges, a level at a time: each level is a join of the edges
with the nodes that the level before has found. Memory is needed for one level, not for the heap.
The first half never goes on from objects of the type, so what it finds stays alive without them.
The second half begins at them and finds what only they keep alive.
"""

from __future__ import annotations

from dataclasses import dataclass

from memlens.fleet.engine import Engine

__all__ = ("MAX_LEVELS", "Reach", "find_reach", "forget_reach")

MAX_LEVELS = 1000  # each costs a scan of the edges
_MAX_PARTS = 6  # of the visited nodes; more are merged, small ones first
_LEVELS_OF_COPY = 16  # after so many levels the edges that are left are copied

TARGETS = "heap_targets"  # node, size_bytes: the objects of the type
REACHED = "heap_reached"  # node, parent, distance, size_bytes: those that a root reaches
_FOUND = "node, parent, distance"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a search has found.

    ``targets`` and ``target_bytes``: the objects of the type. ``reached``: those that roots reach
    through objects of other types; ``inner``: those that only others of the type refer to;
    ``kept``, ``kept_bytes``: what only objects of the type keep alive, themselves included.
    ``inner``, ``kept`` and ``kept_bytes`` are None where the search has stopped at ``levels``.
    ``visited``: the tables of the nodes that the first half has found.
    """

    targets: int
    target_bytes: int
    reached: int
    levels: int
    is_complete: bool
    visited: tuple[str, ...]
    inner: int | None = None
    kept: int | None = None
    kept_bytes: int | None = None


class _Parts:
    """The visited nodes: some tables of growing size, so that adding a level copies little."""

    def __init__(self, engine: Engine, prefix: str) -> None:
        self._engine, self._prefix = engine, prefix
        self._parts: list[tuple[int, str]] = []
        self._made = 0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self._parts)

    @property
    def count(self) -> int:
        return sum(rows for rows, _ in self._parts)

    def new_name(self) -> str:
        self._made += 1
        return f"{self._prefix}_{self._made}"

    def add(self, name: str, rows: int, frontier: str = "") -> None:
        """Add a table. ``frontier``: a table that must keep its name."""
        self._parts.append((rows, name))
        if len(self._parts) <= _MAX_PARTS:
            return
        movable = sorted(part for part in self._parts if part[1] != frontier)
        small = movable[: _MAX_PARTS // 2 + 1]
        merged = self.new_name()
        count = self._engine.keep(merged, union(_FOUND, [name for _, name in small]))
        for part in small:
            self._parts.remove(part)
            self._engine.drop(part[1])
        self._parts.append((count, merged))

    def drop(self) -> None:
        for name in self.names:
            self._engine.drop(name)
        self._parts = []


def union(columns: str, tables: list[str] | tuple[str, ...]) -> str:
    """Return a query for the rows of several tables."""
    return " union all ".join(f"select {columns} from {name}" for name in tables)


def find_reach(engine: Engine, snapshot: str, *, max_levels: int = MAX_LEVELS) -> Reach:
    """Search one snapshot for what reaches the objects in `TARGETS`, and what only they reach.

    Leaves the tables `TARGETS`, `REACHED` and those of ``visited`` for further questions;
    `forget_reach` drops them.
    """
    targets, target_bytes = engine.rows(
        f"select count(*), coalesce(sum(size_bytes), 0) from {TARGETS}"
    )[0]
    search = _Search(engine, snapshot, max_levels)
    search.from_roots()
    reached = engine.keep(
        REACHED,
        f"select v.node, v.parent, v.distance, t.size_bytes from ({union(_FOUND, search.outer.names)})"
        f" v join {TARGETS} t on t.node = v.node",
    )
    levels, complete = search.levels, search.is_complete
    inner = kept = kept_bytes = None
    if complete and reached:
        inner, kept, kept_bytes = search.from_targets()
    elif complete:
        inner, kept, kept_bytes = 0, 0, 0
    if not search.is_complete:
        inner = kept = kept_bytes = None
    search.inner.drop()
    search.drop_edges()
    return Reach(
        targets=targets,
        target_bytes=int(target_bytes),
        reached=reached,
        levels=levels,
        is_complete=complete and search.is_complete,
        visited=search.outer.names,
        inner=inner,
        kept=kept,
        kept_bytes=kept_bytes,
    )


def forget_reach(engine: Engine, reach: Reach) -> None:
    """Drop the tables that `find_reach` has left."""
    for name in (TARGETS, REACHED, *reach.visited):
        engine.drop(name)


class _Search:
    """The state of a search: the edges that are left, and the nodes of both halves."""

    def __init__(self, engine: Engine, snapshot: str, max_levels: int) -> None:
        self._engine, self._snapshot, self._max_levels = engine, snapshot, max_levels
        self.outer = _Parts(engine, "heap_outer")
        self.inner = _Parts(engine, "heap_inner")
        self.levels = 0
        self.is_complete = True
        self._edges, self._copies = "edges", 0

    def from_roots(self) -> None:
        """Visit what roots reach without going through objects of the type."""
        first = self.outer.new_name()
        count = self._engine.keep(
            first,
            "select node, cast(null as bigint) as parent, 0 as distance from nodes"
            " where snapshot = :snapshot and root is not null and node <> 0",
            snapshot=self._snapshot,
        )
        self.outer.add(first, count, first)
        from_others = f"not exists (select 1 from {TARGETS} t where t.node = f.node)"
        self._spread(self.outer, first, count, from_others)

    def from_targets(self) -> tuple[int, int, int]:
        """Visit what is left, from the objects of the type; return what they alone keep alive."""
        self._spread(self.inner, REACHED, 1, "")
        tables = [*self.inner.names, REACHED]
        count, size = self._engine.rows(
            "select count(*), coalesce(sum(n.size_bytes), 0) from nodes n"
            f" join ({union('node', tables)}) v on v.node = n.node where n.snapshot = :snapshot",
            snapshot=self._snapshot,
        )[0]
        inner = 0
        if self.inner.names:
            inner = self._engine.rows(
                f"select count(*) from ({union('node', self.inner.names)}) v"
                f" join {TARGETS} t on t.node = v.node"
            )[0][0]
        return int(inner), int(count), int(size)

    def _spread(self, parts: _Parts, frontier: str, count: int, condition: str) -> None:
        """Add level after level to ``parts`` until one is empty or there are too many."""
        distance = 0
        while count:
            if distance >= self._max_levels:
                self.is_complete = False
                break
            distance += 1
            following = parts.new_name()
            visited = (*self.outer.names, *self.inner.names)
            count = self._engine.keep(
                following, self._level(frontier, visited, distance, condition), **self._values()
            )
            if not count:
                self._engine.drop(following)
                break
            parts.add(following, count, following)
            frontier = following
            if distance % _LEVELS_OF_COPY == 0:
                self._copy_edges()
        self.levels = max(self.levels, distance)

    def _values(self) -> dict[str, str | int]:
        return {"snapshot": self._snapshot}

    def _level(self, frontier: str, visited: tuple[str, ...], distance: int, condition: str) -> str:
        """Return the query for the nodes that ``frontier`` refers to and that are not visited.

        Of several objects that refer to a node the one with the smallest number becomes its parent,
        so that every engine gives the same tree.
        """
        conditions = self._conditions(visited)
        if condition:
            conditions.append(condition)
        return (
            f"select e.target as node, min(e.source) as parent, {distance} as distance"
            f" from {self._edges} e join {frontier} f on e.source = f.node"
            f" where {' and '.join(conditions)} group by e.target"
        )

    def _conditions(self, visited: tuple[str, ...]) -> list[str]:
        """Return what an edge to a node that is not visited fulfils."""
        among = f"({union('node', visited)}) v where v.node = e.target"
        conditions = [f"not exists (select 1 from {among})"]
        if self._edges == "edges":
            conditions.append("e.snapshot = :snapshot")
        return conditions

    def _copy_edges(self) -> None:
        """Leave out the edges to visited nodes, so that a long chain costs little for each level."""
        visited = (*self.outer.names, *self.inner.names)
        conditions = self._conditions(visited)
        self._copies += 1
        copy = f"heap_edges_{self._copies}"
        self._engine.keep(
            copy,
            f"select e.source, e.target from {self._edges} e where {' and '.join(conditions)}",
            **self._values(),
        )
        self.drop_edges()
        self._edges = copy

    def drop_edges(self) -> None:
        """Drop the copy of the edges."""
        if self._edges != "edges":
            self._engine.drop(self._edges)
            self._edges = "edges"
