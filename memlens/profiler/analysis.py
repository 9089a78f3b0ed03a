"""Analysis: finds leaks in snapshot files in a process of its own, beside the program.

The child is a new Python, not a fork: it shares neither memory nor locks with the program, and the
program pauses only for the start of a process. Where none can be started (the executable is no
Python, as in an embedded interpreter, or the system refuses), the reason is the answer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from memlens._package import PACKAGE_FOLDER
from memlens.leaks.leak_report import LeakReport
from memlens.profiler.plain_values import from_plain

__all__ = (
    "Analysis",
    "Answer",
    "bytes_for",
    "how_it_ended",
    "import_path",
    "why_no_child",
)

MAX_SECONDS = 600.0
_BASE_BYTES = 1 << 30  # of address space: the interpreter, its libraries and small heaps
_TIMES_FILES = 4  # files are mapped, and a node takes less memory than it has in a file
_PYTHON = re.compile(r"(python|pypy)[\d.]*[a-z]*(\.exe)?$", re.IGNORECASE)
_PROGRAM = (
    "import json, sys; sys.path += json.loads(sys.argv[1]);"
    " from memlens.profiler.analysis_child import main; main()"
)
_STOPPED = "the profiler was stopped"
_MAX_TEXT = 300  # characters of what a failing child wrote


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
        self._max_seconds = max_seconds
        self._max_bytes = max_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self.is_stopped = False

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
        reason = _STOPPED if self.is_stopped else why_no_child(sys.executable)
        if reason:
            return Answer(None, reason)
        request = {
            "choices": [list(paths) for paths in choices],
            "ignore": list(ignore),
            "limit": limit,
            "max_bytes": self._max_bytes or bytes_for(choices),
            "max_seconds": self._max_seconds,
        }
        try:
            self._process = process = subprocess.Popen(
                [sys.executable, "-I", "-c", _PROGRAM, json.dumps(import_path())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the program
            )
        except OSError as error:
            return Answer(None, f"no process can be started: {error}")
        try:
            return self._talk(process, json.dumps(request).encode())
        finally:
            self._process = None

    def allow(self) -> None:
        """Allow analyses again after `stop`."""
        self.is_stopped = False

    def stop(self) -> None:
        """End the analysis in progress and refuse further ones: the answer says so."""
        self.is_stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def forget(self) -> None:
        """Forget the child of the parent process, in a forked child."""
        process, self._process = self._process, None
        if process is not None:
            process.returncode = 0  # not ours to wait for, or to warn about
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    _close_without_lock(stream)

    def _talk(self, process: subprocess.Popen[bytes], request: bytes) -> Answer:
        if self.is_stopped:
            process.kill()
        try:
            output, errors = process.communicate(request, self._max_seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            return Answer(None, f"it took longer than {self._max_seconds:g} seconds")
        except BaseException:
            _end(process)
            raise
        if self.is_stopped:
            return Answer(None, _STOPPED)
        try:
            return _read(json.loads(output))
        except (ValueError, TypeError, KeyError):
            return Answer(None, how_it_ended(process.returncode, errors))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and wait for its end; what it has not read of the request is dropped."""
    process.kill()
    process.communicate()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _close_without_lock(stream: Any) -> None:
    """Close a pipe of the parent: while it is open here, the analysis waits for more of the request.

    `communicate` leaves nothing in the buffer, whose lock a thread of the parent may hold.
    """
    with suppress(OSError):
        stream.raw.close()


def _read(answer: Any) -> Answer:
    if "failure" in answer:
        return Answer(None, str(answer["failure"]))
    return Answer(from_plain(answer["report"]))


def how_it_ended(code: int, errors: bytes) -> str:
    """Return a text about a process that has not answered, from its exit code and what it wrote."""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1][:_MAX_TEXT]}" if lines else ""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"its process ended without an answer ({how}){said}"


def why_no_child(executable: str | None) -> str:
    """Return why this executable cannot run a child of ours, empty if it can."""
    if not executable:
        return "no process can be started: the path of the Python executable is unknown"
    if getattr(sys, "frozen", False) or not _PYTHON.search(os.path.basename(executable)):
        return f"no process can be started: {executable} is not a Python interpreter"
    return ""


def import_path() -> list[str]:
    """Return the folders in which the child finds memlens and what it needs."""
    own = os.path.dirname(PACKAGE_FOLDER.rstrip(os.sep))
    return list(dict.fromkeys([own, *(os.path.abspath(one) for one in sys.path if one)]))


def bytes_for(choices: Sequence[Sequence[str]]) -> int:
    """Return how much address space a process may use that reads these snapshot files."""
    total = 0
    for path in {path for paths in choices for path in paths}:
        with suppress(OSError):  # deleted meanwhile: the child says so
            total += os.path.getsize(path)
    return _BASE_BYTES + _TIMES_FILES * total
