"""What a process answers to a request, checked: it may be of another user, or damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from memlens._text import printable
from memlens.errors import AttachError

__all__ = ("answer_in", "check_answer", "malformed", "notes_in")


def answer_in(line: bytes | str, pid: int) -> dict[str, Any]:
    """Return the answer in a line of JSON.

    Raises ``AttachError`` if the process answers that it could not do what was asked, ``ValueError``
    for what is no answer.
    """
    try:
        found = json.loads(line)
        error, answer = found.get("error"), found.get("answer")
    except (AttributeError, RecursionError) as failure:
        raise ValueError(f"it is no answer: {type(failure).__name__}") from failure
    if not isinstance(answer, dict):
        raise AttachError(f"process {pid}: {printable(str(error))}")
    return answer


def malformed(pid: int) -> AttachError:
    """Return the error for an answer that lacks what it must have."""
    return AttachError(
        f"process {pid} has sent a malformed answer; does it run another version of memlens?"
    )


def notes_in(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the user should know."""
    notes = answer.get("notes", ())
    return tuple(str(note) for note in notes) if isinstance(notes, (list, tuple)) else ()


def check_answer(command: str, answer: Mapping[str, Any], pid: int) -> None:
    """Raise ``AttachError`` for an answer without what the command needs, as of `ProcessStacks`."""
    if not all(_has(answer.get(name), kind) for name, kind in _NEEDED.get(command, {}).items()):
        raise malformed(pid)


_NEEDED = {
    "dump": {"object_count": "number", "pause_seconds": "number"},
    "attach": {"output_dir": "path", "was_running": "boolean"},
    "stop": {"output_dir": "path"},
    "snapshot": {"snapshots": "paths"},
}


def _has(value: Any, kind: str) -> bool:
    if kind == "number":
        return type(value) in (int, float) and 0 <= value < 1 << 63
    if kind == "boolean":
        return type(value) is bool
    paths = value if kind == "paths" else [value]
    return isinstance(paths, list) and all(
        isinstance(path, str) and path != "" and "\0" not in path for path in paths
    )
