"""ChildProcess: work in a new Python beside the program, with low priority and within bounds.

The child is a new Python, not a fork: it shares neither memory nor locks with the program, and the
program pauses only for the start of a process. Where none can be started (the executable is no
Python, as in an embedded interpreter, or the system refuses), the reason is the answer.
`memlens.profiler.answering` is the other end.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from memlens._package import PACKAGE_FOLDER

__all__ = (
    "MAX_SECONDS",
    "ChildProcess",
    "Reply",
    "bytes_for",
    "how_it_ended",
    "import_path",
    "program_of",
    "why_no_child",
)

MAX_SECONDS = 600.0
_BASE_BYTES = 1 << 30  # of address space: the interpreter, its libraries and small heaps
_TIMES_FILES = 4  # files are mapped, and a node takes less memory than it has in a file
_PYTHON = re.compile(r"(python|pypy)[\d.]*[a-z]*(\.exe)?$", re.IGNORECASE)
_STOPPED = "the profiler was stopped"
_MAX_TEXT = 300  # characters of what a failing child wrote


@dataclass(frozen=True, slots=True)
class Reply:
    """What a child wrote, one JSON object a line, and why there is no more: empty if it finished.

    ``is_left``: it still runs when the caller did not wait longer, see `ChildProcess.run`.
    """

    values: tuple[dict[str, Any], ...]
    reason: str = ""
    is_left: bool = False


class ChildProcess:
    """Runs one child at a time for a thread; `stop` may be called from any thread.

    ``max_seconds``: how long a child may take.
    """

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        self.max_seconds = max_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self.is_stopped = False

    def run(
        self,
        program: str,
        request: bytes | IO[bytes],
        *,
        environment: Mapping[str, str] | None = None,
        wait_seconds: float | None = None,
    ) -> Reply:
        """Start a child, give it the request on standard input, and return its reply.

        ``program``: its source, see `program_of`. ``request``: of a file the child reads all whenever
        it is ready, also if it is left behind; the file is closed here. ``wait_seconds``: leave the
        child to itself after this time; `finish` waits for its end. Never raises for what happens in
        the child: the reply says it.
        """
        reason = _STOPPED if self.is_stopped else why_no_child(sys.executable)
        if reason:
            return Reply((), reason)
        try:
            self._process = process = subprocess.Popen(
                [sys.executable, "-I", "-c", program, json.dumps(import_path())],
                stdin=subprocess.PIPE if isinstance(request, bytes) else request,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the program
                env=environment,
            )
        except OSError as error:
            return Reply((), f"no process can be started: {error}")
        if not isinstance(request, bytes):
            request.close()  # a forked child should not inherit it
            return self._talk(process, None, wait_seconds)
        return self._talk(process, request, wait_seconds)

    def finish(self) -> Reply:
        """Wait for the end of a child that was left behind, and return its reply."""
        process = self._process
        return Reply(()) if process is None else self._talk(process, None, None)

    def allow(self) -> None:
        """Allow children again after `stop`."""
        self.is_stopped = False

    def stop(self) -> None:
        """End the child and refuse further ones: the reply says so."""
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

    def _talk(
        self,
        process: subprocess.Popen[bytes],
        request: bytes | None,
        wait_seconds: float | None,
    ) -> Reply:
        if self.is_stopped:
            process.kill()
        is_left = False
        try:
            output, errors = process.communicate(
                request, self.max_seconds if wait_seconds is None else wait_seconds
            )
        except subprocess.TimeoutExpired:
            if wait_seconds is not None:
                is_left = True
                return Reply((), f"it has not finished in {wait_seconds:.3g} seconds", True)
            output = _end(process)
            return Reply(_values(output), f"it took longer than {self.max_seconds:g} seconds")
        except BaseException:
            _end(process)
            raise
        finally:
            if not is_left and self._process is process:
                self._process = None
        if self.is_stopped:
            return Reply((), _STOPPED)
        values = _values(output)
        has_answered = values and process.returncode == 0
        return Reply(values, "" if has_answered else how_it_ended(process.returncode, errors))


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """Kill a child, wait for its end and return what it wrote; the rest of the request is dropped."""
    process.kill()
    output, _ = process.communicate()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    return output


def _close_without_lock(stream: Any) -> None:
    """Close a pipe of the parent: while it is open here, a child waits for more of the request.

    `communicate` leaves nothing in the buffer, whose lock a thread of the parent may hold.
    """
    with suppress(OSError):
        stream.raw.close()


def _values(output: bytes) -> tuple[dict[str, Any], ...]:
    """Return the JSON objects that a child wrote; a line that is cut off is none."""
    found = []
    for line in output.splitlines():
        with suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return tuple(found)


def program_of(module: str) -> str:
    """Return the source of a child that runs ``main`` of a module."""
    return (
        f"import json, sys; sys.path += json.loads(sys.argv[1]); from {module} import main; main()"
    )


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
