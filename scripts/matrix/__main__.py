"""Run a program under memlens in every mode of Python that programs use: it must be right in each.

    python scripts/matrix                   each possible pair of modes, by this Python
    python scripts/matrix --python PATH     by another one, which has what memlens needs; repeatable
    python scripts/matrix --alone           each mode by itself: minutes less
    python scripts/matrix --only gevent     cases with such a mode
    python scripts/matrix --list            the cases

The modes are in cases.py: both cores; PYTHONMALLOC; the collector on, off and frozen; requests in
order, in threads, asyncio, uvloop, gevent, and children by fork, forkserver and spawn; under coverage,
a debugger, debugpy, cProfile, sys.monitoring and tracemalloc. A case runs program.py twice, as a
program that leaks and as its healthy twin: the holder is named alone, the twin is silent, sizes, paths
and samples are right, health() reports no failure, and nothing is printed to stderr, warnings included.
uvloop, gevent, coverage and debugpy are left out where they are not installed, and named.

The exit code is 0 if no case failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from cases import DIMENSIONS, Case, all_cases, alone, excluded, pairwise

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(__file__).with_name("program.py")
TIMEOUT_SECONDS = 600.0  # a pure core with the debug hooks of malloc
LIBRARIES = ("uvloop", "gevent", "coverage", "debugpy")
# What a tool itself prints when it starts, or says of the event loop that it patches.
OF_TOOLS = ("pydev debugger", "debugpy", "frozen modules", "-Xfrozen_modules", "Debugger warning")
# From 3.12 on CPython warns where a process with threads forks; those of memlens count.
OF_FORKS = "ignore:This process:DeprecationWarning"
EXPECTED = "the sampler is C only"  # what memlens says by itself: once, where the core is pure


def main() -> int:
    """Run the cases that the command line asks for; print a line for each that fails, and a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", metavar="PATH")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--only", action="append", metavar="MODE", default=[])
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    known = {mode for modes in DIMENSIONS.values() for mode in modes}
    unknown = sorted(set(options.only) - known)
    if unknown:
        parser.error(f"no mode {unknown[0]!r}: give {', '.join(sorted(known))}")
    failed = 0
    for python in options.python or [sys.executable]:
        version, missing = facts_of(python)
        reasons = {case: excluded(case, version, missing) for case in all_cases()}
        cases = [
            case
            for case in (alone() if options.alone else pairwise(reasons))
            if set(options.only) <= set(case) and reasons[case] is None
        ]
        if options.list:
            print(*cases, sep="\n")
            continue
        failed += run_all(python, cases)
        print(
            *sorted({f"    not run: {reason}" for reason in reasons.values() if reason}), sep="\n"
        )
    return 1 if failed else 0


def run_all(python: str, cases: list[Case]) -> int:
    """Run the cases by one Python and print what came of them; return how many failed."""
    start, failed = time.monotonic(), 0
    for case in cases:
        problems = [
            f"{'leak' if leaks else 'twin'}: {problem}"
            for leaks in (True, False)
            for problem in run_case(python, case, leaks)
        ]
        failed += bool(problems)
        for problem in problems:
            print(f"FAILED {case}\n    {problem}", flush=True)
    seconds = time.monotonic() - start
    print(f"{python}: {len(cases)} cases, {failed} failed, {seconds:.0f} s", flush=True)
    return failed


def facts_of(python: str) -> tuple[tuple[int, int], frozenset[str]]:
    """Return the version of a Python, and the libraries that it does not have."""
    code = (
        "import importlib.util as u, json, sys;"
        f"print(json.dumps([sys.version_info[:2], [n for n in {LIBRARIES} if not u.find_spec(n)]]))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    (major, minor), missing = json.loads(done.stdout)
    return (major, minor), frozenset(missing)


def run_case(python: str, case: Case, leaks: bool) -> list[str]:
    """Run the program once; return what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({**case._asdict(), "leaks": leaks})
        command = [python, "-W", "error", "-W", OF_FORKS, *under(case.under), str(PROGRAM), text]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment(case),
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return [f"it did not end in {TIMEOUT_SECONDS:.0f} s"]
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    said = [
        line
        for line in done.stderr.splitlines()
        if line.strip() and not any(text in line for text in (*OF_TOOLS, EXPECTED))
    ]
    problems: list[str] = json.loads(lines[-1]) if lines else ["it printed no result"]
    if done.returncode:
        problems.append(f"it ended with {done.returncode}")
    return problems + [f"it printed {line}" for line in said[-4:]]


def under(tool: str) -> list[str]:
    """Return the arguments of Python that run a program under a tool."""
    return {
        "coverage": ["-m", "coverage", "run"],
        "coverage sysmon": ["-m", "coverage", "run"],
        "debugpy": ["-m", "debugpy", "--listen", "127.0.0.1:0"],
        "cProfile": ["-m", "cProfile", "-o", "profile"],
        "tracemalloc": ["-X", "tracemalloc=5"],
    }.get(tool, [])


def environment(case: Case) -> dict[str, str]:
    """Return the environment of a case."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONMALLOC": case.malloc,
        "MEMLENS_PURE": "1" if case.core == "pure" else "0",
        "COVERAGE_CORE": "sysmon" if case.under == "coverage sysmon" else "ctrace",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


if __name__ == "__main__":
    sys.exit(main())
