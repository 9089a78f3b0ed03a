"""MergeReport: what a merge of a table folder has done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from memlens._table import columns
from memlens._text import counted, fitted, format_bytes, format_count, format_duration, labelled
from memlens.tables.listing import SkippedTable

__all__ = ("MergeReport", "MergedTable")

_SHOWN_FILES = 10


@dataclass(slots=True)
class MergedTable:
    """What was merged of one table: files and their sizes in bytes before and after, and rows."""

    table: str
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    rows: int = 0


@dataclass(slots=True)
class MergeReport:
    """What a merge has done.

    ``tables``: those of which files were merged. ``file_count``: files that were found;
    ``recent_count``: of them, those that are too new to merge; ``recovered_count``: merges that had
    ended early and were completed or undone. ``skipped``: what was not merged, and why.
    """

    folder: str
    tables: list[MergedTable] = field(default_factory=list)
    file_count: int = 0
    recent_count: int = 0
    recovered_count: int = 0
    skipped: list[SkippedTable] = field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self) -> str:
        return f"<MergeReport of {self.folder!r}: {self._headline()}>"

    def __str__(self) -> str:
        parts = [fitted(self._headline())]
        if self.tables:
            parts.append(self._table())
        notes = self._notes()
        if notes:
            parts.append("\n".join(map(fitted, notes)))
        if self.skipped:
            parts.append(self._skipped_text())
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return asdict(self)

    def table(self, name: str) -> MergedTable:
        """Return the row of a table; a new one is added."""
        for one in self.tables:
            if one.table == name:
                return one
        self.tables.append(MergedTable(name))
        return self.tables[-1]

    def _total(self, name: str) -> int:
        return sum(getattr(one, name) for one in self.tables)

    def _headline(self) -> str:
        if not self.tables:
            return f"Nothing to merge in {counted(self.file_count, 'file')}."
        before, after = self._total("files_before"), self._total("files_after")
        return (
            f"Merged {counted(before, 'file')} into {format_count(after)}:"
            f" {format_bytes(self._total('bytes_before'))} became"
            f" {format_bytes(self._total('bytes_after'))} in {format_duration(self.seconds)}."
        )

    def _table(self) -> str:
        headers = ["files", "into", "before", "after", "rows", "table"]
        rows = [
            [
                format_count(one.files_before),
                format_count(one.files_after),
                format_bytes(one.bytes_before),
                format_bytes(one.bytes_after),
                format_count(one.rows),
                one.table,
            ]
            for one in self.tables
        ]
        return columns(headers, rows)

    def _notes(self) -> list[str]:
        notes = []
        if self.recent_count:
            notes.append(f"{counted(self.recent_count, 'file')} too new to merge.")
        if self.recovered_count:
            count = format_count(self.recovered_count)
            notes.append(
                f"{count} earlier merges had ended early: no row of them is lost or double."
            )
        return notes

    def _skipped_text(self) -> str:
        shown = [f"{one.path} ({one.reason})" for one in self.skipped[:_SHOWN_FILES]]
        if len(self.skipped) > _SHOWN_FILES:
            shown.append(f"and {format_count(len(self.skipped) - _SHOWN_FILES)} more")
        return labelled("Not merged:", "; ".join(shown), label_width=12, indent="")
