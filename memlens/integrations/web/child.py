"""Reports and conversions in a process of their own, so that other requests do not wait for them."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from memlens.errors import CaptureError
from memlens.integrations.web.making import FUNCTIONS
from memlens.integrations.web.stopping import Stopper
from memlens.profiler.child_process import bytes_for, how_it_ended, import_path, why_no_child

__all__ = ("main", "make_file")

_MAX_SECONDS = 600.0
_PROGRAM = (
    "import json, sys; sys.path += json.loads(sys.argv[1]);"
    " from memlens.integrations.web.child import main; main()"
)


def make_file(
    stopper: Stopper,
    name: str,
    value: object,
    files: Sequence[str],
    path: str,
    descriptors: Sequence[int] = (),
) -> None:
    """Write to ``path`` what the function ``name`` of `making` makes of a value.

    In another process with low priority, bounded memory and time. ``files``: the snapshots that it
    reads, for that bound. ``descriptors``: open files that it inherits. Where no Python can be started,
    in this process. Raises ``CaptureError`` if the process fails, `WorkStoppedError` after a stop.
    """
    if why_no_child(sys.executable):
        FUNCTIONS[name](value, path)
        return
    request = {
        "max_bytes": bytes_for([files]),
        "max_seconds": _MAX_SECONDS,
        "name": name,
        "path": path,
        "parent": os.getpid(),
        "value": base64.b64encode(pickle.dumps(value)).decode("ascii"),
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _PROGRAM, json.dumps(import_path())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the server
        pass_fds=descriptors,
    )
    try:
        with stopper.stopped_by(process.kill):
            output, errors = process.communicate(json.dumps(request).encode(), _MAX_SECONDS)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    try:
        failure = json.loads(output)["failure"]
    except (ValueError, TypeError, KeyError):
        failure = how_it_ended(process.returncode, errors)
    if failure:
        raise CaptureError(f"the report could not be made: {failure}")


def main() -> None:
    """Answer a request of `make_file` on standard input."""
    from memlens.profiler.answering import answer_request

    answer_request(_answer)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    # Our own parent has written this value, over a pipe that nobody else can open.
    value = pickle.loads(base64.b64decode(request["value"]))
    path = request["path"]
    FUNCTIONS[request["name"]](value, path)
    if os.getppid() != request["parent"]:  # it was killed, so nobody else deletes the file
        os.unlink(path)
    return {"failure": ""}
