"""The process that analyses snapshots beside the program. It opens nothing but the snapshot files."""

from __future__ import annotations

from collections.abc import Sequence

from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport, find_leaks
from memlens.profiler.answering import answer_request
from memlens.profiler.plain_values import to_plain

__all__ = ("analyse", "main")


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
    answer_request(
        lambda request: {
            "report": to_plain(analyse(request["choices"], request["ignore"], request["limit"]))
        }
    )
