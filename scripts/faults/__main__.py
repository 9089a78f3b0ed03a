"""Inject faults into programs that run under memlens: neither the program nor its files may suffer.

    python scripts/faults                     all faults
    python scripts/faults kill memory            these only
    python scripts/faults --list              their names
    python scripts/faults --trials 50         trials of each fault (default: 10)

A trial is a program of its own that runs a ``MemoryProfiler`` with frequent snapshots, takes snapshots
itself, works, and is expected to end normally. It fails if the program ends in any other way, if an
error that is not memlens's own reaches it, if its results are wrong, if memlens prints a traceback, if
processes or descriptors are left over, or if a file under its final name is damaged.

The exit code is 0 if no trial failed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
import outside
from endings import at_every_stage
from outside import in_program
from trials import Trial


class Fault(NamedTuple):
    """A fault: what it does, and the function that runs one trial of it in a folder."""

    what: str
    run: Callable[[Path, random.Random], Trial]


def main() -> int:
    """Run the faults that the command line names and print a table of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--list", action="store_true", help="print the names of the faults")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    unknown = sorted(set(options.faults) - FAULTS.keys())
    if unknown:
        parser.error(f"no fault {unknown[0]!r}: give {', '.join(FAULTS)}")
    if options.list:
        for name, fault in FAULTS.items():
            print(f"{name:20}{fault.what}")
        return 0
    failed = [
        name
        for name in options.faults or FAULTS
        if not run_trials(name, options.trials, random.Random(options.seed))
    ]
    print(f"\nFAILED: {', '.join(failed)}" if failed else "\nno trial failed")
    return 1 if failed else 0


def run_trials(name: str, count: int, rng: random.Random) -> bool:
    """Run the trials of one fault, print a line for it and each problem; return whether none failed."""
    trials, start = [], time.monotonic()
    for _ in range(count):
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            os.chmod(folder, 0o755)  # one trial runs as another user
            trials.append(FAULTS[name].run(Path(folder), rng))
    failed = sum(bool(trial.problems) for trial in trials)
    result = f"{failed} FAILED" if failed else "passed"
    seconds = time.monotonic() - start
    print(
        f"{name:20}{count:4} trials  {result:10}{seconds:7.1f} s  {FAULTS[name].what}", flush=True
    )
    for title, lines in (
        ("problem", [anonymous(line) for trial in trials for line in trial.problems]),
        ("reported", [anonymous(line) for trial in trials for line in trial.own_errors]),
    ):
        for line, times in Counter(lines).most_common(8):
            print(f"    {title} {times} times: {line}", flush=True)
    return not failed


def anonymous(line: str) -> str:
    """Leave out the parts that differ from trial to trial."""
    line = re.sub(r"/\S*/faults-\w+/", "", line)
    return re.sub(
        r"manual-\d+|after [\d.]+ s", lambda found: found[0].split("-")[0].split(" ")[0], line
    )


FAULTS = {
    "none": Fault("no fault at all", in_program("none")),
    "kill": Fault("kill -9 while snapshots and reports are written", outside.kill),
    "suspended": Fault("SIGSTOP and SIGCONT, with its children", outside.suspended),
    "suspended-children": Fault("SIGSTOP and SIGCONT of children", outside.suspended_children),
    "clock-jumps": Fault("a wall clock that jumps by days", outside.clock_jumps),
    "disk-full": Fault("a file system that is too small", outside.disk_full),
    "file-size": Fault("RLIMIT_FSIZE of 100 KiB", in_program(f"file_size={100 * 1024}")),
    "read-only": Fault("a folder that may not be written", outside.read_only),
    "memory": Fault("RLIMIT_AS near to what is in use", outside.memory),
    "descriptors": Fault("all descriptors are in use", in_program("descriptors")),
    "high-descriptors": Fault("descriptors of 1024 and more", in_program("high_descriptors")),
    "no-threads": Fault("RLIMIT_NPROC: no thread, no fork", outside.no_threads),
    "thread-death": Fault("SystemExit within threads of memlens", in_program("thread_death")),
    "thread-churn": Fault("threads that end at once", in_program("thread_churn")),
    "ignored-children": Fault("SIGCHLD is ignored", in_program("ignored_children")),
    "reaped-children": Fault("a thread reaps every child", in_program("reaped_children")),
    "signals": Fault("a handler that runs every millisecond", in_program("signals")),
    "raising-signals": Fault("a handler that raises every 20 ms", in_program("raising_signals")),
    "forks": Fault("another thread forks all the time", in_program("forks")),
    "watched-forks": Fault("children that take snapshots", in_program("watched_forks")),
    "two-profilers": Fault("three profilers and tracemalloc", in_program("two_profilers")),
    "shutdown": Fault("the interpreter ends, at every stage", at_every_stage),
    "run-memory": Fault("`memlens run`, RLIMIT_AS near to what is in use", outside.run_memory),
    "run-terminated": Fault("`memlens run`, SIGTERM", outside.run_terminated),
}

if __name__ == "__main__":
    sys.exit(main())
