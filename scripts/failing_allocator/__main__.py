"""Fail each allocation of the C core, and of memlens in use, in turn: nothing else may fail.

    python scripts/failing_allocator PYTHON                    all functions
    python scripts/failing_allocator PYTHON --limit 50         at most so many failures of each
    python scripts/failing_allocator PYTHON sampler places     functions whose name has this word

The core is built for PYTHON into a temporary copy, linked so that every allocation in its files
(``malloc``, ``calloc``, ``realloc``, ``PyMem_RawMalloc``, ``mmap``, ``mremap``) first asks whether it
fails: GNU ld or lld. Where the name of a function says so, the allocations that Python's API makes for
it fail too. Each function runs in a process of its own, with a single failure and with all from the
n-th on. There is one line for each: the failures that were tried and what became of them. It is a
problem if the process dies, another error is raised or none, a descriptor or memory is left over, or
the next call without a failure gives another result.

The exit code is 0 if there was no problem.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
SOURCE = HERE / "failing.c"
PROGRAM = HERE / "program.py"
WRAPPED = (
    "malloc calloc realloc free PyMem_RawMalloc PyMem_RawFree mmap mmap64 mremap munmap"
    " open_memstream"
).split()
FUNCTIONS = [
    "capture inline",
    "capture inline, Python's too",
    "capture with values",
    "capture forked",
    "dominators",
    "dominators, Python's too",
    "searches",
    "searches, Python's too",
    "counts",
    "counts, Python's too",
    "places",
    "places, Python's too",
    "save and load",
    "statistics of pymalloc",
    "sampler",
    "sampler, Python's too",
    "use: a profiler starts and stops",
    "use: a profiler's snapshot",
    "use: a profiler's report",
    "use: a profiler's numbers",
    "use: a profiler's threads",
    "use: leaks in files",
    "use: files compared",
    "use: questions of the process",
    "use: snapshot in the background",
    "use: measured functions",
    "use: traced allocations",
    "use: lifetimes",
    "use: structures",
]
TIMEOUT_SECONDS = 1800.0


def build(python: str, copy: Path) -> None:
    """Copy the package and build its extensions with allocations that can fail."""
    for name in ("memlens", "scripts"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.so", "__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    ask = "import sysconfig as s; print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'))"
    include, suffix = output_of([python, "-c", ask]).split()
    module = copy / f"_failing{suffix}"
    compiler = os.environ.get("CC", "gcc")
    flags = ["-O1", "-g", "-fPIC", "-shared", f"-isystem{include}", "-DFAILING_MODULE"]
    subprocess.run([compiler, *flags, str(SOURCE), "-o", str(module)], check=True)
    options = [*(f"-Wl,--wrap={name}" for name in WRAPPED), f"-Wl,-rpath,{copy}"]
    output_of([python, str(copy / "scripts/build_core.py"), *options, str(SOURCE), str(module)])


def output_of(command: list[str]) -> str:
    """Run a command that must succeed and return what it prints."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def try_function(python: str, copy: Path, name: str, limit: int) -> bool:
    """Run all trials of one function, print its line, and tell whether there was no problem."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "MEMLENS_PURE": "0"}
    done = subprocess.run(
        [python, str(PROGRAM), name, str(limit)],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    print(done.stdout, end="", flush=True)
    if done.returncode not in (0, 1) or not done.stdout:
        print(done.stderr[-3000:], file=sys.stderr)
        at = (copy / "progress").read_text() if (copy / "progress").exists() else "none"
        print(f"{name}: exit code {done.returncode} at allocation {at}: PROBLEM", flush=True)
    return done.returncode == 0


def main() -> int:
    """Build, try all functions, and print a line for each."""
    summary, _, _ = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("python", metavar="PYTHON")
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--limit", type=int, default=300, help="failures of each function")
    options = parser.parse_args()
    python = shutil.which(options.python)
    if python is None:
        parser.error(f"there is no program {options.python}")
    chosen = [
        name for name in FUNCTIONS if not options.words or any(w in name for w in options.words)
    ]
    with tempfile.TemporaryDirectory() as folder:
        build(python, Path(folder))
        results = [try_function(python, Path(folder), name, options.limit) for name in chosen]
    return not all(results)


if __name__ == "__main__":
    raise SystemExit(main())
