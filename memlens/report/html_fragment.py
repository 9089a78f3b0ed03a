"""HTML of values for notebooks: a small piece without scripts, for light and dark themes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import singledispatch
from html import escape

from memlens._rows import Rows
from memlens._text import format_bytes, format_count, printable
from memlens.allocations.blocks.result import BlockResult
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import LeakSuspect

__all__ = ("fragment",)

_SHOWN = 20  # rows of a table
_BORDER = "1px solid rgba(128,128,128,.45)"  # is seen on light and on dark pages
_STYLES = {
    "table": f"border-collapse:collapse;margin:.4em 0;border:{_BORDER}",
    "cell": f"padding:.15em .7em;border-bottom:{_BORDER};vertical-align:top;",
    "card": f"border:{_BORDER};border-left:.3em solid #c0392b;padding:.4em .9em;margin:.6em 0",
    "text": "white-space:pre-wrap;margin:.4em 0",
    "code": "font-family:monospace;overflow-wrap:anywhere",
}
_RANKED = re.compile(r"\d+\. ")


@singledispatch
def fragment(value: object) -> str | None:
    """Return a value as HTML for notebooks; None for a value that is best shown as text.

    All texts are escaped: names and keys of the program may contain anything.
    """
    return None


@fragment.register
def _(value: Rows) -> str:  # type: ignore[type-arg]
    return _framed(_rows(value))


@fragment.register
def _(value: HeapSnapshot) -> str:
    return _framed(_rows(value.summary()))


@fragment.register
def _(value: LeakSuspect) -> str:
    return _framed(_card(value, ""))


@fragment.register
def _(value: LeakReport) -> str:
    suspects = enumerate(value.suspects, 1)
    parts = []
    for block in str(value).split("\n\n"):
        is_suspect = _RANKED.match(block) is not None
        rank, suspect = next(suspects, (0, None)) if is_suspect else (0, None)
        parts.append(_paragraph(block) if suspect is None else _card(suspect, f"{rank}. "))
    return _framed("".join(parts))


@fragment.register
def _(value: AllocationProfile) -> str:
    rows = [
        (
            format_bytes(row.live_bytes),
            f"± {format_bytes(row.live_bytes_stderr)}{'' if row.is_reliable else ' ?'}",
            format_count(round(row.live_count)),
            "" if row.allocated_bytes is None else format_bytes(row.allocated_bytes),
            "\n".join(map(str, reversed(row.call_path))),
        )
        for row in value.top(_SHOWN)
    ]
    headers = ("live", "", "blocks", "allocated", "call path (innermost first)")
    hidden = len(value.by_call_path()) - len(rows)
    return _framed(_paragraph(value.headline()) + _table(headers, rows, _numbers_first, hidden))


@fragment.register
def _(value: BlockResult) -> str:
    headline, *_ = str(value._replace(lines=())).split("\n  note: ")
    notes = "".join(_paragraph(f"note: {note}") for note in value.notes)
    table = (
        _table(("growth", "new blocks", "where"), value.cells(), _numbers_first)
        if value.lines
        else ""
    )
    return _framed(_paragraph(headline) + table + notes)


def _framed(content: str) -> str:
    return f'<div class="memlens">{content}</div>'


def _text(text: str) -> str:
    """Return text for HTML; line breaks stay, other control characters are escaped."""
    return escape("\n".join(map(printable, text.split("\n"))))


def _paragraph(text: str) -> str:
    return f'<div style="{_STYLES["text"]}">{_text(text)}</div>'


def _rows(rows: Rows) -> str:  # type: ignore[type-arg]
    title = _paragraph(rows.title) if rows.title else ""
    right = rows.aligned_right
    align = _numbers_first if right is None else lambda at, _: right[at]
    return title + _table(rows.headers, rows.cells(_SHOWN), align, rows.hidden_count(_SHOWN))


def _numbers_first(at: int, count: int) -> bool:
    """Tell whether a column of ``count`` is aligned to the right: all but the last."""
    return at < count - 1


def _table(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    is_right: Callable[[int, int], bool],
    hidden: int = 0,
) -> str:
    lines = [_line("th", headers, is_right), *(_line("td", row, is_right) for row in rows)]
    if hidden > 0:
        note = _text(f"... and {format_count(hidden)} more")
        lines.append(f'<tr><td colspan="{len(headers)}" style="{_STYLES["cell"]}">{note}</td></tr>')
    return f'<table style="{_STYLES["table"]}">{"".join(lines)}</table>'


def _line(tag: str, cells: Sequence[str], is_right: Callable[[int, int], bool]) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    found = []
    for at, cell in enumerate(cells):
        align = "right" if is_right(at, len(cells)) else "left"
        style = f"{_STYLES['cell']}text-align:{align};white-space:pre-wrap"
        if at == len(cells) - 1 and tag == "td":
            style += f";{_STYLES['code']}"
        found.append(f'<{tag}{scope} style="{style}">{_text(cell)}</{tag}>')
    return f"<tr>{''.join(found)}</tr>"


def _card(suspect: LeakSuspect, lead: str) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;padding-right:1em;vertical-align:top;'
        f'white-space:nowrap">{_text(label)}</th>'
        f'<td style="text-align:left;{_STYLES["code"]}">{_text(text)}</td></tr>'
        for label, text in suspect.fields()
    )
    heading = f"<strong>{_text(lead + suspect.headline())}</strong>"
    return f'<div style="{_STYLES["card"]}">{heading}<table>{rows}</table></div>'
