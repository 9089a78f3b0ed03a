"""Answer: what a question about a fleet gives, whichever engine has computed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ("Answer", "AnswerColumn")


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """A column of an answer: its name, its title for people, and its unit.

    ``unit``: ``text``, ``count``, ``bytes``, ``bytes per hour``, ``share`` (0 to 1), ``seconds``,
    ``time`` (seconds since the epoch), ``number``.
    """

    name: str
    title: str
    unit: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question: a sentence, and a table whose first row matters most.

    ``question``: its name on the command line. ``rows``: a value for each column; None is unknown.
    ``row_count``: how many there are in all, where ``rows`` has only the first.
    ``notes``: what limits the answer, in sentences.
    """

    question: str
    title: str
    sentence: str
    columns: tuple[AnswerColumn, ...]
    rows: tuple[tuple[Any, ...], ...]
    row_count: int
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Answer to {self.question}: {self.sentence}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON-ready values; each row is an object."""
        names = [column.name for column in self.columns]
        return {
            "question": self.question,
            "title": self.title,
            "sentence": self.sentence,
            "columns": [
                {"name": one.name, "title": one.title, "unit": one.unit} for one in self.columns
            ],
            "rows": [dict(zip(names, row, strict=True)) for row in self.rows],
            "row_count": self.row_count,
            "notes": list(self.notes),
        }
