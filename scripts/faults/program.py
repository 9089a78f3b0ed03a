"""A program that works under a ``MemoryProfiler`` while a fault is injected.

    python scripts/faults/program.py FAULT FOLDER SECONDS

It prints a line when it has started, and at its end one line of JSON: the problems that it saw, the
errors of memlens's own that it got or that memlens counted, and how many snapshots were taken.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable

from inside import FAULTS, Interrupted

import memlens
from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND

KEPT: list[object] = []


def main() -> None:
    """Set the fault up, work, and report."""
    fault, folder, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    name, _, value = fault.partition("=")
    problems: list[str] = []
    errors: list[str] = []
    profiler = memlens.MemoryProfiler(
        folder,
        sample_interval=0.05,
        snapshot_interval=0.1,
        max_snapshots=4,
        allocation_interval_bytes=64 * 1024,
        on_alert=lambda report: None,
    )
    descriptors = set(os.listdir("/proc/self/fd"))
    undo = FAULTS[name](int(value) if value else 0, folder)
    print("started", flush=True)
    end = time.monotonic() + seconds
    numbers = itertools.count()
    guarded(profiler.start, problems, errors)
    while time.monotonic() < end:
        try:
            step(next(numbers), folder, problems, errors)
        except Interrupted:
            pass
    guarded(profiler.stop, problems, errors)
    undo()
    guarded(profiler.stop, problems, errors)  # the fault may have interrupted it
    guarded(memlens.take_heap_snapshot, problems, errors)  # reaps what finalizers have killed
    if profiler.is_running:
        problems.append("the profiler is still running after stop()")
    health = profiler.health()
    if health["failures"]:
        errors.append(str(health["last_error"])[:150])
    kept = [record.path for record in profiler.snapshots]
    problems += ["a kept snapshot has no file" for path in kept if not os.path.exists(path)]
    problems += leftovers(descriptors)
    result = {"problems": problems, "own_errors": sorted(set(errors))}
    print(json.dumps(result | {"taken": health["snapshots_taken"]}))


def step(number: int, folder: str, problems: list[str], errors: list[str]) -> None:
    """Do some work with a known result, and now and then take a snapshot."""
    try:
        KEPT.append([bytes(100)] * 10)
        total = sum(value for value in range(1000))
        time.sleep(0.001)
        if total != 499_500:
            problems.append(f"a wrong result: {total}")
    except MemoryError:
        KEPT.clear()
    if number % 50 == 10:
        path = f"{folder}/manual-{os.getpid()}.memlens"
        guarded(lambda: memlens.take_heap_snapshot(path), problems, errors)


def guarded(action: Callable[[], object], problems: list[str], errors: list[str]) -> None:
    """Do something with memlens; only its own errors, and those of the program, may come out."""
    try:
        action()
    except memlens.MemlensError as error:
        errors.append(f"{type(error).__name__}: {error}"[:150])
    except (Interrupted, MemoryError):
        pass
    except BaseException as error:  # noqa: BLE001  # a finding
        problems.append(f"{type(error).__name__} from memlens: {error}"[:200])


def leftovers(descriptors: set[str]) -> list[str]:
    """Return a line for each kind of thing that is left over: children, descriptors."""
    problems = []
    try:
        pid, _ = os.waitpid(-1, os.WNOHANG | WAIT_FOR_ANY_KIND)
        problems.append("a child is left over" if pid == 0 else "a zombie is left over")
    except ChildProcessError:
        pass
    left = [fd for fd in set(os.listdir("/proc/self/fd")) - descriptors if is_open(fd)]
    names = sorted(os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in left)
    # A snapshot that is mapped needs no descriptor.
    problems += [f"a descriptor is left over: {os.path.basename(name)}" for name in names]
    return problems


def is_open(descriptor: str) -> bool:
    """Return whether a descriptor is still open."""
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


if __name__ == "__main__":
    main()
