"""The interfaces between triggers, the profiler that runs them, and the callback for files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from memlens._display import displayed
from memlens._text import format_bytes

__all__ = ("CaptureGuard", "Host", "Pace", "Trigger", "TriggeredFile")

Pace = Literal["run", "hold", "kill"]


@displayed
@dataclass(frozen=True, slots=True)
class TriggeredFile:
    """A finished file of a trigger, as ``on_file`` receives it.

    ``kind`` is ``"snapshot"`` (a ``.memlens`` file) or ``"report"`` (a leak report as JSON, with the
    text beside it as ``.txt``). ``reason`` says which trigger: ``"signal"``, ``"memory-error"``,
    ``"limit"``, ``"pressure"``, ``"exit"``, ``"schedule"`` or ``"alert"``, or that of a trigger of the
    program. ``pid`` is the process that the file is about. The folder keeps a bounded number of files:
    copy the file to keep it for longer.
    """

    path: str
    kind: str
    reason: str
    pid: int
    size_bytes: int

    def __repr__(self) -> str:
        return f"<TriggeredFile: {self.kind}, {format_bytes(self.size_bytes)}, {self.path}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


class CaptureGuard(Protocol):
    """Checks a forked capture while it runs, so that its memory does not end the process."""

    def refusal(self) -> str | None:
        """Return why no capture should begin now; None if it may."""

    def pace(self) -> Pace:
        """Return how to continue while the capture runs.

        ``"run"``: the program runs; ``"hold"``: its Python threads wait for most of the time;
        ``"kill"``: the capture is ended. Called every 30 milliseconds while the program runs, every 200
        while it is held.
        """


class Host(Protocol):
    """The profiler, as a trigger sees it. Nothing here raises for a snapshot that fails."""

    def fire(self, reason: str, *, min_seconds: float = 0.0) -> bool:
        """Request a snapshot from the worker thread; return at once. For signal handlers.

        ``reason`` becomes part of the file name: letters, digits, ``-`` and ``_``. Returns False, and
        requests nothing, if one was requested for this reason within ``min_seconds``, or one is
        waiting.
        """

    def fire_and_wait(
        self, reason: str, *, min_seconds: float = 0.0, guard: CaptureGuard | None = None
    ) -> bool:
        """Take a snapshot in this thread; return whether one was taken and stored.

        ``guard``: by default one by the memory that is left under the limits of this process.
        """

    def is_other_capturing(self) -> bool:
        """Return whether another process takes a snapshot into the same folder at a trigger."""

    def note_failure(self, what: str, error: BaseException) -> None:
        """Count a failure of a trigger, and log the first one of its kind."""


class Trigger(Protocol):
    """An event at which a profiler takes a snapshot. A class of the program may be a trigger, too."""

    def start(self, host: Host) -> None:
        """Start to wait for the event. Called again in a forked child, which has no other threads.

        An exception stops the triggers that have started, and is raised by `MemoryProfiler.start`.
        """

    def stop(self) -> None:
        """Stop waiting. Does nothing if not started."""
