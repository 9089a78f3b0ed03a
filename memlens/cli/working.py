"""Commands that compute for long: a bar with the remaining time, and Ctrl-C that ends them at once.

The command runs in a thread, and the main thread waits for it. So Python handles Ctrl-C also while
the command computes in C, and the bar is drawn meanwhile. What the command prints is printed by the
main thread when the command has ended, and the bar with it.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable

from memlens._text import format_duration
from memlens.progress import following

__all__ = ("Estimate", "print_at_end", "run_with_progress")

_QUIET_SECONDS = 1.0  # shorter commands show no bar
_REDRAW_SECONDS = 0.1
_MIN_SHARE = 0.02  # of the work, before which the time that remains is not estimated

_printing: contextvars.ContextVar[list[Callable[[], object]] | None] = contextvars.ContextVar(
    "memlens_printing", default=None
)


class Estimate:
    """How much of the work is done and how long the rest will take, from the shares reported."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self.share = 0.0
        self._total_seconds: float | None = None

    def reach(self, share: float) -> None:
        """Take the share of the work that is done, from 0 to 1; it never falls."""
        if share > self.share:
            self.share = share
            if share >= _MIN_SHARE:
                self._total_seconds = (self._clock() - self._started) / share

    @property
    def elapsed_seconds(self) -> float:
        """The time since the start."""
        return self._clock() - self._started

    @property
    def remaining_seconds(self) -> float | None:
        """The time until the end, by the speed so far; None while that is not known."""
        if self._total_seconds is None:
            return None
        return max(0.0, self._total_seconds - self.elapsed_seconds)

    def text(self) -> str:
        """Return ``12.0 s, about 5.0 s left``, or the elapsed time only."""
        text = format_duration(self.elapsed_seconds)
        left = self.remaining_seconds
        return f"{text}, about {format_duration(round(left))} left" if left and left >= 1 else text


def print_at_end(show: Callable[[], object]) -> None:
    """Call ``show`` in the main thread when the command has ended; at once outside a command."""
    waiting = _printing.get()
    if waiting is None:
        show()
    else:
        waiting.append(show)


def run_with_progress(command: Callable[[], int], what: str) -> int:
    """Run a command in a thread and return its exit code; its exception is raised here.

    On a terminal stderr shows a bar after one second, with ``what`` beside it. KeyboardInterrupt
    leaves the thread behind: the caller has to end the process.
    """
    estimate, work = Estimate(), _Work(command)
    thread = threading.Thread(
        target=lambda: work.run(estimate), name="memlens-command", daemon=True
    )
    thread.start()
    if not work.ended.wait(_QUIET_SECONDS):
        _wait(work.ended, estimate, what)
    if work.error is not None:
        raise work.error
    for show in work.waiting:
        show()
    return work.code


class _Work:
    """A command in its thread, and what it leaves."""

    def __init__(self, command: Callable[[], int]) -> None:
        self._command = command
        self.code = 0
        self.error: BaseException | None = None
        self.waiting: list[Callable[[], object]] = []
        self.ended = threading.Event()

    def run(self, estimate: Estimate) -> None:
        _printing.set(self.waiting)
        try:
            with following(estimate.reach):
                self.code = self._command()
        except BaseException as error:  # noqa: BLE001 - it is raised in the main thread
            self.error = error
        finally:
            self.ended.set()


def _wait(ended: threading.Event, estimate: Estimate, what: str) -> None:
    """Wait for the end; on a terminal draw a bar."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        ended.wait()
        return
    from rich import progress
    from rich.console import Console

    drawn = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.TextColumn("{task.fields[time]}"),
        console=Console(file=sys.stderr),
        transient=True,
        auto_refresh=False,
        expand=False,
    )
    with drawn:
        task = drawn.add_task(f"memlens {what}", total=None, time="")
        while not ended.wait(_REDRAW_SECONDS):
            total = 1.0 if estimate.share else None
            drawn.update(
                task, total=total, completed=estimate.share, time=estimate.text(), refresh=True
            )
