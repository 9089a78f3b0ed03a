"""The process that analyses snapshots beside the program: low priority, bounded memory and time.

It gets a JSON object on its standard input and answers with one on its standard output. It opens
nothing but the snapshot files.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from memlens.errors import MemlensError
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport, find_leaks
from memlens.profiler.plain_values import to_plain

__all__ = ("analyse", "limit_process", "main")

_NICENESS = 10
_RESERVED_BYTES = 1 << 20  # freed when memory is out, so that this can be said


def analyse(choices: list[list[str]], ignore: Sequence[str], limit: int) -> LeakReport | None:
    """Look for leaks in the first choice of snapshot files that shows any.

    Returns the report of the last choice where none does; None where no choice has two files.
    """
    report = None
    for paths in choices:
        if len(paths) >= 2:
            snapshots = [HeapSnapshot.load(path) for path in paths]
            report = find_leaks(snapshots, ignore=ignore, limit=limit)
            if report.suspects:
                break
    return report


def main() -> None:
    """Analyse what standard input asks for, and answer on standard output."""
    request = json.load(sys.stdin.buffer)
    limit_process(request["max_bytes"], request["max_seconds"])
    reserve = bytearray(_RESERVED_BYTES)
    try:
        report = analyse(request["choices"], request["ignore"], request["limit"])
        answer: dict[str, Any] = {"report": to_plain(report)}
    except MemoryError:
        del reserve
        answer = {"reason": f"it needed more than {request['max_bytes'] >> 20} MiB of memory"}
    except MemlensError as error:
        answer = {"reason": str(error)}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


def limit_process(max_bytes: int, max_seconds: float) -> None:
    """Step behind the program, and end by ourselves where it has been killed meanwhile."""
    import signal

    with suppress(OSError, AttributeError):  # not allowed, or Windows
        os.nice(_NICENESS)
    with suppress(AttributeError):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max_seconds)
    with suppress(ImportError, OSError, ValueError):  # a lower limit holds already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
