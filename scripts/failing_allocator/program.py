"""One function, called again and again with another allocation failing: see __main__.py, which starts
this program with the instrumented core on its path.

    python program.py FUNCTION LIMIT

The last line of the output is the result. The number of the failing allocation is in the file
``progress`` meanwhile, so that a crash can be located.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import _failing  # type: ignore[import-not-found] # built for the trial
from case import Case
from core_cases import core_cases, plant, settled
from product_cases import product_cases

MOST_OUTCOMES = 5
MOST_BYTES = 4 << 30  # a capture that does not end fails here, not by taking the machine down
PROGRESS = Path("progress")
WINDOW = 20  # how many in a row
UNHANDLED: list[str] = []


class Trials:
    """Counts what became of each trial, and what was wrong."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        self.expected = settled(case.call())

    def run(self, first: int, last: int) -> int:
        """One call with the allocations ``first`` to ``last`` failing; the number it asked for."""
        PROGRESS.write_text(f"{first} to {last}")
        files, live = open_files(), live_bytes()
        case = self.case
        which = 2 if case.in_all_threads else int(case.with_python)
        result, error, seen = _failing.call(case.call, first, last, which)
        self._judge(first, result, error, seen)
        del result, error
        gc.collect()
        problems = [*case.check(), *UNHANDLED]
        UNHANDLED.clear()
        # Where one allocation after the other fails, a finalizer cannot even ask for the process id.
        is_window = case.in_windows and first < last
        if not case.in_all_threads and not is_window:
            problems += left_open(files)
        if case.owns_all and live_bytes() != live:
            problems.append(f"{live_bytes() - live} bytes left over")
        self.problems += [f"allocation {first}: {problem}" for problem in problems]
        return int(seen)

    def _judge(self, first: int, result: Any, error: BaseException | None, seen: int) -> None:
        if isinstance(error, self.case.errors):
            self.outcomes[type(error).__name__] += 1
        elif self.case.in_windows and is_of_cpython(error):
            self.outcomes["SystemError of CPython"] += 1
        elif error is not None:
            self.problems.append(f"allocation {first}: {error!r} at {place_of(error)}")
        elif seen >= first > 0 and not self.case.may_do_without:
            self.problems.append(f"allocation {first}: no error")
        elif settled(result) != self.expected:
            self.problems.append(f"allocation {first}: another result")
        else:
            self.outcomes["done without it"] += seen >= first > 0

    def try_again(self, first: int) -> None:
        """Without a failure the result is what it was."""
        if settled(self.case.call()) != self.expected:
            self.problems.append(f"after allocation {first}: another result")


def is_of_cpython(error: BaseException | None) -> bool:
    """Whether CPython lost sight of a MemoryError: as `frame.f_back`, it returned None and an error."""
    return isinstance(error, SystemError) and "with an exception set" in str(error)


def place_of(error: BaseException) -> str:
    """The last line of memlens in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/memlens/" in frame.filename] or frames
    return f"{own[-1].filename.rpartition('/memlens/')[2]}:{own[-1].lineno}" if own else "no frame"


def note_unhandled(ignored: Any) -> None:
    """Keep what no caller gets: an error in a finalizer or a thread, unless it is a MemoryError."""
    if not isinstance(ignored.exc_value, MemoryError):
        UNHANDLED.append(f"unhandled: {ignored.exc_value!r}")


def note_death(ended: Any) -> None:
    """Keep what has ended a thread."""
    UNHANDLED.append(f"a thread has ended: {ended.exc_value!r} at {place_of(ended.exc_value)}")


def open_files() -> Counter[str]:
    """What the descriptors of this process refer to."""
    names = Counter[str]()
    for number in os.listdir("/proc/self/fd"):
        try:
            names[os.readlink(f"/proc/self/fd/{number}").partition(":")[0]] += 1
        except FileNotFoundError:  # the one of the folder itself
            pass
    return names


def left_open(before: Counter[str]) -> list[str]:
    """Return what is open more often than before; a thread may have opened something for a moment."""
    for _ in range(100):
        left = open_files() - before
        if not left:
            return []
        time.sleep(0.01)
    return [f"descriptors left over: {dict(left)}"]


def live_bytes() -> int:
    """What the extensions have allocated and not freed."""
    return int(_failing.live_bytes())


def numbers(total: int, limit: int) -> list[int]:
    """All of them, or the first ones and an even sample of the others."""
    if total <= limit:
        return list(range(1, total + 1))
    dense = limit // 2
    step = (total - dense) / (limit - dense)
    return [*range(1, dense + 1), *(dense + round(step * i) for i in range(1, limit - dense + 1))]


def main(name: str, limit: int) -> int:
    """Fail the allocations of one function in turn and print its line."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    gc.disable()
    plant()
    sys.unraisablehook, threading.excepthook = note_unhandled, note_death
    trials = Trials((core_cases() | product_cases())[name]())
    for _ in range(3):  # caches of the interpreter fill
        total = trials.run(0, 0)
    tried = numbers(total, limit)
    for first in tried:
        trials.run(first, first)
        if first % 5 == 1:
            trials.run(first, first + WINDOW if trials.case.in_windows else sys.maxsize)
        trials.try_again(first)
    outcomes = ", ".join(
        f"{count} {what}" for what, count in sorted(trials.outcomes.items()) if count
    )
    verdict = f"{len(trials.problems)} PROBLEMS" if trials.problems else "ok"
    for problem in trials.problems[:MOST_OUTCOMES]:
        print(f"  {problem}")
    print(f"{name}: {total} allocations, {len(tried)} failed in turn: {outcomes}: {verdict}")
    return bool(trials.problems)


if __name__ == "__main__":
    if sys.argv[1].startswith(("sampler", "statistics")):
        pass
    raise SystemExit(main(sys.argv[1], int(sys.argv[2])))
