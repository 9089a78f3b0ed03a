"""What does each tool cost, when it is on as its users turn it on?

    python -m benchmarks.peers.overhead [--environment DIR] [--rounds N]

Two programs: ``allocating`` makes and drops small objects and does nothing else, the worst case;
``service`` parses JSON, searches, sorts and keeps the last results. Each run is a process of its
own. In each round every tool runs once, so that all see the same machine; the time is processor
time of the work alone, in all threads of the process and in children that have ended, without
start-up and report. The ratio is the median over the rounds, each to the run without a tool in the
same round. ``RSS``: how much more memory was resident at the peak. Tools that work at single
moments (guppy3, objgraph, pympler, captures of memlens) cost nothing between:
`benchmarks/capture.py --peers` measures those moments.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import __main__ as peers

PROGRAM = Path(__file__).with_name("work.py")


def commands(
    python: str, folder: str
) -> dict[str, Callable[[str], tuple[list[str], dict[str, str]]]]:
    """Return of each tool the command for a work, and settings of the environment."""
    plain = [python, str(PROGRAM)]
    ddtrace = {
        "DD_PROFILING_ENABLED": "1", "DD_PROFILING_OUTPUT_PPROF": f"{folder}/dd",
        "DD_TRACE_ENABLED": "0", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0",
        "DD_REMOTE_CONFIGURATION_ENABLED": "0", "DD_PROFILING_STACK_ENABLED": "0",
        "DD_PROFILING_LOCK_ENABLED": "0",
    }  # fmt: skip
    memray = [python, "-m", "memray", "run", "-q", "-f", "-o", f"{folder}/out.bin"]
    scalene = [python, "-m", "scalene", "run", "--memory", "-o", f"{folder}/scalene.json"]
    run = [python, "-m", "memlens", "run"]
    return {
        "nothing": lambda work: ([*plain, work, "nothing"], {}),
        "nothing again": lambda work: ([*plain, work, "nothing"], {}),
        "memlens run": lambda work: ([*run, str(PROGRAM), work, "nothing"], {}),
        "memlens run --allocations": lambda work: (
            [*run, "--allocations", str(PROGRAM), work, "nothing"], {}
        ),
        "memlens MemoryProfiler": lambda work: ([*plain, work, "memlens"], {}),
        "ddtrace, memory only": lambda work: (
            [str(Path(python).with_name("ddtrace-run")), *plain, work, "nothing"], ddtrace
        ),
        "pyroscope, memory only": lambda work: ([*plain, work, "pyroscope"], {}),
        "memray": lambda work: ([*memray, str(PROGRAM), work, "nothing"], {}),
        "memray --trace-python-allocators": lambda work: (
            [*memray, "--trace-python-allocators", str(PROGRAM), work, "nothing"], {}
        ),
        "scalene --memory": lambda work: ([*scalene, str(PROGRAM), "---", work, "nothing"], {}),
        "tracemalloc, 1 frame": lambda work: ([*plain, work, "tracemalloc 1"], {}),
        "tracemalloc, 25 frames": lambda work: ([*plain, work, "tracemalloc 25"], {}),
    }  # fmt: skip


def main() -> None:
    """Run all tools in turn and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environment", type=Path, default=peers.ROOT / "build" / "peers")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    python = peers.make_environment(options.environment)
    print(f"{peers.datetime.date.today()}, {peers.versions(python)}, {os.cpu_count()} processors")
    works = ("allocating", "service")
    table: dict[str, list[str]] = {}
    for work in works:
        for name, cell in measured(python, work, options.rounds).items():
            table.setdefault(name, []).append(cell)
    print(f"\n{'':34}" + "".join(f"{work:>26}" for work in works))
    for name, cells in table.items():
        print(f"{name:34}" + "".join(f"{cell:>26}" for cell in cells))


def measured(python: str, work: str, rounds: int) -> dict[str, str]:
    """Return of each tool the ratio, the spread and the memory added, as a text."""
    ratios: dict[str, list[float]] = {}
    added: dict[str, list[int]] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, peers.receiver() as (address, _):
        for _ in range(rounds):
            base = None
            for name, make in commands(python, folder).items():
                command, settings = make(work)
                found = once(command, {**settings, "PEERS_ADDRESS": address}, folder)
                if isinstance(found, str):
                    failed[name] = found
                    continue
                base = base or found
                ratios.setdefault(name, []).append(found[0] / base[0])
                added.setdefault(name, []).append(found[1] - base[1])
    cells = {
        name: f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
        f" {statistics.median(added[name]) / 1024:+6.0f} MiB"
        for name, values in ratios.items()
    }
    for name, reason in failed.items():
        print(f"{name}, {work}: {reason}", flush=True)
    return cells


def once(command: list[str], settings: dict[str, str], folder: str) -> tuple[float, int] | str:
    """Run a work; return its seconds and the peak of resident memory in KiB, or why there is none."""
    result = Path(folder, "result.json")
    result.unlink(missing_ok=True)
    environment = {
        **os.environ, **settings, "PYTHONPATH": str(peers.ROOT), "PEERS_RESULT": str(result),
    }  # fmt: skip
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    if not result.exists():
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    seconds, peak = json.loads(result.read_text())
    return seconds, peak


if __name__ == "__main__":
    main()
