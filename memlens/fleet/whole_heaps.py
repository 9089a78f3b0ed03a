"""Questions about whole heaps in the tables ``nodes`` and ``edges``, for heaps that no machine loads.

``heap-types``: the types of a snapshot by size. ``heap-growth``: the growth by type between two
snapshots of a process. ``heap-reach``: by which paths of types roots reach the objects of one type,
and what these alone keep alive. ``heap-holders``: the types of the objects that refer to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memlens._text import format_bytes, format_change, format_count
from memlens.errors import OptionError
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.engine import Engine
from memlens.fleet.heap_paths import type_paths
from memlens.fleet.heap_reach import MAX_LEVELS, TARGETS, Reach, find_reach, forget_reach

__all__ = ("HEAP_QUESTIONS", "heap_answer")

_GARBAGE = (
    "Garbage and the objects of memlens, which the views of a snapshot leave out, count here."
)
_MAX_SHOWN = 20  # snapshots that an error names

_TYPE = AnswerColumn("type", "type", "text")
_COUNT = AnswerColumn("count", "objects", "count")
_SIZE = AnswerColumn("size_bytes", "size", "bytes")

# Objects of these types never change their size, so another size is another object.
_FIXED_SIZE = "'str', 'bytes', 'int', 'float', 'complex', 'tuple', 'frozenset', 'range', 'slice'"


def heap_answer(
    engine: Engine,
    question: str,
    *,
    snapshot: str | None = None,
    before: str | None = None,
    type_name: str | None = None,
    limit: int = 50,
    max_levels: int = MAX_LEVELS,
) -> Answer:
    """Answer one of `HEAP_QUESTIONS` for a snapshot of the tables ``nodes`` and ``edges``.

    ``snapshot``: its name; None takes the only one, or for ``heap-growth`` the last of the process.
    ``before``: the earlier snapshot of ``heap-growth``; None takes the first of that process.
    ``type_name``: the type that ``heap-reach`` and ``heap-holders`` ask for. ``limit``: the rows of
    the answer. ``max_levels``: how far from a root or an object of the type a search goes.
    Raises ``OptionError`` for another question, and where the snapshot or the type is not there.
    """
    if question not in HEAP_QUESTIONS:
        known = ", ".join(HEAP_QUESTIONS)
        raise OptionError(f"question is {question!r}: it must be one of {known}")
    if question == "heap-growth":
        return _growth(engine, *_two_snapshots(engine, snapshot, before), limit)
    chosen = _one_snapshot(engine, snapshot)
    if question == "heap-types":
        return _types(engine, chosen, limit)
    if type_name is None:
        raise OptionError(f"{question} needs a type: name it as heap-types does")
    if question == "heap-holders":
        return _holders(engine, chosen, type_name, limit)
    return _reach(engine, chosen, type_name, limit, max_levels)


def _snapshots(engine: Engine) -> list[tuple[str, str]]:
    """Return the process and the name of each snapshot, in the order of the uptime of a process."""
    found = engine.rows(
        "select process, snapshot, max(uptime_seconds) from nodes group by process, snapshot"
        " order by 1, 3, 2"
    )
    if not found:
        raise OptionError("there are no whole heaps here: export snapshots to the table nodes")
    return [(process, name) for process, name, _ in found]


def _one_snapshot(engine: Engine, snapshot: str | None) -> str:
    names = [name for _, name in _snapshots(engine)]
    if snapshot is None and len(names) == 1:
        return names[0]
    if snapshot in names:
        return str(snapshot)
    what = "several snapshots are here" if snapshot is None else f"no snapshot {snapshot!r} is here"
    raise OptionError(f"{what}: name one of {_listed(names)}")


def _two_snapshots(engine: Engine, snapshot: str | None, before: str | None) -> tuple[str, str]:
    process_of = {name: process for process, name in _snapshots(engine)}
    for name in (snapshot, before):
        if name is not None and name not in process_of:
            raise OptionError(f"no snapshot {name!r} is here: name one of {_listed(process_of)}")
    named = snapshot or before
    processes = {process_of[named]} if named else set(process_of.values())
    if len(processes) > 1:
        raise OptionError(
            f"snapshots of several processes are here: name one of {_listed(process_of)}"
        )
    names = [name for name, process in process_of.items() if process in processes]
    first, last = before or names[0], snapshot or names[-1]
    if process_of[first] != process_of[last]:
        raise OptionError(f"{first} and {last} are of different processes: growth is within one")
    if first == last:
        raise OptionError(f"growth needs two snapshots of a process: there is only {first}")
    return first, last


def _listed(names: Any) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MAX_SHOWN} more" if len(listed) > _MAX_SHOWN else ""
    return ", ".join(listed[:_MAX_SHOWN]) + more


_BY_TYPE = (
    "select type, count(*) as count, sum(size_bytes) as size_bytes,"
    " sum(case when is_native then size_bytes else 0 end) as native_bytes"
    " from nodes where snapshot = :snapshot and node <> 0 group by type"
)


def _types(engine: Engine, snapshot: str, limit: int) -> Answer:
    kinds = engine.keep("heap_by_type", _BY_TYPE, snapshot=snapshot)
    totals = "select sum(count), sum(size_bytes) from heap_by_type"
    count, size = engine.rows(totals)[0]
    rows = engine.rows(
        "select type, count, size_bytes, native_bytes from heap_by_type"
        f" order by size_bytes desc, type limit {limit}"
    )
    engine.drop("heap_by_type")
    return Answer(
        "heap-types",
        "Types of a heap",
        f"{snapshot}: {format_count(int(count or 0))} objects of {format_count(kinds)} types,"
        f" {format_bytes(int(size or 0))}.",
        (_TYPE, _COUNT, _SIZE, AnswerColumn("native_bytes", "of it native", "bytes")),
        _plain(rows),
        kinds,
        (_GARBAGE,),
    )


def _growth(engine: Engine, before: str, after: str, limit: int) -> Answer:
    for name, snapshot in (("heap_before", before), ("heap_after", after)):
        engine.keep(name, _BY_TYPE, snapshot=snapshot)
    engine.keep(
        "heap_same",
        "select b.type, count(*) as count from nodes a"
        " join nodes b on a.object_id = b.object_id and a.type = b.type"
        " where a.snapshot = :before and b.snapshot = :after and a.node <> 0 and b.node <> 0"
        f" and (a.size_bytes = b.size_bytes or a.type not in ({_FIXED_SIZE})) group by b.type",
        before=before,
        after=after,
    )
    kinds = engine.keep("heap_growth", _GROWTH)
    count, size = engine.rows("select sum(count_growth), sum(growth_bytes) from heap_growth")[0]
    rows = engine.rows(
        "select type, count_before, count_after, new_count, deleted_count, growth_bytes, size_bytes"
        f" from heap_growth order by growth_bytes desc, count_growth desc, type limit {limit}"
    )
    for name in ("heap_before", "heap_after", "heap_same", "heap_growth"):
        engine.drop(name)
    return Answer(
        "heap-growth",
        "Growth of a heap by type",
        f"From {before} to {after} the heap changed by {format_change(int(size or 0))}"
        f" ({int(count or 0):+,} objects).",
        (
            _TYPE,
            AnswerColumn("count_before", "before", "count"),
            AnswerColumn("count_after", "after", "count"),
            AnswerColumn("new_count", "new", "count"),
            AnswerColumn("deleted_count", "deleted", "count"),
            AnswerColumn("growth_bytes", "growth", "bytes"),
            _SIZE,
        ),
        _plain(rows),
        kinds,
        (_GARBAGE, "Two snapshots cannot distinguish a leak from one-time growth."),
    )


_GROWTH = (
    "select coalesce(a.type, b.type) as type, coalesce(b.count, 0) as count_before,"
    " coalesce(a.count, 0) as count_after,"
    " coalesce(a.count, 0) - coalesce(s.count, 0) as new_count,"
    " coalesce(b.count, 0) - coalesce(s.count, 0) as deleted_count,"
    " coalesce(a.count, 0) - coalesce(b.count, 0) as count_growth,"
    " coalesce(a.size_bytes, 0) - coalesce(b.size_bytes, 0) as growth_bytes,"
    " coalesce(a.size_bytes, 0) as size_bytes"
    " from heap_after a full join heap_before b on a.type = b.type"
    " left join heap_same s on s.type = coalesce(a.type, b.type)"
)


def _holders(engine: Engine, snapshot: str, type_name: str, limit: int) -> Answer:
    total = _targets(engine, snapshot, type_name)
    kinds = engine.keep(
        "heap_holders",
        "select n.type, count(*) as reference_count, count(distinct e.source) as holder_count,"
        f" count(distinct e.target) as count from edges e join {TARGETS} t on e.target = t.node"
        " join nodes n on n.node = e.source"
        " where e.snapshot = :snapshot and n.snapshot = :snapshot group by n.type",
        snapshot=snapshot,
    )
    rows = engine.rows(
        "select type, holder_count, reference_count, count from heap_holders"
        f" order by count desc, reference_count desc, type limit {limit}"
    )
    for name in (TARGETS, "heap_holders"):
        engine.drop(name)
    return Answer(
        "heap-holders",
        f"What refers to {type_name}",
        f"{snapshot}: objects of {format_count(kinds)} types refer to {format_count(total)} objects"
        f" of {type_name}.",
        (
            AnswerColumn("type", "type of the holder", "text"),
            AnswerColumn("holder_count", "holders", "count"),
            AnswerColumn("reference_count", "references", "count"),
            AnswerColumn("count", "objects they hold", "count"),
        ),
        _plain(rows),
        kinds,
        ("The type process stands for the roots: modules, frames and the interpreter.",),
    )


def _targets(engine: Engine, snapshot: str, type_name: str) -> int:
    count = engine.keep(
        TARGETS,
        "select node, size_bytes from nodes"
        " where snapshot = :snapshot and type = :type_name and node <> 0",
        snapshot=snapshot,
        type_name=type_name,
    )
    if not count:
        raise OptionError(f"{snapshot} has no object of {type_name!r}: heap-types lists the types")
    return count


def _reach(engine: Engine, snapshot: str, type_name: str, limit: int, max_levels: int) -> Answer:
    _targets(engine, snapshot, type_name)
    found = find_reach(engine, snapshot, max_levels=max_levels)
    rows, kinds = type_paths(engine, snapshot, type_name, found, limit)
    forget_reach(engine, found)
    return Answer(
        "heap-reach",
        f"What reaches {type_name}",
        f"{snapshot}: {_reach_sentence(type_name, found)}",
        (
            AnswerColumn("root", "root", "text"),
            AnswerColumn("path", "types on the way", "text"),
            AnswerColumn("distance", "least references", "count"),
            _COUNT,
            _SIZE,
        ),
        _plain(rows),
        kinds,
        tuple(_reach_notes(type_name, found, max_levels)),
    )


def _reach_sentence(type_name: str, found: Reach) -> str:
    sentence = (
        f"roots reach {format_count(found.reached)} of {format_count(found.targets)} objects of"
        f" {type_name} ({format_bytes(found.target_bytes)})"
    )
    if found.kept is None or found.kept_bytes is None:
        return f"{sentence}."
    return (
        f"{sentence}; they alone keep {format_count(found.kept)} objects alive"
        f" ({format_bytes(found.kept_bytes)}), themselves included."
    )


def _reach_notes(type_name: str, found: Reach, max_levels: int) -> list[str]:
    notes = [
        "Each object counts once, by a shortest path from a root that passes no other object of the"
        " type; a type that follows itself is told once."
    ]
    if not found.is_complete:
        notes.append(
            f"The search stopped after {max_levels:,} references: what lies further away is missing,"
            " and what the type keeps alive is unknown."
        )
    elif found.inner:
        notes.append(
            f"Roots reach {format_count(found.inner)} more through other objects of {type_name} only."
        )
    unreached = found.targets - found.reached - (found.inner or 0)
    if found.is_complete and unreached:
        notes.append(f"No root reaches {format_count(unreached)}: they are garbage.")
    return notes


def _plain(rows: list[tuple[Any, ...]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(row) for row in rows)


_Question = Callable[..., Answer]
HEAP_QUESTIONS = ("heap-types", "heap-growth", "heap-reach", "heap-holders")
