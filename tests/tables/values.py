"""Values that become rows, and the rows of all tables."""

from __future__ import annotations

from functools import cache

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import RootKind
from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.leaks.leak_report import find_leaks
from memlens.process.reading import read_memory
from memlens.tables.allocation_paths import allocation_columns
from memlens.tables.heap_types import type_columns
from memlens.tables.holders import holder_columns
from memlens.tables.process_columns import Columns, ProcessColumns
from memlens.tables.readings import reading_columns
from memlens.tables.suspects import suspect_columns
from memlens.tables.verdicts import verdict_columns
from memlens.tables.whole_heap import edge_batches, node_batches
from tests.heap.planted import Planter
from tests.leaks.test_suspects import leaking_dict, series

PROCESS = ProcessColumns("shop", "1.2", "pod-1", "pod-1/9-abc", "main", "3.13.1", "1.0", 0.0)


def profile_of(*rows: AllocationRow) -> AllocationProfile:
    facts = ProfileFacts("sampling", 512, 1000.0, 60.0, 9, "3.13.1")
    return AllocationProfile(rows, facts)


def path(*lines: int, folder: str = "/srv/app") -> tuple[Frame, ...]:
    return tuple(Frame(f"f{line}", f"{folder}/main.py", line) for line in lines)


def heap():
    """A heap with holders of each kind: of modules, frames and native memory."""
    p = Planter()
    block = p.node("dict", 100, length=1)
    p.edge(block, p.node("app.Session", 50), K.KEY, "<str>")
    p.edge(block, p.native(1000), K.INTERNAL, "")
    name = p.node("str", 40)
    p.module("app", sessions=block, NAME=name)
    frame = p.node("frame", 30)
    local = p.node("list", 80, length=1)
    p.edge(frame, local, K.LOCAL, "jobs")
    p.edge(local, p.node("app.Job", 20), K.INDEX, position=0)
    p.root(frame, RootKind.FRAME, frame=(7, "main", "/srv/app/main.py", 5))
    weak = p.node("app.Cache", 10)
    p.edge(local, weak, K.WEAK)
    p.edge(local, p.node("int", 28), K.INDEX, position=1)
    return p.snapshot(timestamp=1000.0)


@cache
def columns_of_all_tables() -> dict[str, Columns]:
    """Rows of each table, made from values."""
    report = find_leaks(series(leaking_dict))
    snapshot = heap()
    profile = profile_of(AllocationRow(path(1, 2), 10.0, 1.0, 2.0, 0.5, 20.0, 2.0, 3.0, 0.5, 7, 9))
    return {
        "readings": reading_columns([read_memory()], PROCESS),
        "verdicts": verdict_columns([report], PROCESS, time=1.0),
        "suspects": suspect_columns(report, PROCESS, time=1.0),
        "types": type_columns(snapshot, PROCESS),
        "holders": holder_columns(snapshot, PROCESS),
        "allocations": allocation_columns(profile, PROCESS),
        "nodes": next(node_batches(snapshot, PROCESS)),
        "edges": next(edge_batches(snapshot, PROCESS)),
    }
