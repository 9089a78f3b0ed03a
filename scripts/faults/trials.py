"""A trial: the program of this folder under a fault, and how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = Path(__file__).with_name("program.py")
TIMEOUT_SECONDS = 120.0


class Trial(NamedTuple):
    """How one trial ended: what went wrong, what memlens reported, and what the program said."""

    problems: list[str]
    own_errors: list[str]
    taken: int = 0  # snapshots


def run_program(
    folder: Path, fault: str, *, seconds: float = 1.5, variables: Mapping[str, str] | None = None
) -> Trial:
    """Run the program with a fault that it sets up itself, and judge how it ends."""
    return ended(start_program(folder, fault, seconds, variables), folder)


def ended(process: subprocess.Popen[str], folder: Path) -> Trial:
    """Wait for the program, and judge how it ended and what it left in its folder."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler prints where each thread is
        time.sleep(1)
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        print(stderr, file=sys.stderr)
        return Trial([f"still running after {TIMEOUT_SECONDS:.0f} s: {tail(stderr)}"], [])
    problems, own_errors, taken = [], [], 0
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
        taken = said.get("taken", 0)
    return Trial(problems + damaged_files(folder), own_errors, taken)


def start_program(
    folder: Path, fault: str, seconds: float, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the program of this folder with a fault that it sets up itself."""
    return start([str(PROGRAM), fault, str(folder / "out"), str(seconds)], variables)


def start(
    arguments: list[str], variables: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start Python in a process group of its own, with more variables in its environment."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, **own, **(variables or {})},
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
