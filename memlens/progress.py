"""A progress bar for what reports its progress as a count: lines read, rows processed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from memlens._text import format_count, format_duration
from memlens.errors import OptionError

__all__ = ("progress_bar",)


@contextmanager
def progress_bar(
    description: str,
    total: int | None = None,
    *,
    unit: str = "rows",
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Show how far a long run is; the value of the context is the function to report to.

    **Use it** with what takes a ``progress`` function and calls it with the count so far::

        with memlens.progress_bar("orders.csv") as progress:
            process_csv("orders.csv", "clean.csv", clean, progress=progress)

    ``total``: the count at the end, where it is known; without it the bar shows count and rate.
    On a terminal a bar drawn by rich; anywhere else one line at the end, so that logs stay short.
    ``stream`` is stderr by default. Raises ``OptionError`` for a negative total.
    """
    if total is not None and total < 0:
        raise OptionError(f"total is {total}: it must not be negative; leave it out if unknown")
    target = sys.stderr if stream is None else stream
    shown = _Bar(target, description, total, unit) if target.isatty() else _Line(target)
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
    """Where nobody watches: counts, and says it all at the end."""

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
    """A bar that rich draws."""

    def __init__(self, stream: TextIO, description: str, total: int | None, unit: str) -> None:
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
        self._drawn = progress.Progress(*columns, console=Console(file=stream), transient=True)
        self._task = self._drawn.add_task(description, total=total)

    def __enter__(self) -> _Bar:
        self._drawn.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._drawn.stop()

    def report(self, count: int) -> None:
        super().report(count)
        self._drawn.update(self._task, completed=count)

    def end(self, text: str) -> None:
        self._drawn.stop()
        super().end(text)
