"""Of processes driven into their memory limit, how many leave a snapshot that names the holder.

    python benchmarks/triggers.py [--processes N] [--jobs N] [--seed N] [--python PATH]

Each process leaks in one of eight ways, at 20 to 1,000 MiB a second or as fast as Python can, under a
limit of 192 to 512 MiB: of a control group of version 1 (where this user may make one), of the group
above it, or of its address space, hard or soft. Its profiler has the triggers ``on_memory_error`` and
``before_limit``. The process must end by its limit. Then its snapshots are loaded: the holder is named
if the first suspect of `find_leaks` is the one that the program leaks into, or, with only one
snapshot, if the largest object is.

Healthy twins use 93 % of a limit for eight seconds and must fire once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from _leaking_program import LEAKS

import memlens
from memlens.errors import MemlensError

PROGRAM = Path(__file__).resolve().parent / "_leaking_program.py"
GROUPS = Path("/sys/fs/cgroup/memory")
MIB = 1 << 20
GOAL = 0.95
RATES = (20, 100, 400, 1000, 0)
LIMITS = ("group", "group above", "address space", "soft address space")
SECONDS = 60
BASE_MIB = 250  # of address space: the interpreter and its libraries before the program begins
TWINS = 4


@dataclass
class Case:
    """A process to drive into its limit."""

    number: int
    kind: str
    rate: float
    limit: str
    mib: int

    def __str__(self):
        rate = f"{self.rate:g} MiB/s" if self.rate else "full speed"
        return f"{self.kind:10} {rate:12} {self.limit} of {self.mib} MiB"


def groups_can_be_made():
    """Tell whether this user may make control groups of version 1."""
    probe = GROUPS / f"memlens-probe-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


class Limit:
    """A limit for one process: ``apply`` runs in the child before the program does."""

    def __init__(self, case):
        self.case = case
        self.folders = []
        bytes_ = case.mib * MIB
        if case.limit.startswith("group"):
            top = GROUPS / f"memlens-{os.getpid()}-{case.number}"
            self.folders = [top] if case.limit == "group" else [top, top / "inner"]
            for folder in self.folders:
                folder.mkdir()
            (top / "memory.limit_in_bytes").write_text(str(bytes_))

    def apply(self):
        """Enter the group, or limit the address space."""
        if self.folders:
            (self.folders[-1] / "cgroup.procs").write_text(str(os.getpid()))
        else:
            soft = (self.case.mib + BASE_MIB) * MIB
            is_soft = self.case.limit.startswith("soft")
            hard = resource.RLIM_INFINITY if is_soft else soft
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    def remove(self):
        """Remove the groups: the last process in them has ended."""
        for folder in reversed(self.folders):
            for _ in range(50):
                try:
                    folder.rmdir()
                    break
                except OSError:
                    time.sleep(0.1)


def drive(case, python, folder):
    """Run a program into its limit; return how it ended and what it wrote."""
    limit = Limit(case)
    try:
        done = subprocess.run(
            [python, str(PROGRAM), folder, case.kind, str(case.rate)],
            capture_output=True,
            text=True,
            preexec_fn=limit.apply,
            timeout=SECONDS,
        )
        return done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        return None, "", "still running"
    finally:
        limit.remove()


def judge(case, folder):
    """Return what the snapshots say: "named", or why they do not help."""
    paths = sorted(Path(folder).glob("heap-*.memlens"), key=lambda path: path.stat().st_mtime)
    reasons = [path.name.split("-2")[0].removeprefix("heap-") for path in paths]
    if not {"limit", "memory-error", "pressure"} & set(reasons):
        return "no snapshot", reasons
    try:
        snapshots = sorted(map(memlens.load, paths), key=lambda snapshot: snapshot.timestamp)
    except MemlensError as error:
        return f"damaged: {error}", reasons
    wanted = LEAKS[case.kind][0]
    if len(snapshots) > 1:
        suspects = memlens.find_leaks(snapshots)
        names = [suspect.holder for suspect in suspects][:1]
        if any(wanted in name for name in names):
            return "named", reasons
    last = snapshots[-1]
    largest = [str(last.path_to(node)) for node in last.largest(3)]
    if any(wanted in path for path in largest):
        return ("named by size" if len(snapshots) > 1 else "named"), reasons
    return "not named", reasons


def attempt(case, python):
    """Drive one process into its limit and judge what it leaves."""
    folder = tempfile.mkdtemp(prefix="memlens-triggers-")
    try:
        code, _, errors = drive(case, python, folder)
        by_limit = code in (-signal.SIGKILL, None) or "MemoryError" in errors
        outcome, reasons = judge(case, folder) if by_limit else (f"ended by {code}", [])
        if not by_limit or not outcome.startswith("named"):
            reasons = [*reasons, errors[-600:]]
        return case, outcome, reasons
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cases_of(count, seed, limits):
    """Return cases in which every kind meets every limit as often as the others."""
    chance = random.Random(seed)
    kinds = list(LEAKS)
    return [
        Case(
            number,
            kinds[number % len(kinds)],
            chance.choice(RATES),
            limits[number // len(kinds) % len(limits)],
            chance.choice((192, 256, 384, 512)),
        )
        for number in range(count)
    ]


def twin(number, python, limits):
    """Run a healthy program at 93 % of its limit; return how often it fired."""
    case = Case(1000 + number, "steady", 0, limits[number % len(limits)], 384)
    folder = tempfile.mkdtemp(prefix="memlens-triggers-")
    if case.limit.startswith("group"):
        mib = 0.93 * case.mib - 60  # of resident memory
    else:
        reserve = (case.mib + BASE_MIB) / 8
        mib = 0.95 * (case.mib + BASE_MIB) - reserve - 300  # of address space
    case.rate = mib * MIB
    try:
        code, out, errors = drive(case, python, folder)
        fired = sum(json.loads(out)["fired"].values()) if code == 0 else f"{code}: {errors[-400:]}"
        return case, fired
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    """Drive all processes, print a table, and exit with 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    limits = LIMITS if groups_can_be_made() else LIMITS[2:]
    print(f"{platform.platform()}, limits: {', '.join(limits)}")
    named, total, outcomes = Counter(), Counter(), Counter()
    with ThreadPoolExecutor(options.jobs) as pool:
        cases = cases_of(options.processes, options.seed, limits)
        for case, outcome, notes in pool.map(lambda one: attempt(one, options.python), cases):
            total[case.limit] += 1
            outcomes[outcome] += 1
            named[case.limit] += outcome.startswith("named")
            print(f"  {case.number:3} {case}: {outcome} {notes}", flush=True)
        twins = list(pool.map(lambda number: twin(number, options.python, limits), range(TWINS)))
    print("limit               named")
    for limit in total:
        print(f"{limit:19} {named[limit]:3} of {total[limit]}")
    print(f"all                 {named.total():3} of {total.total()}, goal {GOAL:.0%}")
    print(dict(outcomes))
    for case, fired in twins:
        print(f"healthy at 93 % of a {case.limit}: fired {fired}")
    is_met = named.total() >= GOAL * total.total() and all(fired == 1 for _, fired in twins)
    sys.exit(0 if is_met else 1)


if __name__ == "__main__":
    main()
