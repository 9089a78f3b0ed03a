"""What `import memlens`, and a started MemoryProfiler, add to the start of a program.

    python benchmarks/imports.py [--runs 20] [MODULE ...]

Programs that do nothing but the import run one after the other, in turns; a row is the median of
their times and its difference to a bare interpreter, with the modules that were loaded. MODULEs
(default: those of memlens's dependencies that are installed) are imported for comparison. All are
compiled beforehand, into a folder of its own.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time

COUNTED = "import sys; before = len(sys.modules)\n{code}\nprint(len(sys.modules) - before)"
PROFILER = """import memlens, tempfile
with tempfile.TemporaryDirectory() as folder, memlens.MemoryProfiler(folder):
    pass"""
COMPARED = ("tracemalloc", "objgraph", "rich.console", "psutil", "asyncio")


def main() -> None:
    """Time the programs in turns and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    modules = options.modules or [name for name in COMPARED if is_installed(name)]
    programs = {
        "a bare interpreter": "pass",
        "import memlens": "import memlens",
        "a MemoryProfiler, started and stopped": PROFILER,
        **{f"import {name}": f"import {name}" for name in modules},
    }
    with tempfile.TemporaryDirectory() as compiled:
        loaded = {name: run(code, compiled) for name, code in programs.items()}
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(options.runs):
            for name, code in programs.items():
                start = time.perf_counter()
                run(code, compiled)
                seconds[name].append(time.perf_counter() - start)
    bare = statistics.median(seconds["a bare interpreter"])
    print(f"Python {sys.version.split()[0]}, {options.runs} runs of each, medians\n")
    print(f"{'program':40}{'ms':>8}{'added ms':>10}{'ratio':>8}{'modules':>9}")
    for name, values in seconds.items():
        median = statistics.median(values)
        added = 1000 * (median - bare)
        print(f"{name:40}{1000 * median:8.1f}{added:10.1f}{median / bare:8.2f}{loaded[name]:9}")


def run(code: str, compiled: str) -> int:
    """Run a program in an interpreter of its own and return how many modules it loaded."""
    command = [sys.executable, "-c", COUNTED.format(code=code)]
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout)


def is_installed(name: str) -> bool:
    """Whether a module could be imported."""
    return importlib.util.find_spec(name.split(".")[0]) is not None


if __name__ == "__main__":
    main()
