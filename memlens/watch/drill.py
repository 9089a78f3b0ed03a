"""The largest objects of a holder, found in a process of its own: the screen never waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from memlens._package import PACKAGE_FOLDER
from memlens.leaks.suspects import LeakSuspect

__all__ = ("Detail", "Drill")

_MAX_SECONDS = 120.0
_SPARE_SECONDS = 5.0  # the process ends by itself before
_BASE_BYTES = 1 << 30  # of address space: the interpreter and its libraries
_TIMES_FILE = 4
_PROGRAM = (
    "import sys; sys.path[:0] = [sys.argv[1]]; from memlens.watch.drill_child import main; main()"
)
_MAX_ERROR = 300


@dataclass(frozen=True, slots=True)
class Detail:
    """The largest objects that a holder retains, and further paths to it, as lines of text.

    ``failure`` says why there is nothing else; else it is empty.
    """

    objects: tuple[tuple[str, str], ...] = ()  # retained size, reference and type
    paths: tuple[str, ...] = ()
    failure: str = ""


class Drill:
    """Opens one snapshot at a time for a worker thread; `stop` may be called from any thread."""

    def __init__(self, max_seconds: float = _MAX_SECONDS) -> None:
        self._max_seconds = max_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def look_into(self, path: str, suspect: LeakSuspect, limit: int = 20) -> Detail:
        """Open the snapshot file that a suspect was found in; return the details of its holder.

        Never raises for what happens in the other process: the result says it.
        """
        request = {
            "path": path,
            "holder": suspect.holder,
            "type": suspect.holder_type,
            "node": suspect.path.hops[-1].node if suspect.path.hops else -1,
            "limit": limit,
            "max_bytes": _BASE_BYTES + _TIMES_FILE * _size(path),
            "max_seconds": self._max_seconds,
        }
        root = os.path.dirname(PACKAGE_FOLDER.rstrip(os.sep))
        try:
            self._process = process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, root],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the screen
            )
        except OSError as error:
            return Detail(failure=f"no process can be started: {error}")
        try:
            return self._talk(process, json.dumps(request).encode())
        finally:
            self._process = None

    def stop(self) -> None:
        """End the process that is running and start no other one that lasts."""
        self._is_stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def _talk(self, process: subprocess.Popen[bytes], request: bytes) -> Detail:
        if self._is_stopped:
            process.kill()
        try:
            output, errors = process.communicate(request, self._max_seconds + _SPARE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Detail(failure=f"it took longer than {self._max_seconds:g} seconds")
        try:
            return _read(json.loads(output))
        except (ValueError, TypeError, KeyError):
            last = errors.decode("utf-8", "replace").strip().splitlines()[-1:]
            text = "".join(last)[:_MAX_ERROR]
            return Detail(failure=f"its process ended with {process.returncode}: {text}")


def _read(answer: dict[str, Any]) -> Detail:
    if "failure" in answer:
        return Detail(failure=answer["failure"])
    objects = tuple((str(size), str(text)) for size, text in answer["objects"])
    return Detail(objects, tuple(map(str, answer["paths"])))


def _size(path: str) -> int:
    with suppress(OSError):  # deleted meanwhile: the other process says so
        return os.path.getsize(path)
    return 0
