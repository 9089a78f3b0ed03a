"""Run a command of memlens in a process of its own; measure its time and its peak memory."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Measured", "run_memlens")

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command printed and needed. ``peak_bytes``: of resident memory."""

    output: str
    errors: str
    status: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def peak(self) -> str:
        """The peak of memory, in MiB."""
        return f"{self.peak_bytes / (1 << 20):,.0f} MiB"


def run_memlens(arguments: Sequence[str]) -> Measured:
    """Run ``python -m memlens ARGUMENTS`` and return what it printed, and what it needed."""
    command = [sys.executable, "-m", "memlens", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), number)
                   for number, file in ((1, out), (2, err))]  # fmt: skip
        start = time.perf_counter()
        pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - start
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return Measured(
        *texts,
        os.waitstatus_to_exitcode(status),
        seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
    )
