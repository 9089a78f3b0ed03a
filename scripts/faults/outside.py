"""Faults that come from outside of the program: of the system, of files, of signals."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trials import (
    TIMEOUT_SECONDS,
    Trial,
    damaged_files,
    ended,
    run_program,
    start,
    start_program,
    tail,
)

MIB = 1024 * 1024


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


def no_threads(folder: Path, rng: random.Random) -> Trial:
    """Let the kernel refuse threads and forks."""
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    return run_program(folder, "no_threads")


def suspended(folder: Path, rng: random.Random) -> Trial:
    """Stop and continue the program and its capturing children, at any moment."""
    process = start_program(folder, "none", 2.0)
    for _ in range(6):
        time.sleep(rng.uniform(0.0, 0.2))
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(rng.uniform(0.0, 0.3))
        os.killpg(process.pid, signal.SIGCONT)
    return ended(process, folder)


def suspended_children(folder: Path, rng: random.Random) -> Trial:
    """Stop capturing children only, each for half a second at most."""
    process = start_program(folder, "none", 2.5)
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        for child in children_of(process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGSTOP)
                time.sleep(rng.uniform(0.0, 0.5))
                os.kill(child, signal.SIGCONT)
        time.sleep(0.002)
    return ended(process, folder)


def children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def clock_jumps(folder: Path, rng: random.Random) -> Trial:
    """Let the wall clock jump by up to two days, ahead and back, twenty times a second."""
    library = folder / "clock_jumps.so"
    source = Path(__file__).with_name("clock_jumps.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    variables = {"LD_PRELOAD": str(library), "CLOCK_SEED": str(rng.randrange(1 << 30))}
    trial = run_program(folder, "none", seconds=3.0, variables=variables)
    if not trial.problems and trial.taken < 3:
        trial.problems.append(f"only {trial.taken} snapshots were taken")
    return trial


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
