"""Answers of tools: JSON that never exceeds a budget of tokens, in pages that add up to the whole.

An answer has a head (facts), rows, and hints about what to ask next. A page is one line of JSON::

    {"verdict": "leak", ..., "suspects": [...], "total_count": 31, "next_cursor": "12.9f3c...",
     "hints": ["explain_suspect ..."]}

Later pages have no head and no hints. ``next_cursor`` is null on the last page. A head or a row that
does not fit is shortened: texts are cut in the middle, long lists at their end, and it gets the
member ``"shortened": true``. The number of tokens is estimated from the bytes of the JSON, at
`BYTES_PER_TOKEN`, which is less than tokenizers make of names, paths and numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from memlens._text import middle_cut, printable
from memlens.errors import OptionError

__all__ = (
    "BYTES_PER_TOKEN",
    "DEFAULT_TOKENS",
    "MAX_TOKENS",
    "MIN_TOKENS",
    "Answer",
    "error_text",
    "page_text",
)

BYTES_PER_TOKEN = 2.5
MIN_TOKENS = 200
DEFAULT_TOKENS = 2000
MAX_TOKENS = 20_000

_HEAD_SHARE = 0.6  # of a page, at most, where there are rows
_DIGEST_BYTES = 5
# Characters of a text and items of a list, from the longest that is tried to the shortest.
_LEVELS = ((1000, 100), (400, 40), (160, 20), (80, 8), (40, 4), (20, 2), (8, 1), (4, 0))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool found: ``head`` is on the first page, ``rows`` are paged under ``rows_name``.

    ``total_count`` is the number of rows that exist, where that is more than those listed. ``hints``
    name the tools to call next. All values are JSON-ready.
    """

    head: Mapping[str, Any]
    rows_name: str
    rows: Sequence[Mapping[str, Any]] = ()
    hints: tuple[str, ...] = ()
    total_count: int | None = None


def page_text(answer: Answer, max_tokens: int, question: str, cursor: str | None = None) -> str:
    """Return one page of an answer as JSON of at most ``max_tokens`` tokens.

    ``question`` identifies what was asked. Raises ``OptionError`` for a cursor of another question,
    or of an answer that has changed since.
    """
    room = math.floor(max_tokens * BYTES_PER_TOKEN)
    rows = [_plain(row) for row in answer.rows]
    start = 0 if cursor is None else _start(cursor, question, rows)
    ending = _ending(answer, len(rows), _widest_cursor(len(rows)))
    head: dict[str, Any] = {}
    if cursor is None:
        head_room = math.floor(room * _HEAD_SHARE) if rows else room
        head, ending["hints"] = _fitted_head(answer, head_room - _size(ending))
    shown = _rows_that_fit(rows[start:], room - _size({**head, **ending}))
    end = start + len(shown)
    ending[answer.rows_name] = shown
    ending["next_cursor"] = None if end >= len(rows) else _cursor(end, question, rows)
    return _encoded({**head, **ending})


def error_text(text: str, max_tokens: int) -> str:
    """Return an error as JSON of at most ``max_tokens`` tokens: ``{"error": ...}``."""
    room = math.floor(max_tokens * BYTES_PER_TOKEN)
    error = _plain({"error": text})
    fitting = (one for one in (error, *_shorter(error)) if _size(one) <= room)
    return _encoded(next(fitting, {"shortened": True}))


def _ending(answer: Answer, listed_count: int, cursor: str) -> dict[str, Any]:
    """Return what follows the head, without rows and hints yet."""
    total = listed_count if answer.total_count is None else answer.total_count
    listed = {"listed_count": listed_count} if total > listed_count else {}
    return {answer.rows_name: [], "total_count": total, **listed, "next_cursor": cursor}


# -- fitting -----------------------------------------------------------------------------------------


def _fitted_head(answer: Answer, room: int) -> tuple[dict[str, Any], list[str]]:
    """Return the head and the hints in at most ``room`` bytes; hints are left out first."""
    head = _plain(answer.head)
    hints = [printable(hint) for hint in answer.hints]
    for candidate in (head, *_shorter(head)):
        for kept in (hints, []):
            if _size({**candidate, "hints": kept}) <= room:
                return candidate, kept
    return {"shortened": True}, []


def _rows_that_fit(rows: Sequence[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """Return the first rows that fit into ``room`` bytes; at least one, shortened if it must be."""
    shown: list[dict[str, Any]] = []
    for row in rows:
        room -= _size(row) + 1  # a comma
        if room < 0:
            break
        shown.append(row)
    if rows and not shown:
        room += _size(rows[0])
        shown = [
            next((row for row in _shorter(rows[0]) if _size(row) <= room), {"shortened": True})
        ]
    return shown


def _shorter(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for characters, items in _LEVELS:
        yield {**_cut(value, characters, items), "shortened": True}


def _cut(value: Any, characters: int, items: int) -> Any:
    if isinstance(value, str):
        return middle_cut(value, characters)
    if isinstance(value, list):
        return [_cut(item, characters, items) for item in value[:items]]
    if isinstance(value, dict):
        return {name: _cut(item, characters, items) for name, item in value.items()}
    return value


# -- cursors -----------------------------------------------------------------------------------------


def _cursor(start: int, question: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return the mark of a place in an answer; it depends on the question and on all rows before."""
    digest = blake2b(question.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES)
    digest.update(_encoded(rows[:start]).encode())
    return f"{start}.{digest.hexdigest()}"


def _widest_cursor(count: int) -> str:
    return f"{count}.{'0' * 2 * _DIGEST_BYTES}"


def _start(cursor: str, question: str, rows: Sequence[dict[str, Any]]) -> int:
    number = cursor.partition(".")[0]
    start = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0
    if not 0 < start < len(rows) or cursor != _cursor(start, question, rows):
        raise OptionError(
            "the cursor is of another question, or the files have changed since: ask again without it"
        )
    return start


# -- JSON --------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Return a value that every JSON reader takes: no NaN, no lone surrogates."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {printable(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _encoded(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _size(value: Any) -> int:
    return len(_encoded(value).encode())
