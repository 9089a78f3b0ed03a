"""A program as a user writes it, for type checkers: mypy and pyright must infer what is asserted here.

`scripts/check_package.sh` checks it against the installed wheel, and runs it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import assert_type

import memlens
from memlens import structures, triggers
from memlens.errors import MemlensError, SnapshotFileError
from memlens.heap.live import Retention
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import LeakSuspect
from memlens.profiler.profiler_report import ProfilerReport

KEPT: dict[str, bytearray] = {}


@memlens.profile_memory
def work(count: int, *, prefix: str = "key") -> float:
    """Keep a few buffers; the decorator must keep this signature."""
    for number in range(count):
        KEPT[f"{prefix}{number}-{len(KEPT)}"] = bytearray(1000)
    return len(KEPT) / 2


@memlens.profile_memory(limit=3)
async def work_later(text: str) -> list[str]:
    """An asynchronous function remains one."""
    return [text]


def alert(report: LeakReport) -> None:
    """A callback for alerts, with the type of its argument."""
    print(report.suspects)


def use_snapshots(folder: Path) -> None:
    """Four snapshots, what grew, who holds it, and a file of it."""
    snapshots: list[HeapSnapshot] = []
    for _ in range(4):
        snapshots.append(memlens.take_heap_snapshot())
        assert_type(work(50), float)
    report = memlens.find_leaks(snapshots)
    assert_type(report, LeakReport)
    assert_type(report.suspects, tuple[LeakSuspect, ...])
    print(report.suspects[0].holder)
    assert_type(memlens.why_alive(KEPT), Retention)
    assert_type(memlens.retained_size(KEPT), int)
    path = folder / "heap.memlens"
    snapshots[-1].save(path)
    try:
        HeapSnapshot.load(path)
    except SnapshotFileError as error:
        problem: MemlensError = error
        print(problem)


def use_profiler(folder: Path) -> None:
    """The facade, as in a service."""
    with memlens.MemoryProfiler(
        folder / "snapshots", on_alert=alert, triggers=[triggers.on_memory_error()]
    ) as profiler:
        assert_type(profiler, memlens.MemoryProfiler)
        work(10, prefix="served")
        assert_type(profiler.report(), ProfilerReport)
    with memlens.memory_block("import") as block:
        work(1)
    print(block.result)


def use_structures() -> None:
    """Structures keep the types of what is in them."""
    cache: structures.LRUCache[str, int] = structures.LRUCache(10)
    cache["a"] = 1
    assert_type(cache["a"], int)
    assert_type(cache.get("b"), int | None)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        use_snapshots(Path(name))
        use_profiler(Path(name))
    use_structures()
