"""Run test suites of others with and without memlens on, and compare them test by test.

    python scripts/foreign_suites.py                      all suites
    python scripts/foreign_suites.py test_gc numpy        these suites only
    python scripts/foreign_suites.py --list               the names of the suites

They are CPython's own, numpy's core, and those of packages from PyPI (foreign_packages.py), for which
environments are made and kept in ``--environment``.
With memlens on, every Python process of a suite runs a ``MemoryProfiler`` from its start: a snapshot
every few seconds, and a sample of allocations every 4 KiB. A test whose outcome differs is run again
both ways, up to ``--retries`` times: it is reported as different if it differs each time, else as
unstable.

The exit code is 0 if no outcome differs, no process crashed or timed out, and memlens ran.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))
from foreign_packages import PACKAGES, package_command

ROOT = Path(__file__).resolve().parent.parent
CPYTHON = (
    "test_threading", "test_subprocess", "test_gc", "test_asyncio", "test_fork1", "test_weakref",
    "test_dict", "test_frame", "test_generators", "test_coroutines", "test_sys", "test_signal",
    "test_multiprocessing_fork",
)  # fmt: skip
SUITES = (*CPYTHON, "numpy", *PACKAGES)
MAX_SHOWN_CHARACTERS = 150

# Started in each process; a process of a test may end in any way, so nothing depends on its end.
SITE = """
import os
folder = os.environ["FOREIGN_SUITES_FOLDER"] + "/" + str(os.getpid())
import memlens
def write_health():
    import json
    with open(folder + "-health.json", "w", encoding="utf-8") as file:
        json.dump(profiler.health(), file)
try:
    profiler = memlens.MemoryProfiler(
        folder,
        sample_interval=0.5,
        snapshot_interval={snapshot_interval},
        max_snapshots=3,
        allocations={allocations!r},
        allocation_interval_bytes={allocation_interval},
        on_alert=lambda report: None,
    )
    profiler.start()
except memlens.MemlensError:
    pass  # in a sub-interpreter
else:
    import atexit
    atexit.register(write_health)
"""


class Outcome(NamedTuple):
    """How a test has ended: ``passed``, ``skipped``, ``failed``, ``error`` or ``not run``."""

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"[:MAX_SHOWN_CHARACTERS] if self.detail else self.kind


class Run(NamedTuple):
    """One run of a suite: the outcome of each test, how the process ended, and its last lines."""

    outcomes: dict[str, Outcome]
    exit_code: int | None  # None: it was killed after the time limit
    seconds: float
    tail: str
    health: list[dict[str, object]]

    @property
    def has_ended_itself(self) -> bool:
        """Whether no signal and no time limit has ended the process."""
        return self.exit_code is not None and self.exit_code >= 0


NOT_RUN = Outcome("not run")


def main() -> int:
    """Run the suites that the command line names; print a table of differences."""
    options = parse()
    if options.list:
        print(*SUITES, sep="\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="foreign-suites-") as folder:
        good = [compare(name, Path(folder), options) for name in options.suites or SUITES]
    print("\nno differences" if all(good) else "\nDIFFERENCES: see above")
    return 0 if all(good) else 1


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--list", action="store_true", help="print the names of the suites")
    parser.add_argument("--snapshot-interval", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--allocations", choices=("sampling", "off"), default="sampling")
    parser.add_argument("--allocation-interval", type=int, default=4096, metavar="BYTES")
    parser.add_argument(
        "--environment", type=Path, default=ROOT / "build" / "foreign", metavar="DIR"
    )
    parser.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS")
    parser.add_argument("--retries", type=int, default=2)
    options = parser.parse_args()
    for name in options.suites:
        if name not in SUITES and not name.startswith("test_"):
            parser.error(f"no suite {name!r}: give {', '.join(SUITES)} or a module of CPython's")
    return options


def compare(name: str, folder: Path, options: argparse.Namespace) -> bool:
    """Run one suite both ways and print the differences; return whether there are none."""
    print(f"\n== {name}", flush=True)
    plain, watched = (run_suite(name, folder, options, with_memlens=on) for on in (False, True))
    for title, run in (("without", plain), ("with", watched)):
        counts = Counter(outcome.kind for outcome in run.outcomes.values())
        ended = "timed out" if run.exit_code is None else f"exit code {run.exit_code}"
        print(f"{title:8}{run.seconds:7.1f} s  {ended}  {dict(counts)}")
    print_health(watched)
    if plain.outcomes and not watched.outcomes:
        print(f"DIFFERENT  with memlens no test ran:\n{watched.tail}")
        return False
    different = differences(plain, watched)
    for _ in range(options.retries if different else 0):
        plain, watched = (run_suite(name, folder, options, with_memlens=on) for on in (False, True))
        again = differences(plain, watched)
        for test in sorted(set(different) - set(again)):
            print(f"unstable   {test}: {different[test][0]} | {different[test][1]}")
        different = {test: pair for test, pair in again.items() if test in different}
    for test, (before, after) in different.items():
        print(f"DIFFERENT  {test}\n    without  {before}\n    with     {after}")
    if not watched.has_ended_itself:
        print(f"DIFFERENT  with memlens the process ended like this:\n{watched.tail}")
    if not plain.outcomes:
        print(f"DIFFERENT  the suite did not run, not even without memlens:\n{plain.tail}")
        return False
    ran = bool(watched.health)
    if not ran:
        print(f"DIFFERENT  memlens did not run to the end of any process:\n{watched.tail}")
    return not different and watched.has_ended_itself and ran


def differences(plain: Run, watched: Run) -> dict[str, tuple[Outcome, Outcome]]:
    """Return the tests that ended in another way, with both outcomes."""
    pairs = {
        test: (plain.outcomes.get(test, NOT_RUN), watched.outcomes.get(test, NOT_RUN))
        for test in sorted(plain.outcomes.keys() | watched.outcomes.keys())
    }
    return {test: pair for test, pair in pairs.items() if pair[0].kind != pair[1].kind}


def print_health(run: Run) -> None:
    """Print what memlens did: processes that ended normally, snapshots, failures."""
    snapshots = sum(int(str(health["snapshots_taken"])) for health in run.health)
    failures = Counter(str(health["last_error"]) for health in run.health if health["failures"])
    print(f"memlens: {len(run.health)} processes that ended normally, {snapshots} snapshots")
    for error, count in failures.most_common():
        print(f"memlens failed in {count} processes: {error}")


def run_suite(name: str, folder: Path, options: argparse.Namespace, *, with_memlens: bool) -> Run:
    """Run a suite once, in a folder of its own."""
    work = Path(tempfile.mkdtemp(dir=folder))
    results = work / "results.xml"
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
    arguments, where = command(name, results, options.environment)
    if with_memlens:
        environment |= prepare_site(work, options)
    start = time.monotonic()
    with open(work / "output", "w+b") as output:
        try:
            exit_code: int | None = subprocess.run(
                arguments,
                cwd=where or work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=options.timeout,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            exit_code = None
    seconds = time.monotonic() - start
    said = (work / "output").read_text(errors="replace").splitlines()[-40:]
    health = [json.loads(path.read_text()) for path in (work / "memlens").glob("*-health.json")]
    return Run(read_results(results), exit_code, seconds, "\n".join(said), health)


def prepare_site(work: Path, options: argparse.Namespace) -> dict[str, str]:
    """Write the module that each Python imports at its start; return the environment for it."""
    site = work / "site"
    site.mkdir()
    allocations = None if options.allocations == "off" else options.allocations
    source = SITE.format(
        snapshot_interval=options.snapshot_interval,
        allocations=allocations,
        allocation_interval=options.allocation_interval,
    )
    (site / "sitecustomize.py").write_text(source)
    (work / "memlens").mkdir()
    return {
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "FOREIGN_SUITES_FOLDER": os.fspath(work / "memlens"),
    }


def command(name: str, results: Path, environments: Path) -> tuple[list[str], Path | None]:
    """Return the command that runs a suite and writes its results as JUnit's XML; and where."""
    if name in PACKAGES:
        return package_command(name, results, environments)
    if name == "numpy":
        options = ["-q", "-p", "no:cacheprovider", f"--junit-xml={results}"]
        return [sys.executable, "-m", "pytest", *options, os.fspath(numpy_tests())], None
    return [sys.executable, "-m", "test", "--junit-xml", os.fspath(results), name], None


def numpy_tests() -> Path:
    """Return the folder with the tests of numpy's core, without importing numpy."""
    spec = importlib.util.find_spec("numpy")
    if spec is None or spec.origin is None:
        sys.exit("numpy is not installed")
    return Path(spec.origin).parent / "_core" / "tests"


def read_results(path: Path) -> dict[str, Outcome]:
    """Return the outcomes in a file of results; none if the process did not come to write it."""
    if not path.exists():
        return {}
    outcomes = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}" if case.get("classname") else None
        outcomes[name or str(case.get("name"))] = outcome_of(case)
    return outcomes


def outcome_of(case: ElementTree.Element) -> Outcome:
    """Return the outcome of one test."""
    for tag, kind in (("failure", "failed"), ("error", "error"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            lines = (found.text or found.get("message") or "").strip().splitlines()
            return Outcome(kind, lines[-1] if lines else "")
    return Outcome("passed")


if __name__ == "__main__":
    sys.exit(main())
