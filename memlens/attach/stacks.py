"""The stacks of a running process as a value: threads, and suspended asyncio tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memlens._display import displayed
from memlens._frame import Frame
from memlens._text import format_count, printable
from memlens.attach.received import malformed

__all__ = ("ProcessStacks", "Stack")


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a thread or a task stands: ``frames``, the innermost last.

    ``kind``: ``"thread"`` or ``"task"``. ``detail``: the coroutine of a task and the type of what
    it awaits; of a thread, its number in the system.
    """

    kind: str
    name: str
    detail: str
    frames: tuple[Frame, ...]

    def __str__(self) -> str:
        head = f"{self.kind} {self.name}" + (f" ({self.detail})" if self.detail else "")
        lines = [f"  {frame.file}:{frame.line} in {frame.function}" for frame in self.frames]
        return "\n".join(map(printable, [head, *(lines or ["  no Python frame"])]))

    def to_dict(self) -> dict[str, Any]:
        """Return the stack as JSON-ready values."""
        return {
            "kind": self.kind,
            "name": self.name,
            "detail": self.detail,
            "frames": [
                {"function": frame.function, "file": frame.file, "line": frame.line}
                for frame in self.frames
            ],
        }


@displayed
@dataclass(frozen=True, slots=True, repr=False)
class ProcessStacks:
    """The stacks of all threads of a process, then those of its suspended asyncio tasks."""

    pid: int
    stacks: tuple[Stack, ...]

    @classmethod
    def of(cls, pid: int, found: Mapping[str, Any]) -> ProcessStacks:
        """Return the value for what `live_stacks` found in a process.

        Raises ``AttachError`` for what is nothing that it finds.
        """
        try:
            threads = [
                Stack("thread", str(row["name"]), _thread_detail(row), _frames(row))
                for row in found["threads"]
            ]
            tasks = [
                Stack("task", str(row["name"]), _task_detail(row), _frames(row))
                for row in found["tasks"]
            ]
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise malformed(pid) from error
        return cls(pid, (*threads, *tasks))

    def __repr__(self) -> str:
        return f"<ProcessStacks: process {self.pid}, {len(self.stacks)} stacks>"

    def __str__(self) -> str:
        kinds = [stack.kind for stack in self.stacks]
        head = (
            f"Process {self.pid}: {_count(kinds.count('thread'), 'thread')},"
            f" {_count(kinds.count('task'), 'suspended asyncio task')}"
        )
        return "\n\n".join([head, *map(str, self.stacks)])

    def to_dict(self) -> dict[str, Any]:
        """Return the stacks as JSON-ready values."""
        return {"pid": self.pid, "stacks": [stack.to_dict() for stack in self.stacks]}


def _count(number: int, what: str) -> str:
    return f"{format_count(number)} {what}{'' if number == 1 else 's'}"


def _thread_detail(row: Mapping[str, Any]) -> str:
    words = ["" if row["id"] is None else str(row["id"]), "daemon" if row["daemon"] else ""]
    return ", ".join(word for word in words if word)


def _task_detail(row: Mapping[str, Any]) -> str:
    awaits = f", awaits {row['waits_for']}" if row["waits_for"] else ""
    return f"{row['coroutine']}(){awaits}"


def _frames(row: Mapping[str, Any]) -> tuple[Frame, ...]:
    return tuple(Frame(str(f["function"]), str(f["file"]), int(f["line"])) for f in row["frames"])
