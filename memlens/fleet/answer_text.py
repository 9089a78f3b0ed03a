"""The text of an answer: its sentence, a table that fits the terminal, its notes."""

from __future__ import annotations

import time
from typing import Any

from memlens._table import columns
from memlens._text import (
    fitted,
    format_bytes,
    format_change,
    format_count,
    format_duration,
    labelled,
)
from memlens.fleet.answers import Answer, AnswerColumn

__all__ = ("answer_text", "value_text")

_MAX_COLUMNS = 7
_NUMBERS = ("count", "bytes", "bytes per hour", "share", "seconds", "number")


def answer_text(answer: Answer, limit: int) -> str:
    """Return an answer as text, with up to ``limit`` rows of its table."""
    parts = [fitted(f"{answer.title}: {answer.sentence}")]
    if answer.rows:
        parts.append(_table(answer, limit))
    parts += [labelled("  note", note, label_width=7, indent="") for note in answer.notes]
    return "\n".join(parts)


def _table(answer: Answer, limit: int) -> str:
    """Return the rows; the sentences of the first one, what to do, stand below the table."""
    shown = answer.columns[:_MAX_COLUMNS]
    rows = [
        [value_text(value, column) for value, column in zip(row, shown, strict=False)]
        for row in answer.rows[:limit]
    ]
    table = columns(
        [column.title for column in shown],
        rows,
        right=[column.unit in _NUMBERS for column in shown],
        indent="  ",
    )
    lines = [table]
    if answer.row_count > len(rows):
        lines.append(f"  ... and {format_count(answer.row_count - len(rows))} more")
    lines += [
        labelled(f"  {column.title}", value_text(value, column), label_width=16, indent="")
        for value, column in list(zip(answer.rows[0], answer.columns, strict=True))[_MAX_COLUMNS:]
        if value is not None
    ]
    return "\n".join(lines)


def value_text(value: Any, column: AnswerColumn) -> str:
    """Return a value of a column for people; a value that is unknown is empty."""
    if value is None:
        return ""
    unit = column.unit
    if unit == "bytes":
        return format_change(value) if column.name.startswith("change") else format_bytes(value)
    if unit == "bytes per hour":
        return f"{format_change(value)}/h"
    if unit == "share":
        return f"{value:+.1%}" if column.name.startswith("change") else f"{value:.1%}"
    if unit == "seconds":
        return format_duration(value)
    if unit == "time":
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(value)) + " UTC"
    if unit == "count":
        return format_count(round(value))
    return f"{value:.2g}" if unit == "number" else str(value)
