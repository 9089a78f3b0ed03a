"""What calls memlens as users do, for allocations of Python's that fail anywhere in it.

Each function gives the same answer each time. What it works on stays from one trial to the next, and is
examined by its ``check`` after each.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from case import Case, no_problems
from structure_cases import Structures

import memlens
from memlens._own_thread import OwnThread
from memlens.heap.capture.child_process import reap_left
from memlens.heap.snapshot import HeapSnapshot

__all__ = ("product_cases",)

FOLDER = tempfile.mkdtemp(prefix="failing-", dir=".")
WAIT_SECONDS = 20.0
KEPT: list[bytearray] = []
LATEST: list[memlens.MemoryProfiler] = []


class Shared:
    """What is expected to be freed."""


# ---- profilers


class Profiled:
    """A profiler that runs through all trials, with a healthy program around it."""

    def __init__(self, snapshot_interval: float) -> None:
        self.profiler = new_profiler(
            "running", sample_interval=0.02, snapshot_interval=snapshot_interval
        )
        self.profiler.start()

    def snapshot(self) -> Any:
        """A snapshot that the profiler keeps."""
        record = self.profiler.take_snapshot("trial")
        return record.reason, Path(record.path).exists()

    def report(self) -> Any:
        """The report of a healthy program, in all its forms."""
        report = self.profiler.report()
        json.dumps(report.to_dict())
        leaks = report.leaks
        return bool(str(report)), leaks is None or len(leaks.suspects)

    def numbers(self) -> Any:
        """What monitoring asks for."""
        self.profiler.mark("deploy")
        metrics = self.profiler.metrics()
        return self.profiler.health()["is_running"], bool(metrics), bool(repr(self.profiler))

    def readings_and_snapshots(self) -> Any:
        """What the threads do: at least three readings and a periodic snapshot more than before."""
        before = self.counts()
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            try:
                time.sleep(0.02)
                after = self.counts()
            except MemoryError:
                continue
            if after[0] >= before[0] + 3 and after[1] > before[1]:
                return True
        return self.profiler.health()

    def counts(self) -> tuple[int, int]:
        """How many readings and snapshots there have been."""
        health = self.profiler.health()
        return health["sampler"]["readings_taken"], health["snapshots_taken"]

    def check(self) -> list[str]:
        """It still runs, and the snapshots it lists are there."""
        problems = children_reaped()
        health = self.profiler.health()
        if not (health["is_running"] and health["sampler"]["thread_alive"]):
            problems.append("the profiler does not run any more")
        missing = [one.path for one in self.profiler.snapshots if not Path(one.path).exists()]
        return problems + ["a listed snapshot has no file" for _ in missing]


def new_profiler(name: str, **options: Any) -> memlens.MemoryProfiler:
    """A profiler with a folder of its own."""
    return memlens.MemoryProfiler(
        Path(FOLDER) / name,
        max_snapshots=3,
        allocation_interval_bytes=16 * 1024,
        on_alert=lambda report: None,
        **options,
    )


def started_and_stopped() -> Any:
    """A profiler from its making to its end."""
    profiler = LATEST[:] = [new_profiler("each")]
    with profiler[0]:
        is_running = profiler[0].is_running
    return is_running, profiler[0].is_running


def children_reaped() -> list[str]:
    """Let memlens reap, as its next capture does, and leave no child."""
    reap_left()
    return []


def nothing_runs() -> list[str]:
    """No thread of a profiler is left, at the latest when it is stopped once more."""
    for profiler in LATEST:
        profiler.stop()
    threads = [
        one for one in gc.get_objects() if issubclass(type(one), OwnThread) and one.is_alive()
    ]
    return [f"a thread is left over: {one.name}" for one in threads]


def running(method: str) -> Callable[[], Case]:
    """A case of a method of `Profiled`: the profiler is started when the case is chosen."""

    def case() -> Case:
        profiled = Profiled(3600.0)
        return case_of(getattr(profiled, method), profiled.check)

    return case


def threads_of_a_profiler() -> Case:
    """A case in which the allocations of all threads may fail."""
    profiled = Profiled(0.1)
    case = case_of(profiled.readings_and_snapshots, profiled.check)
    return case._replace(in_all_threads=True)


# ---- heaps


def snapshots() -> list[str]:
    """The files of three snapshots of a program that leaks."""
    paths = []
    for number in range(3):
        KEPT.extend(bytearray(1000) for _ in range(300))
        paths.append(f"{FOLDER}/leak-{number}.memlens")
        memlens.take_heap_snapshot(paths[-1])
    return paths


def questions_of_files() -> Callable[[], Any]:
    """The leak that is in three files, told and exported."""
    paths = snapshots()

    def ask() -> Any:
        report = memlens.find_leaks([HeapSnapshot.load(path) for path in paths])
        memlens.export(report, f"{FOLDER}/report.html")
        return [one.holder for one in report.suspects], bool(str(report)), bool(report.to_dict())

    return ask


def comparisons_of_files() -> Callable[[], Any]:
    """Two files compared, and one of them exported."""
    paths = snapshots()

    def ask() -> Any:
        before, after = HeapSnapshot.load(paths[0]), HeapSnapshot.load(paths[2])
        memlens.export(after, f"{FOLDER}/one.heapsnapshot")
        return str(memlens.compare_snapshots(before, after))

    return ask


def questions_of_the_process() -> Any:
    """Questions that take a snapshot each."""
    if not KEPT:
        KEPT.append(bytearray(100_000))
    path = memlens.why_alive(KEPT[0])
    return (
        "KEPT" in str(path),
        memlens.retained_size(KEPT) > 100_000,
        bool(str(memlens.breakdown())),
    )


def snapshot_in_the_background() -> Any:
    """A snapshot that another process writes."""
    task = memlens.start_heap_snapshot(f"{FOLDER}/background.memlens")
    return task.result(WAIT_SECONDS).object_count > 1000


# ---- functions, blocks, lifetimes


@memlens.profile_memory(report=None)
def watched(count: int) -> int:
    """A function with a known result."""
    return sum(len(bytes(100)) for _ in range(count))


def measured() -> Any:
    """A function and a block under measurement."""
    with memlens.memory_block("trial") as block:
        total = watched(20)
    return total, bool(str(block))


def traced() -> Any:
    """Allocations that are counted, and those of tracemalloc, from start to stop."""
    tracker = memlens.AllocationTracker()
    tracker.start()
    tracker.track("planted", 100)
    with memlens.AllocationProfiler(backend="tracemalloc") as profiler:
        kept = [bytearray(1000) for _ in range(50)]
        profile = profiler.profile()
    tracker.stop()
    return len(kept), bool(str(profile)), tracker.report().total_count


def lifetimes() -> Any:
    """Objects that are expected to go, and go."""
    for _ in range(3):
        with memlens.scope("trial", every=1, settle=1):
            one = Shared()
            memlens.expect_collected(one, within=0.0)
            del one
    memlens.assert_collected()
    return True


# ---- all of them


def case_of(call: Callable[[], Any], check: Callable[[], list[str]] = no_problems) -> Case:
    """A case in which each allocation of Python's may fail, alone or with the next ones."""
    return Case(
        call,
        (MemoryError, memlens.MemlensError),
        with_python=True,
        may_do_without=True,
        owns_all=False,
        check=check,
        in_windows=True,
    )


def product_cases() -> dict[str, Callable[[], Case]]:
    """The functions by name, each as what makes its case: see FUNCTIONS in __main__.py."""
    structures = Structures()
    return {
        "use: a profiler starts and stops": lambda: case_of(started_and_stopped, nothing_runs),
        "use: a profiler's snapshot": running("snapshot"),
        "use: a profiler's report": running("report"),
        "use: a profiler's numbers": running("numbers"),
        "use: a profiler's threads": threads_of_a_profiler,
        "use: leaks in files": lambda: case_of(questions_of_files()),
        "use: files compared": lambda: case_of(comparisons_of_files()),
        "use: questions of the process": lambda: case_of(questions_of_the_process, children_reaped),
        "use: snapshot in the background": lambda: case_of(
            snapshot_in_the_background, children_reaped
        ),
        "use: measured functions": lambda: case_of(measured),
        "use: traced allocations": lambda: case_of(traced),
        "use: lifetimes": lambda: case_of(lifetimes),
        "use: structures": lambda: case_of(structures.use, structures.check),
    }
