"""A value of each type that people look at, with names that are too long for any terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import memlens
from memlens._core.layout import EdgeKind as K
from memlens._core.layout import RootKind
from memlens._frame import Frame
from memlens.allocations.blocks.result import BlockResult
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.allocations.tracing.trace_table import TraceDifference
from memlens.allocations.tracing.traces import TracedMemory, compare_traces
from memlens.attach.stacks import ProcessStacks, Stack
from memlens.fleet import FleetProcess, FleetReport, FleetSuspect, group_suspects
from memlens.fleet.answers import Answer, AnswerColumn
from memlens.fleet.files import SkippedFile
from memlens.fleet.table_report import ServiceAnswers, TableReport
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.heap.graph.native_blocks import AdapterNote, NativeKind
from memlens.heap.graph.node import Node
from memlens.heap.live import Retention
from memlens.integrations.notebooks.notebook_memory import KeptObject, NotebookMemory
from memlens.leaks.baselines import Baseline, KnownSuspect
from memlens.leaks.leak_report import find_leaks
from memlens.leaks.native_growth import NativeGrowth
from memlens.leaks.origins import Origin
from memlens.leaks.pytest_records import PytestRecords
from memlens.leaks.scope_report import ScopeReport, ScopeSurvivors
from memlens.leaks.stated_bounds import BoundedHolder
from memlens.leaks.unexplained import UnexplainedGrowth
from memlens.lifetimes.late_objects import OverdueReport
from memlens.process import MemorySampler, ProcessIdentity, breakdown, memory_limit
from memlens.process.detector.alert import LeakAlert
from memlens.process.held_memory import HeldMemory
from memlens.profiler.profiler_report import ProfilerReport, SnapshotRecord
from memlens.stuck.stuck_report import StuckReport, StuckTask
from memlens.tables.listing import SkippedTable
from memlens.triggers import TriggeredFile
from tests.heap.planted import Planter

MODULE = "warehouse.inventory.services.reconciliation.background_jobs"
FOLDER = "/srv/applications/warehouse/current/" + MODULE.replace(".", "/")
FRAMES = tuple(
    Frame(f"{name}_for_each_warehouse_of_the_region", f"{FOLDER}/{name}.py", 100 + number)
    for number, name in enumerate(("serve", "reconcile", "collect", "remember"))
)
MIB = 1 << 20


def snapshot(count: int) -> memlens.HeapSnapshot:
    """A heap in which a dict of a service holds ``count`` records."""
    p = Planter()
    table = p.node("dict", 64 + 8 * count, key="table", length=count)
    for i in range(count):
        key = p.node("str", 80, key=("key", i))
        p.value(key, f"reconciliation of 2024-01-{i:02} with the ledger of the northern region")
        record = p.node(f"{MODULE}.ReconciliationRecordOfOneWarehouse", 4000, key=("record", i))
        p.edge(table, key, K.ITEM)
        p.edge(table, record, K.KEY, f"'/reports/{i}/by-region/northern/{'very-' * 10}long.csv'")
        p.native(100_000, record, key=("native", i), library="numpy")
    service = p.node(f"{MODULE}.ReconciliationService", 64, key="service")
    p.edge(service, table, K.ATTRIBUTE, "_results_of_all_reconciliations_by_path_of_their_report")
    p.module(MODULE, the_service_of_this_process=service)
    sparse = p.node("dict", 100_000, key="sparse", length=1)
    equal = [p.node("str", 5000, key=("equal", i)) for i in range(3)]
    p.equal(equal)
    p.module("other", **{f"text_{i}": node for i, node in enumerate(equal)}, sparse=sparse)
    p.root(table, RootKind.FRAME, "results", frame=(7, "run_all_reconciliations", FOLDER, 3))
    return p.snapshot(timestamp=3600.0 * count)


def profile(scale: float) -> AllocationProfile:
    rows = [
        AllocationRow(
            FRAMES[:depth], 5e6 * scale * depth, 1.5e5, 31234.0, 0.5, 9e7 * scale, 2e5, 71234.0,
            0.1, 12, 60, 7200.0, 3600.0, "MainThread", "mem",
        )
        for depth in range(1, len(FRAMES) + 1)
    ]  # fmt: skip
    facts = ProfileFacts("sampling", 512 * 1024, 1000.5, 250.0, 42, "3.12.1", 512 * MIB)
    return AllocationProfile(rows, facts)


def traces(scale: int) -> TracedMemory:
    paths = tuple(FRAMES[:depth] for depth in range(1, 5))
    sizes, counts = tuple(10**5 * scale * n for n in range(1, 5)), tuple(range(1, 5))
    return TracedMemory("startup", 0.0, 1, "3.12", 4, 10**7, 10**6, paths, sizes, counts)


def heap_values() -> Iterator[object]:
    series = [snapshot(count) for count in (10, 20, 30, 40)]
    last, node = series[-1], series[-1].largest(3)[-1]
    paths = last.retention_paths(node, 2)
    yield from (last, node, Node(last.graph, 3), paths[0], paths[0].hops[0], paths[0].hops[-1])
    yield Retention(str(node), paths)
    yield Retention(str(node), [])
    comparison = series[0].compare(last)
    yield from (comparison, comparison[0])
    for by in ("type", "module", "device"):
        summary = last.summary(by)
        yield from (summary, summary[0])
    devices = last.summary("device")
    yield from (holder for row in devices for holder in row.holders)
    for view in (last.statistics(), last.duplicates(), last.sparse_collections(),
                 last.dominators().big_drops()):  # fmt: skip
        yield from (view, view[0])
    yield from (last.dominators(), last.containment(), last.referrers(node), last.select("*"))
    report = find_leaks(series)
    site = SiteShare(FRAMES[::-1], 1234.0, 5e6, 12)
    suspect = dataclasses.replace(
        report[0],
        sites=(site,),
        native_growth=(NativeGrowth("numpy", "cpu", 5 * MIB, str(paths[0])),),
    )
    yield from (site, suspect, suspect.native_growth[0], suspect.origin, Origin("library", "numpy"))
    bounded = BoundedHolder(f"{MODULE}.CACHE", "dict", 100, 1000)
    records, unexplained = PytestRecords(3, MIB), UnexplainedGrowth("malloc", 9 * MIB, 100, 3000, 4)
    known = KnownSuspect("0123456789ab", f"{MODULE}.old_results")
    yield from (bounded, records, unexplained, known, Baseline([known]))
    full = dataclasses.replace(
        report, suspects=(suspect,) * 2, bounded=(bounded,) * 3, pytest_records=records,
        gone=(known,) * 3, collector_note="The collector " + "collects slowly. " * 12,
    )  # fmt: skip
    yield from (report, full, dataclasses.replace(full, suspects=(), unexplained=unexplained))
    yield find_leaks(series[:2])
    yield OverdueReport(1, 1, 1.0, 1, (suspect,) * 2, (), object_count=2)
    survivors = ScopeSurvivors(f"{MODULE}.Record", f"{MODULE}.CACHE", paths[0], 8, 4 * MIB, 4)
    yield from (survivors, ScopeReport("request", 1000, 4, 2, 0, 900, 8, (survivors,)))
    task = StuckTask("task", "reconcile", FRAMES, tuple(f"local_{n}" for n in range(40)),
                     "asyncio.Future", 5 * MIB)  # fmt: skip
    yield from (task, StuckReport(1, 12, (task,) * 3), StuckReport(1, 12, ()))
    kept = KeptObject(
        f"{MODULE}.Record", 5 * MIB, (f"the name {MODULE.replace('.', '_')}", "Out[12]"),
        "%xdel records, which removes it from all names and from Out", "In [3]", True,
    )  # fmt: skip
    yield from (kept, NotebookMemory([kept], 9 * MIB, "In [2]"))
    note = AdapterNote("numpy", "started", 1000)
    yield from (NativeKind("cuda:0", "torch"), note)


def allocation_values() -> Iterator[object]:
    first = profile(1)
    comparison = first.compare(profile(2))
    yield from (first, first.facts, first.rows[-1], comparison, comparison[0], FRAMES[0])
    yield from (first.lines(), first.lines()[0])
    before, after = traces(1), traces(3)
    for group_by in ("line", "traceback"):
        yield from (after.top(group_by=group_by), compare_traces(before, after, group_by))
    yield from (after, after.top()[0], compare_traces(before, after)[0])
    lines = tuple(TraceDifference(FRAMES[:n], 0, 10**6, 0, 1000) for n in range(1, 5))
    yield BlockResult(
        f"{MODULE}.load", 10**6, 10**7, 1.5, lines, True, True, False, 10, "KeyError", 3
    )
    tracker = memlens.AllocationTracker(stack_depth=3)
    tracker.start()
    tracker.track(f"{MODULE}.Record", 10**6)
    tracker.stop()
    yield from (tracker.report(), tracker.report()[0])


def process_values() -> Iterator[object]:
    held = HeldMemory(
        50 * MIB, MIB, (("torch", 9 * MIB),), None, "malloc does not report it " * 4,
        (("mmap", MIB),),
    )  # fmt: skip
    parts = breakdown()
    yield from (parts, parts.rss, held, dataclasses.replace(parts, held=held), memory_limit())
    reading = memlens.read_memory()
    yield from (reading, MemorySampler(sample_interval=10.0).health())
    detector = memlens.MemoryLeakDetector()
    for number in range(100):
        detector.observe(1e6 + 10 * number)
    alert = dataclasses.replace(
        detector.last_alert, kind="native", limit_bytes=1e9, seconds_to_limit=9e3,
        seconds_to_limit_interval=(8e3, float("inf")),
    )  # fmt: skip
    assert isinstance(alert, LeakAlert)
    yield from (detector.verdict, detector.report(), alert)
    record = SnapshotRecord(f"{FOLDER}/startup.memlens", MIB, 10**6, 0.1, "startup", 0.0, reading)
    leaks = find_leaks([snapshot(10), snapshot(20), snapshot(30)])
    report = ProfilerReport(
        1, True, 60.0, reading, reading, (record,) * 2, leaks, (detector.report(),), profile(1),
        (dataclasses.replace(leaks, alert=alert),),
    )  # fmt: skip
    yield from (
        record,
        report,
        TriggeredFile(f"{FOLDER}/limit.memlens", "snapshot", "limit", 1, MIB),
    )
    yield memlens.MemoryProfiler("profiles", allocations=None).metrics()
    yield ProcessStacks(1, (Stack("thread", "MainThread", "12345, daemon", FRAMES),))


def fleet_values() -> Iterator[object]:
    leaks = find_leaks([snapshot(10), snapshot(20), snapshot(30)])
    suspects = tuple(FleetSuspect.from_dict(one.to_dict(), 1e9) for one in leaks)
    fleet = []
    for number in range(1, 31):
        identity = ProcessIdentity(
            number, 1, "app.py", "multiprocessing", f"SpawnPoolWorker-{number}",
            f"host-{number % 2}.example.com", 1e9,
        )  # fmt: skip
        found = suspects if number % 3 else ()
        fleet.append(
            FleetProcess(
                number, "abc", FOLDER, identity, 1e9, 2e9, number * MIB, 10 * MIB,
                "leak" if found else "unknown", "high", found, 9,
                note="" if found else "2 snapshots, 3 are needed",
            )
        )  # fmt: skip
    groups = tuple(group_suspects(fleet))
    skipped = tuple(SkippedFile(f"{FOLDER}/{n}.memlens", "half written") for n in range(9))
    yield from (identity, fleet[0], suspects[0], groups[0])
    yield from (FleetReport(tuple(fleet), groups, skipped), FleetReport(tuple(fleet[:1]), ()))
    yield table_report()


def table_report() -> TableReport:
    columns = [
        AnswerColumn(f"column_{unit.replace(' ', '_')}", f"the {unit}", unit)
        for unit in (
            "text",
            "count",
            "bytes",
            "bytes per hour",
            "share",
            "seconds",
            "time",
            "number",
        )
    ]
    row = (f"app.{MODULE}", 12_345, 3 * MIB, -3.5 * MIB, 0.031, 86_400.0, 1.7e9, 0.004)
    columns.append(AnswerColumn("suggestion", "what to do", "text"))
    answer = Answer(
        "new-leaks", "Leaks by release", f"app.{MODULE} leaks since release 1.10.", tuple(columns),
        tuple((*row, "Bound it.") for _ in range(30)), 100,
        (f"The clock of 3 hosts is off ({', '.join(f'host-{n}.example.com' for n in range(3))}).",),
    )  # fmt: skip
    service = ServiceAnswers("shop", 1000, 3000, ("1.9", "1.10"), (answer,))
    skipped = tuple(SkippedTable(f"{FOLDER}/{n}.parquet", "half written") for n in range(9))
    return TableReport(FOLDER, (service,), skipped, 1234, 5 * MIB, 3.2)


def corpus() -> list[object]:
    """Return all values."""
    return [*heap_values(), *allocation_values(), *process_values(), *fleet_values()]
