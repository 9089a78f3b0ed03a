"""A progress bar for functions that report a count, and shares of a long analysis that is done.

A long analysis calls `reached` with the share of its work that is done; `part` nests analyses. That
costs next to nothing where nobody listens by `following`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from memlens._options import check_integer
from memlens._text import format_count, format_duration

__all__ = ("following", "part", "progress_bar", "reached")

_REFRESH_SECONDS = 0.1


@contextmanager
def progress_bar(
    description: str,
    total: int | None = None,
    *,
    unit: str = "rows",
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Show the progress of a long run; the context manager returns the function to report to.

    Use it with functions that take a ``progress`` function and call it with the count so far::

        with memlens.progress_bar("orders.csv") as progress:
            process_csv("orders.csv", "clean.csv", clean, progress=progress)

    ``total`` is the final count if it is known; without it the bar shows the count and the time.
    ``unit`` names what is counted. On a terminal rich draws a bar; otherwise one line is printed at
    the end, which keeps logs short. ``stream`` is stderr by default. Raises ``OptionError`` if
    ``total`` is not a whole number of at least 0.
    """
    if total is not None:
        check_integer("total", total, 0)
    target = sys.stderr if stream is None else stream
    shown = _Bar(target, description, total, unit, clock) if target.isatty() else _Line(target)
    started = clock()
    with shown as bar:
        try:
            yield bar.report
        finally:
            seconds = clock() - started
            bar.end(f"{description}: {_rate(bar.count, unit, seconds)}")


def _rate(count: int, unit: str, seconds: float) -> str:
    text = f"{format_count(count)} {unit} in {format_duration(seconds)}"
    return f"{text}, {format_count(round(count / seconds))} a second" if seconds > 0 else text


class _Line:
    """Progress without a terminal: counts, and prints one line at the end."""

    def __init__(self, stream: TextIO) -> None:
        self.count = 0
        self._stream = stream

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def report(self, count: int) -> None:
        self.count = count

    def end(self, text: str) -> None:
        print(text, file=self._stream)


class _Bar(_Line):
    """A progress bar drawn by rich."""

    def __init__(
        self,
        stream: TextIO,
        description: str,
        total: int | None,
        unit: str,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(stream)
        from rich import progress
        from rich.console import Console

        columns = [
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.TextColumn(f"{{task.completed:,.0f}} {unit}"),
            progress.TimeElapsedColumn(),
            *([] if total is None else [progress.TimeRemainingColumn()]),
        ]
        # Without a thread that redraws the bar: some programs count their threads.
        self._drawn = progress.Progress(
            *columns, console=Console(file=stream), transient=True, auto_refresh=False
        )
        self._clock = clock
        self._next_refresh = 0.0
        self._task = self._drawn.add_task(description, total=total)

    def __enter__(self) -> _Bar:
        self._drawn.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._drawn.stop()

    def report(self, count: int) -> None:
        super().report(count)
        now = self._clock()
        is_due = now >= self._next_refresh
        if is_due:
            self._next_refresh = now + _REFRESH_SECONDS
        self._drawn.update(self._task, completed=count, refresh=is_due)

    def end(self, text: str) -> None:
        self._drawn.stop()
        super().end(text)


class _Followed(threading.local):
    """Who listens to the analysis of this thread, and which part of the whole it is."""

    listener: Callable[[float], object] | None = None
    begin = 0.0
    end = 1.0


_followed = _Followed()


@contextmanager
def following(listener: Callable[[float], object]) -> Iterator[None]:
    """Within the block call ``listener`` with the share of the work that is done, from 0 to 1.

    It is called by this thread, for what this thread does, and must be quick.
    """
    before = _followed.listener, _followed.begin, _followed.end
    _followed.listener, _followed.begin, _followed.end = listener, 0.0, 1.0
    try:
        yield
    finally:
        _followed.listener, _followed.begin, _followed.end = before


@contextmanager
def part(begin: float, end: float) -> Iterator[None]:
    """Within the block the shares given to `reached` are of a part of the work around the block."""
    before = _followed.begin, _followed.end
    length = before[1] - before[0]
    _followed.begin = before[0] + length * begin
    _followed.end = before[0] + length * end
    try:
        yield
        reached(1.0)
    finally:
        _followed.begin, _followed.end = before


def reached(share: float) -> None:
    """Tell who follows that this share of the work is done, from 0 to 1."""
    if _followed.listener is not None:
        _followed.listener(_followed.begin + (_followed.end - _followed.begin) * share)
