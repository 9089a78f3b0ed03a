"""How much a report may show, and texts and numbers as the data document has them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite

from memlens._text import middle_cut, printable

__all__ = ("Limits", "Texts", "cut_text", "finite")

MAX_TEXT = 300  # characters of a name or a path; names of user code can be of any length


@dataclass(frozen=True, slots=True)
class Limits:
    """The most nodes of a picture, rows of a table, points and marks of the timeline."""

    nodes: int = 20_000
    rows: int = 1_000
    points: int = 2_000
    marks: int = 500
    text: int = MAX_TEXT

    def halved(self) -> Limits:
        """Return limits for a document of about half the size."""
        nodes, rows = max(self.nodes // 2, 50), max(self.rows // 2, 20)
        return replace(self, nodes=nodes, rows=rows, text=max(self.text // 2, 60))


def cut_text(text: object, limit: int = MAX_TEXT) -> str:
    """Return a text for the document: printable, at most ``limit`` characters."""
    whole = str(text)
    return printable(middle_cut(whole, limit)) if len(whole) > limit else printable(whole)


def finite(number: object) -> int | float | None:
    """Return a number that JSON has; None for anything else, such as infinity."""
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    return number if isfinite(number) else None


class Texts:
    """Numbers texts in the order in which they come: a column of names that repeat."""

    def __init__(self, limit: int = MAX_TEXT) -> None:
        self._limit = limit
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return the number of a text, which is cut to the limit."""
        return self._numbers.setdefault(cut_text(text, self._limit), len(self._numbers))

    @property
    def all(self) -> list[str]:
        """The texts, by number."""
        return list(self._numbers)
