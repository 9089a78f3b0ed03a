"""How long ``python -m memlens run`` takes from the end of a program to the end of its report.

    python benchmarks/run_report.py [--objects N]... [--seconds S] [--profile]

A program of about ``--objects`` objects with one leak runs for ``--seconds`` or as long as it takes
to build them, and notes when its last line is done. The report must follow within 2 seconds and a
tenth of the run; ``to the exit``: how long it takes until the process is gone, which frees the
objects of the program first. ``--profile`` prints where the time of the report goes, by cProfile.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = str(Path(__file__).resolve().parent.parent)
HERE = str(Path(__file__).resolve().parent)

MAX_SECONDS = 2.0
MAX_SHARE = 0.1  # of the run, in addition

PROGRAM = """
import sys, time
from capture import build

start = time.time()
objects, seconds, output = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
kept, leaked = [], []

def main():
    while len(leaked) < 50 or time.time() - start < seconds:
        if len(leaked) < 50:
            kept.extend(build(objects // 50))
        leaked.append(build(objects // 1000 + 10))
        time.sleep(0.02)

main()
with open(output, "w") as file:
    file.write(f"{start} {time.time()}")
"""

PROFILED = """
import atexit, cProfile, pstats, sys
from memlens.cli.exit_report import ExitReport
finish = ExitReport.finish

def profiled(report):
    profile = cProfile.Profile()
    profile.runcall(finish, report)
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(30)

ExitReport.finish = profiled
from memlens.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


class Run(NamedTuple):
    """One run of the program: seconds of it, from its end to the report, and to the exit."""

    program: float
    to_report: float
    to_exit: float
    output: str


def measure(objects: int, seconds: float, *, profile: bool) -> Run:
    """Run the program once. Exits where its leak is not found."""
    with tempfile.TemporaryDirectory() as folder:
        script, times, output = (f"{folder}/{name}" for name in ("program.py", "times", "output"))
        Path(script).write_text(PROGRAM)
        start = ["-c", PROFILED] if profile else ["-m", "memlens"]
        command = [sys.executable, *start, "run", script, str(objects), str(seconds), times]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((ROOT, HERE))}
        report, told = "", 0.0
        with (
            open(output, "w") as file,
            subprocess.Popen(
                command, env=environment, stdout=file, stderr=subprocess.PIPE, text=True
            ) as process,
        ):
            assert process.stderr is not None
            for line in process.stderr:
                report += line
                told = time.time()
        end = time.time()
        if process.returncode or "leaked" not in report:
            sys.exit(f"the leak was not found:\n{report}")
        first, last = map(float, Path(times).read_text().split())
        return Run(last - first, told - last, end - last, Path(output).read_text())


def main() -> None:
    """Print a row for each number of objects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, action="append", help="default: 25 to 1000 thousand")
    parser.add_argument("--seconds", type=float, default=4.0, help="of the run, at least")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {os.cpu_count()} processors")
    print(f"{'objects':>10} {'run':>8} {'to the report':>14} {'goal':>8} {'to the exit':>19}")
    for objects in options.objects or [25_000, 100_000, 250_000, 1_000_000]:
        run = measure(objects, options.seconds, profile=options.profile)
        goal = MAX_SECONDS + MAX_SHARE * run.program
        told = "met" if run.to_report <= goal else "missed"
        print(
            f"{objects:>10,} {run.program:>6.1f} s {run.to_report:>12.2f} s {goal:>6.2f} s"
            f" {told:6} {run.to_exit:>10.2f} s",
            flush=True,
        )
        print(run.output, end="")


if __name__ == "__main__":
    main()
