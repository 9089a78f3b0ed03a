"""Inject faults into programs that run under memlens: neither the program nor its files may suffer.

    python scripts/faults.py                     all faults
    python scripts/faults.py kill memory         these only
    python scripts/faults.py --list              their names
    python scripts/faults.py --trials 50         trials of each fault (default: 10)

A trial is a program of its own that runs a ``MemoryProfiler`` with frequent snapshots, takes snapshots
itself, works, and is expected to end normally. It fails if the program ends in any other way, if an
error that is not memlens's own reaches it, if its results are wrong, if memlens prints a traceback, if
processes or descriptors are left over, or if a file under its final name is damaged.

The exit code is 0 if no trial failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(__file__).resolve().parent / "faults_program.py"
TIMEOUT_SECONDS = 120.0
NOBODY = 65534
MIB = 1024 * 1024


class Trial(NamedTuple):
    """How one trial ended: what went wrong, what memlens reported, and what the program said."""

    problems: list[str]
    own_errors: list[str]


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
            print(f"{name:16}{fault.what}")
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
        f"{name:16}{count:4} trials  {result:10}{seconds:7.1f} s  {FAULTS[name].what}", flush=True
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


# --- one trial ---


def run_program(folder: Path, fault: str, *, seconds: float = 1.5) -> Trial:
    """Run the program with a fault that it sets up itself, and judge how it ends."""
    process = start_program(folder, fault, seconds)
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        return Trial([f"still running after {TIMEOUT_SECONDS:.0f} s: {tail(stderr)}"], [])
    problems, own_errors = [], []
    if process.returncode != 0:
        problems.append(f"exit code {process.returncode}: {tail(stderr)}")
    # memlens logs the first error of a kind with its traceback. These nobody has handled:
    elif "Exception ignored in" in stderr or "Exception in thread" in stderr:
        problems.append(f"an unhandled error: {tail(stderr)}")
    lines = stdout.splitlines()
    if process.returncode == 0:
        said = json.loads(lines[-1]) if lines else {}
        problems += said.get("problems", ["the program printed no result"])
        own_errors += said.get("own_errors", [])
    return Trial(problems + damaged_files(folder), own_errors)


def start_program(folder: Path, fault: str, seconds: float) -> subprocess.Popen[str]:
    """Start the program of this folder with a fault that it sets up itself."""
    return start([str(PROGRAM), fault, str(folder / "out"), str(seconds)])


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """Start Python in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def tail(text: str) -> str:
    """Return the end of a program's output, in one line."""
    return " | ".join(text.strip().splitlines()[-3:])[-300:]


def damaged_files(folder: Path) -> list[str]:
    """Return a line for each file under a final name that is not complete."""
    sys.path.insert(0, str(ROOT))
    import memlens

    problems = []
    for path in sorted(folder.rglob("*.memlens")):
        try:
            snapshot = memlens.load(path)
            verify = getattr(snapshot, "verify", None) or getattr(snapshot, "sections", None)
            if callable(verify):
                verify()
        except memlens.MemlensError as error:
            problems.append(f"a damaged file: {type(error).__name__}")
    for path in sorted(folder.rglob("*.json")):
        try:
            json.loads(path.read_text())
        except ValueError:
            problems.append("a damaged report")
    return problems


# --- the faults ---


def kill(folder: Path, rng: random.Random) -> Trial:
    """Kill the program while it writes; the next start in its folder must leave no ``.part`` file."""
    process = start_program(folder, "none", 60.0)
    assert process.stdout is not None
    process.stdout.readline()  # it has started
    time.sleep(rng.uniform(0.0, 0.8))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    problems = damaged_files(folder)
    after = run_program(folder, "none", seconds=0.3)
    left = [path.name for path in folder.rglob("*.part")]
    if left:
        problems.append("a .part file of a killed process after the next start")
    return Trial(problems + after.problems, after.own_errors)


def disk_full(folder: Path, rng: random.Random) -> Trial:
    """Give the folder a file system of its own that is too small for two snapshots."""
    out = folder / "out"
    out.mkdir()
    size = rng.randrange(64, 4096) * 1024
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(out)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        return run_program(folder, f"file_size={size}")
    try:
        return run_program(folder, "none")
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)


def read_only(folder: Path, rng: random.Random) -> Trial:
    """Run as a user who may not write into the folder."""
    (folder / "out").mkdir(mode=0o555)
    return run_program(folder, "nobody" if os.getuid() == 0 else "none")


def memory(folder: Path, rng: random.Random) -> Trial:
    """Bound the address space to little more than what the program has after its start."""
    return run_program(folder, f"address_space={rng.randrange(1, 96) * MIB}")


def in_program(fault: str) -> Callable[[Path, random.Random], Trial]:
    """Return the function that runs a trial of a fault that the program sets up itself."""
    return lambda folder, rng: run_program(folder, fault)


def run_memory(folder: Path, rng: random.Random) -> Trial:
    """Bound the address space of a program under ``memlens run``, which it survives without it."""
    process = run_command(folder, SHORT_OF_MEMORY.format(spare=rng.randrange(4, 64) * MIB))
    stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    problems = []
    if (process.returncode, stdout) != (0, "done\n"):
        problems.append(f"exit code {process.returncode}, output {stdout!r}: {tail(stderr)}")
    elif "Traceback" in stderr:
        problems.append(f"a traceback on stderr: {tail(stderr)}")
    return Trial(problems + damaged_files(folder), [])


def run_terminated(folder: Path, rng: random.Random) -> Trial:
    """End a program under ``memlens run`` by SIGTERM, as containers do: it must leave a report."""
    process = run_command(folder, UNTIL_TERMINATED)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(rng.uniform(0.2, 0.8))
    process.terminate()
    _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    problems = []
    if process.returncode not in (-signal.SIGTERM, 128 + signal.SIGTERM):
        problems.append(f"exit code {process.returncode}: {tail(stderr)}")
    if not list(folder.rglob("report.txt")):
        problems.append("no report")
    return Trial(problems + damaged_files(folder), [])


SHORT_OF_MEMORY = """
import resource
with open("/proc/self/statm") as file:
    in_use = int(file.read().split()[0]) * resource.getpagesize()
limits = in_use + {spare}, resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, limits)
kept = []
try:
    while True:
        kept.append(bytes(1 << 16))
except MemoryError:
    del kept[:]
print("done")
"""
UNTIL_TERMINATED = """
import time
kept = []
print("started", flush=True)
while True:
    kept.append([bytes(100)] * 10)
    time.sleep(0.001)
"""


def run_command(folder: Path, source: str) -> subprocess.Popen[str]:
    """Start a program under the command ``memlens run``."""
    (folder / "program.py").write_text(source)
    options = ["-o", str(folder / "out"), "--snapshot-interval", "0.2"]
    return start([*("-m", "memlens", "run"), *options, str(folder / "program.py")])


FAULTS = {
    "none": Fault("no fault at all", in_program("none")),
    "kill": Fault("kill -9 while snapshots and reports are written", kill),
    "disk-full": Fault("a file system that is too small", disk_full),
    "file-size": Fault("RLIMIT_FSIZE of 100 KiB", in_program(f"file_size={100 * 1024}")),
    "read-only": Fault("a folder that may not be written", read_only),
    "memory": Fault("RLIMIT_AS near to what is in use", memory),
    "descriptors": Fault("all descriptors are in use", in_program("descriptors")),
    "high-descriptors": Fault("descriptors of 1024 and more", in_program("high_descriptors")),
    "ignored-children": Fault("SIGCHLD is ignored", in_program("ignored_children")),
    "reaped-children": Fault("a thread reaps every child", in_program("reaped_children")),
    "signals": Fault("a handler that runs every millisecond", in_program("signals")),
    "raising-signals": Fault("a handler that raises every 20 ms", in_program("raising_signals")),
    "run-memory": Fault("`memlens run`, RLIMIT_AS near to what is in use", run_memory),
    "run-terminated": Fault("`memlens run`, SIGTERM", run_terminated),
    "forks": Fault("another thread forks all the time", in_program("forks")),
}

if __name__ == "__main__":
    sys.exit(main())
