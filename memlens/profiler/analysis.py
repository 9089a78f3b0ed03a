"""Analysis: finds leaks in snapshot files in a process of its own, beside the program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from memlens.leaks.leak_report import LeakReport
from memlens.profiler.child_process import MAX_SECONDS, ChildProcess, bytes_for, program_of
from memlens.profiler.plain_values import from_plain

__all__ = ("Analysis", "Answer")

_PROGRAM = program_of("memlens.profiler.analysis_child")


@dataclass(frozen=True, slots=True)
class Answer:
    """The report, or the reason why there is none; neither where there was nothing to analyse."""

    report: LeakReport | None
    reason: str = ""


class Analysis:
    """Runs one analysis at a time for a worker thread; `stop` may be called from any thread.

    ``max_seconds``: how long an analysis may take. ``max_bytes``: how much address space it may
    use; None sets it by the sizes of the files.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS, max_bytes: int | None = None) -> None:
        self._child = ChildProcess(max_seconds)
        self._max_bytes = max_bytes

    @property
    def is_stopped(self) -> bool:
        """Whether analyses are refused, see `stop`."""
        return self._child.is_stopped

    def run(
        self,
        choices: Sequence[Sequence[str]],
        ignore: Sequence[str] = (),
        limit: int = 20,
    ) -> Answer:
        """Look for leaks in the first choice of snapshot files that shows any.

        ``ignore`` and ``limit`` are those of `find_leaks`. Never raises for what happens in the
        child: the answer says it.
        """
        request = {
            "choices": [list(paths) for paths in choices],
            "ignore": list(ignore),
            "limit": limit,
            "max_bytes": self._max_bytes or bytes_for(choices),
            "max_seconds": self._child.max_seconds,
        }
        reply = self._child.run(_PROGRAM, json.dumps(request).encode())
        if reply.reason:
            return Answer(None, reply.reason)
        answer = reply.values[-1]
        if "failure" in answer:
            return Answer(None, str(answer["failure"]))
        try:
            return Answer(from_plain(answer["report"]))
        except (ValueError, TypeError, KeyError):
            return Answer(None, "its process ended without an answer")

    def allow(self) -> None:
        """Allow analyses again after `stop`."""
        self._child.allow()

    def stop(self) -> None:
        """End the analysis in progress and refuse further ones: the answer says so."""
        self._child.stop()

    def forget(self) -> None:
        """Forget the child of the parent process, in a forked child."""
        self._child.forget()
