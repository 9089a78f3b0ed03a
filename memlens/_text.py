"""Formatting of sizes, durations, counts and wrapped lines for the texts of all values."""

from __future__ import annotations

import os
import re
import sys
from bisect import bisect_left
from collections.abc import Iterator

__all__ = (
    "PLAIN_WIDTH",
    "QUOTED",
    "counted",
    "end_cut",
    "fitted",
    "format_bytes",
    "format_change",
    "format_count",
    "format_duration",
    "labelled",
    "middle_cut",
    "printable",
    "text_width",
    "wrapped",
)

PLAIN_WIDTH = 100  # columns of a text that is not for a terminal
_MIN_WIDTH, _MAX_WIDTH = 40, 160
QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""  # a text as `repr` shows it
# Where a path or a long name is divided best, and where it may be.
_BEST_BREAKS = re.compile(r"(?<=[/\\.,:(\[\s])(?=\S)")
_BREAKS = re.compile(r"(?<=[/\\._,:(\[\s])(?=\S)|(?<=[a-z0-9])(?=[A-Z])")
_CALLERS = " <- "  # between the frames of a call path in one line
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_bytes(size_bytes: float) -> str:
    """Return a size in binary units with three significant digits: ``1.46 MiB``, ``512 B``."""
    value = abs(float(size_bytes))
    unit = 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    if unit == 0:
        digits = f"{value:.0f}"
    else:
        digits = (
            f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
        )
    sign = "-" if size_bytes < 0 and float(digits) else ""
    return f"{sign}{digits} {_UNITS[unit]}"


def format_change(size_bytes: float) -> str:
    """Return a size with its sign: ``+1.46 MiB``, ``-512 B``, ``0 B``."""
    return ("+" if size_bytes > 0 else "") + format_bytes(size_bytes)


def format_count(count: int) -> str:
    """Return a number with thousands separated: ``1,234,567``."""
    return f"{count:,}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 host``, ``1,204 hosts``. ``plural``: if not with an s."""
    return f"{format_count(count)} {noun if count == 1 else plural or f'{noun}s'}"


def format_duration(seconds: float) -> str:
    """Return a time span in a suitable unit: ``3.2 ms``, ``4 min 10 s``, ``2 h 5 min``."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.1f} {unit}"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def text_width() -> int:
    """Return how many columns a text may have: 40 to 160.

    That is ``COLUMNS`` of the environment, else the width of the terminal that ``sys.stdout`` is,
    else `PLAIN_WIDTH`: in a pipe, a file, a notebook.
    """
    try:
        found = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        found = _terminal_width()
    return min(max(found, _MIN_WIDTH), _MAX_WIDTH) if found > 0 else PLAIN_WIDTH


def _terminal_width() -> int:
    """Return the columns of the terminal; 0 if ``sys.stdout`` is none or does not know."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (AttributeError, ValueError, OSError):  # None, closed, or replaced by another object
        return 0


def middle_cut(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` characters; ``...`` replaces a part of its middle.

    It is cut at separators of words, paths and names, unless the last name is too long by itself. Of a
    call path (``f (a.py:1) <- g (b.py:2)``) the outer calls are dropped instead: a cut across two
    calls would join a function to the file of another.
    """
    if len(text) <= width:
        return text
    if _CALLERS in text:
        return _without_outer_calls(text.split(_CALLERS), width)
    if width <= 3:
        return text[:width]
    room = width - 3
    head, tail = _whole_ends(text, room) or (room // 2, len(text) - (room - room // 2))
    return f"{text[:head].rstrip()}...{text[tail:]}"


def _without_outer_calls(calls: list[str], width: int) -> str:
    """Return the first calls that fit, with ``...`` for the others; at least a part of the first."""
    end = f"{_CALLERS}..."
    while len(calls) > 1 and (calls[-1] == "..." or len(_CALLERS.join(calls)) + len(end) > width):
        calls.pop()
    line = _CALLERS.join(calls) + end
    return line if len(line) <= width else middle_cut(calls[0], width)


def end_cut(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` characters; ``...`` replaces its end, as of source text."""
    if len(text) <= width:
        return text
    return text[:width] if width <= 3 else f"{text[: width - 3].rstrip()}..."


def _whole_ends(text: str, room: int) -> tuple[int, int] | None:
    """Return where the beginning that is kept ends and where the end that is kept starts.

    Both are separators, and together they are at most ``room`` characters. None if there are none.
    """
    length = len(text)
    breaks = [0, *(match.start() for match in _BREAKS.finditer(text))]
    # A path goes on with its separator: ".../name.py".
    tails = [at - (text[at - 1] in "/\\") for at in breaks[1:] if length - at <= room]
    found: tuple[int, int, int] | None = None
    for head in (at for at in breaks if at < room):
        place = bisect_left(tails, length - (room - head))
        if place < len(tails):
            kept = length - tails[place]
            # Neither end may be tiny, and the end of a name tells more than its beginning.
            score = head + kept + 2 * (min(kept, 2 * room // 3) + min(head, room // 6))
            found = max(found or (0, 0, 0), (score, head, tails[place]))
    return found and found[1:]


def printable(text: str) -> str:
    r"""Return ``text`` with control characters, line breaks and lone surrogates escaped.

    A file name that is not UTF-8 has surrogates, which ``print`` cannot encode.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def wrapped(text: str, width: int, *, first: str = "", following: str = "") -> list[str]:
    """Return the lines of a text, divided between words, each of at most ``width`` columns.

    ``first`` and ``following`` begin the first line and the others. A word that is longer than a
    line is divided after a dot, a slash or the like, and anywhere if it has none.
    """
    lines, line, is_empty = [], first, True
    room = max(width - max(len(first), len(following)), 8)
    for part, glue in _parts(text, room):
        if not is_empty and len(line) + len(glue) + len(part) > width:
            lines.append(line)
            line, is_empty = following, True
        line += part if is_empty else glue + part
        is_empty = False
    return [*lines, line]


def _parts(text: str, room: int) -> Iterator[tuple[str, str]]:
    """Yield the words of a text, those longer than ``room`` in parts, and what goes before each."""
    for word in text.split():
        glue = " "
        while len(word) > room:
            end = _last_break(word, room)
            yield word[:end], glue
            word, glue = word[end:], ""
        yield word, glue


def _last_break(word: str, room: int) -> int:
    """Return where to divide a long word: at most ``room``, and not too early."""
    for breaks in (_BEST_BREAKS, _BREAKS):
        end = max((match.start() for match in breaks.finditer(word, 0, room + 1)), default=0)
        if end * 3 >= room:
            return end
    return room


def fitted(text: str, width: int | None = None) -> str:
    """Return a text of several lines; those longer than ``width`` are wrapped with an indent."""
    width = width or text_width()
    lines = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        is_long = len(line) > width
        lines += wrapped(line, width, first=indent, following=f"{indent}  ") if is_long else [line]
    return "\n".join(lines)


def labelled(
    label: str, text: str, *, label_width: int = 11, indent: str = "  ", width: int | None = None
) -> str:
    """Return ``label  text`` wrapped with a hanging indent, by default to `text_width`."""
    first = f"{indent}{label.ljust(label_width)}"
    return "\n".join(wrapped(text, width or text_width(), first=first, following=" " * len(first)))
