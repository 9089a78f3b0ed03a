"""Judge `memlens fleet` by a simulated fleet, and measure its time and memory.

    python benchmarks/fleet.py [--pods 1000] [--days 14] [--seed N] [--folder DIR] [--memory 2GiB]
    python benchmarks/fleet.py --seeds N [--small]
    python benchmarks/fleet.py --scale 1 4 100

Makes the tables of a service with releases, leaks, restarts, wrong clocks and damaged files, asks the
questions in a process of its own, and compares the answers with what was planted. ``--seeds N`` asks
about new leaks of N fleets and of their healthy twins: without the leak, and with one that a later
release fixes. ``--small`` takes 60 pods and 5 days. ``--scale`` repeats the files of the fleet by links
until they have so many GB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measured_command import Measured, run_memlens
from benchmarks.simulated_fleet import Truth, make_fleet
from benchmarks.simulated_fleet.judging import answers_of, false_leaks, judge, judge_change
from benchmarks.simulated_fleet.scaling import repeat_files
from memlens.tables.table_folder import list_tables

QUESTIONS = ("new-leaks", "limits", "growth", "deploy", "paths")
DEPLOYS = (("4.9.0", "4.9.1"), ("4.9.1", "4.10.1"), ("4.10.1", "4.11.0"))
TWINS = {"with the leak": {}, "without": {"leak_share": 0.0}, "fixed later": {"is_fixed": True}}


def ask(folder: str, *arguments: str) -> tuple[dict[str, Any], Measured]:
    """Return the JSON of ``memlens fleet``, and what it needed."""
    done = run_memlens(["fleet", folder, *arguments, "--json"])
    if done.status not in (0, 1):
        raise SystemExit(f"memlens fleet {' '.join(arguments)}: {done.errors}")
    return json.loads(done.output), done


@contextmanager
def folder_of(given: str | None):
    """Give a folder for the fleet; one that was not given is deleted at the end."""
    if given is not None:
        yield given
        return
    folder = tempfile.mkdtemp(prefix="memlens-fleet-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def judge_one(options: argparse.Namespace) -> bool:
    """Make one fleet, ask all questions, print what is right and what they need."""
    with folder_of(options.folder) as folder:
        start = time.perf_counter()
        truth = make_fleet(folder, seed=options.seed, pods=options.pods, days=options.days)
        print_truth(truth, time.perf_counter() - start)
        rows = []
        for question in QUESTIONS:
            _, done = ask(folder, question, "--service", truth.service, "--memory", options.memory)
            rows.append((question, done))
        document, done = ask(folder, "--service", truth.service, "--memory", options.memory)
        print_needs([*rows, ("all", done)], options.memory)
        checks = judge(truth, document)
        for before, after in DEPLOYS:
            words = ("--service", truth.service, "--before", before, "--after", after)
            changed, _ = ask(folder, "deploy", *words, "--limit", "100")
            checks.append(judge_change(truth, after, changed))
    print("\n" + "\n".join(map(str, checks)))
    return all(check.is_right for check in checks)


def print_truth(truth: Truth, seconds: float) -> None:
    """Print how large the fleet is."""
    size = sum(truth.file_bytes.values())
    print(
        f"{truth.process_hours:,} process-hours of {truth.processes:,} processes in {truth.hosts:,}"
        f" pods; {sum(truth.rows.values()):,} rows, {size / 1e9:.2f} GB; made in {seconds:.0f} s\n"
    )
    print("| table | rows | files | MB | bytes a row |\n|---|---:|---:|---:|---:|")
    for name, rows in truth.rows.items():
        mb = truth.file_bytes[name] / 1e6
        print(f"| {name} | {rows:,} | {truth.files[name]:,} | {mb:,.1f} | {mb * 1e6 / rows:.1f} |")


def print_needs(rows: list[tuple[str, Measured]], memory: str) -> None:
    """Print seconds and peak memory of commands."""
    print(f"\n| question, --memory {memory} | seconds | CPU seconds | peak memory |")
    print("|---|---:|---:|---:|")
    for question, done in rows:
        print(f"| {question} | {done.seconds:.1f} | {done.cpu_seconds:.1f} | {done.peak} |")


def judge_seeds(options: argparse.Namespace) -> bool:
    """Ask about new leaks of many fleets and their healthy twins; print the rates."""
    counts: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.seeds):
        for name, knobs in TWINS.items():
            with folder_of(None) as folder:
                truth = make_fleet(folder, seed=seed, pods=options.pods, days=options.days, **knobs)
                document, _ = ask(folder, "new-leaks", "--service", truth.service)
            checks = judge(truth, document)
            false = false_leaks(truth, answers_of(truth, document)["new-leaks"])
            counts[name, "fleets"] += 1
            counts[name, "false"] += bool(false)
            counts[name, "right"] += all(check.is_right for check in checks)
            for check in checks:
                if not check.is_right:
                    print(f"seed {seed}, {name}: {check}")
    print("\n| fleet | fleets | with a false leak | all right |\n|---|---:|---:|---:|")
    for name in TWINS:
        numbers = [counts[name, what] for what in ("fleets", "false", "right")]
        print(f"| {name} | {' | '.join(map(str, numbers))} |")
    return not any(counts[name, "false"] for name in TWINS)


def measure_scale(options: argparse.Namespace) -> bool:
    """Ask the questions of more and more tables; print what they need."""
    with folder_of(options.folder) as folder:
        original = os.path.join(folder, "one")
        if not os.path.isdir(original):
            make_fleet(original, seed=options.seed, pods=options.pods, days=options.days,
                       unmerged_hours=0.1)  # fmt: skip
        size = list_tables(original).size_bytes
        print(f"One fleet has {size / 1e9:.2f} GB; its copies are links to the same files.")
        for gigabytes in options.scale:
            copies = max(1, round(gigabytes * 1e9 / size))
            many = os.path.join(folder, f"times-{copies}")
            repeat_files(original, many, copies)
            total = list_tables(many).size_bytes
            print(f"\n{copies} x: {total / 1e9:.1f} GB")
            rows = []
            for question in options.questions or QUESTIONS:
                _, done = ask(many, question, "--memory", options.memory)
                rows.append((question, done))
            print_needs(rows, options.memory)
            shutil.rmtree(many)
    return True


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--pods", type=int, default=None)
    parser.add_argument("--days", type=float, default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--folder")
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--scale", type=float, nargs="+")
    parser.add_argument("--questions", nargs="+")
    options = parser.parse_args()
    options.pods = options.pods or (60 if options.small else 1000)
    options.days = options.days or (5 if options.small else 14)
    run = measure_scale if options.scale else judge_seeds if options.seeds else judge_one
    return 0 if run(options) else 1


if __name__ == "__main__":
    raise SystemExit(main())
