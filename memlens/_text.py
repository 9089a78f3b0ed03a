"""Formatting of sizes, durations, counts and plain tables for the texts of all values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = (
    "PLAIN_WIDTH",
    "QUOTED",
    "columns",
    "format_bytes",
    "format_change",
    "format_count",
    "format_duration",
    "labelled",
    "middle_cut",
    "printable",
)

PLAIN_WIDTH = 100  # columns of plain text
QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""  # a text as `repr` shows it
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


def middle_cut(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` characters; ``...`` replaces a part of its middle."""
    if len(text) <= width:
        return text
    if width <= 3:
        return text[:width]
    head = (width - 3) // 2
    return f"{text[:head]}...{text[len(text) - (width - 3 - head) :]}"


def printable(text: str) -> str:
    r"""Return ``text`` with control characters, line breaks and lone surrogates escaped.

    A file name that is not UTF-8 has surrogates, which ``print`` cannot encode.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def columns(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[bool] | None = None,
    width: int = PLAIN_WIDTH,
    indent: str = "",
) -> str:
    """Return a plain table; no line is longer than ``width``.

    ``right`` says which columns are aligned to the right (by default all but the last). The last
    column takes the remaining width and is shortened in its middle if it does not fit. Control
    characters are escaped.
    """
    table = [list(headers), *(list(map(printable, row)) for row in rows)]
    count = len(headers)
    aligned_right = list(right) if right is not None else [True] * (count - 1) + [False]
    widths = [max(len(row[i]) for row in table) for i in range(count)]
    room = width - len(indent) - sum(widths[:-1]) - 2 * (count - 1)
    widths[-1] = max(min(widths[-1], room), 8)
    lines = []
    for row in table:
        cells = [
            middle_cut(cell, widths[i]).rjust(widths[i])
            if aligned_right[i]
            else middle_cut(cell, widths[i]).ljust(widths[i])
            for i, cell in enumerate(row)
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def labelled(label: str, text: str, *, label_width: int = 11, indent: str = "  ") -> str:
    """Return ``label  text`` wrapped to `PLAIN_WIDTH` columns, with a hanging indent."""
    import textwrap

    first = f"{indent}{label.ljust(label_width)}"
    return textwrap.fill(
        text,
        width=PLAIN_WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=True,
        break_on_hyphens=False,
    )
