"""TableReport: the answers that the tables of a fleet give, and what was left out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from memlens._display import displayed
from memlens._options import check_count
from memlens._presentation import write_fleet_html
from memlens._table import columns
from memlens._text import counted, format_bytes, format_count, format_duration, labelled
from memlens.errors import OptionError, SnapshotFileError
from memlens.fleet.answer_text import answer_text
from memlens.fleet.answers import Answer
from memlens.fleet.duckdb_engine import DEFAULT_MEMORY_BYTES, DuckDBEngine
from memlens.fleet.questions import QUESTIONS
from memlens.fleet.questions.fleet_facts import FleetFacts, read_facts
from memlens.fleet.questions.question import LONG_ENOUGH_SECONDS, Options
from memlens.tables.listing import SkippedTable, TableListing
from memlens.tables.table_folder import list_tables

__all__ = ("ServiceAnswers", "TableReport", "read_tables", "rows_text", "run_sql")

_ROWS_IN_OVERVIEW = 3
_ROWS = 20
_SHOWN_FILES = 5


@dataclass(frozen=True, slots=True)
class ServiceAnswers:
    """The answers for one service, with how much of it the tables have."""

    service: str
    hosts: int
    processes: int
    releases: tuple[str, ...]
    answers: tuple[Answer, ...]

    def summary(self) -> str:
        """Return how much there is: ``1,204 hosts, 3,000 processes, 6 releases``."""
        return ", ".join((
            counted(self.hosts, "host"),
            counted(self.processes, "process", "processes"),
            counted(len(self.releases), "release"),
        ))  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the answers as JSON-ready values."""
        return {
            "service": self.service,
            "hosts": self.hosts,
            "processes": self.processes,
            "releases": list(self.releases),
            "answers": [answer.to_dict() for answer in self.answers],
        }


@displayed
@dataclass(frozen=True, slots=True)
class TableReport:
    """The answers for each service of a table folder, and the files that were left out.

    ``file_count`` and ``size_bytes`` are those of the files that were read, ``seconds`` is how long
    that took. ``is_overview``: no question was asked, so each answer is short.
    """

    folder: str
    services: tuple[ServiceAnswers, ...]
    skipped: tuple[SkippedTable, ...]
    file_count: int
    size_bytes: int
    seconds: float
    is_overview: bool = False

    def __repr__(self) -> str:
        return f"<TableReport: {len(self.services)} services, {self.file_count} files>"

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """Return the report as text: for each service the answers, what matters most first."""
        limit = _ROWS_IN_OVERVIEW if self.is_overview else _ROWS
        parts = []
        for one in self.services:
            parts.append(f"{one.service}: {one.summary()}")
            parts += [answer_text(answer, limit) for answer in one.answers]
        parts.append(
            f"Read {counted(self.file_count, 'file')}, {format_bytes(self.size_bytes)},"
            f" in {format_duration(self.seconds)}."
        )
        if self.skipped:
            shown = [
                f"{os.path.basename(one.path)} ({one.reason})"
                for one in self.skipped[:_SHOWN_FILES]
            ]
            if len(self.skipped) > _SHOWN_FILES:
                shown.append(f"and {format_count(len(self.skipped) - _SHOWN_FILES)} more")
            parts.append(labelled("Skipped:", "; ".join(shown), label_width=9, indent=""))
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "folder": self.folder,
            "services": [one.to_dict() for one in self.services],
            "skipped": [asdict(one) for one in self.skipped],
            "file_count": self.file_count,
            "size_bytes": self.size_bytes,
            "seconds": self.seconds,
        }

    def to_html(self, path: str | os.PathLike[str]) -> int:
        """Write the report as one HTML file; return its size in bytes."""
        return write_fleet_html(
            path,
            title=self.folder,
            services=[{**one.to_dict(), "summary": one.summary()} for one in self.services],
            skipped=[asdict(one) for one in self.skipped],
            facts={
                "Folder": self.folder,
                "Files": f"{format_count(self.file_count)}, {format_bytes(self.size_bytes)}",
                "Read in": format_duration(self.seconds),
            },
        )


def read_tables(
    folder: str | os.PathLike[str],
    questions: Iterable[str] = (),
    *,
    service: str | None = None,
    days: int | None = None,
    before: str | None = None,
    after: str | None = None,
    limit: int = _ROWS,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> TableReport:
    """Answer questions about the processes whose profilers wrote tables to a folder or URL.

    ``questions``: names of `memlens.fleet.questions.QUESTIONS`; none asks all, for an overview.
    ``service``: this one only. ``days``: the newest that many days only. ``before`` and ``after``:
    the releases that ``deploy`` compares, by default the newest two. ``limit``: rows of each answer.
    ``memory_bytes``: what this process may use, see `DuckDBEngine`.

    Raises ``OptionError`` for a question, a service or a folder that does not exist,
    ``SnapshotFileError`` where the folder has no tables, ``MissingExtraError`` without duckdb.
    """
    asked = tuple(dict.fromkeys(questions))
    unknown = [name for name in asked if name not in QUESTIONS]
    if unknown:
        raise OptionError(f"no question {unknown[0]!r}: ask one of {', '.join(QUESTIONS)}")
    check_count("limit", limit)
    start = time.monotonic()
    listing = _listing(folder, service, days)
    options = Options(limit=limit, before=before, after=after)
    with DuckDBEngine(listing, memory_bytes=memory_bytes) as engine:
        answers = engine.answered(
            lambda: _answers_of_services(engine, listing.services, asked or QUESTIONS, options)
        )
        return TableReport(
            os.fspath(folder),
            tuple(answers),
            tuple(sorted(set(engine.skipped), key=lambda one: one.path)),
            sum(1 for _ in listing.all_files()),
            listing.size_bytes,
            time.monotonic() - start,
            is_overview=not asked,
        )


def run_sql(
    folder: str | os.PathLike[str],
    sql: str,
    *,
    service: str | None = None,
    days: int | None = None,
    limit: int = 1000,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> tuple[list[str], list[tuple[Any, ...]], bool]:
    """Run one SELECT over the tables; return its columns, up to ``limit`` rows, and if there are more.

    The tables are views with the names of `memlens.tables.schema.TABLES`. Errors as of `read_tables`,
    and ``OptionError`` for SQL that fails.
    """
    with DuckDBEngine(_listing(folder, service, days), memory_bytes=memory_bytes) as engine:
        return engine.select(sql, limit)


def _listing(folder: str | os.PathLike[str], service: str | None, days: int | None) -> TableListing:
    # Of a URL, too, the footers are read: a file of a newer memlens may mean other things.
    listing = list_tables(folder, services=None if service is None else {service}, check=True)
    if not any(listing.files.values()):
        if service is not None and (known := list_tables(folder).services):
            raise OptionError(f"no tables of {service!r}: there are {', '.join(known)}")
        skipped = f"; {len(listing.skipped)} files cannot be read" if listing.skipped else ""
        raise SnapshotFileError(
            f"there are no tables in {os.fspath(folder)!r}{skipped}: give the table_dir of the"
            " profilers"
        )
    if days is None:
        return listing
    check_count("days", days)
    newest = _newest_day(listing)
    kept = {day for day in listing.days if newest - timedelta(days=days) < day <= newest}
    return list_tables(
        folder, services=None if service is None else {service}, days=kept, check=True
    )


def _newest_day(listing: TableListing) -> Any:
    """Return the newest day that has many of the files' bytes: others are of wrong clocks."""
    sizes: dict[Any, int] = {}
    for file in listing.all_files():
        sizes[file.day] = sizes.get(file.day, 0) + file.size_bytes
    many = max(sizes.values()) / 20
    return max(day for day, size in sizes.items() if size >= many)


def _answers_of_services(
    engine: DuckDBEngine, services: Iterable[str], names: Iterable[str], options: Options
) -> list[ServiceAnswers]:
    found = []
    for service in services:
        facts = read_facts(engine, service, LONG_ENOUGH_SECONDS)
        if facts.processes:
            found.append(_answers(engine, facts, names, options))
    return found


def _answers(
    engine: DuckDBEngine, facts: FleetFacts, names: Iterable[str], options: Options
) -> ServiceAnswers:
    return ServiceAnswers(
        facts.service,
        facts.hosts,
        facts.processes,
        tuple(one.title for one in facts.releases),
        tuple(QUESTIONS[name].answer(engine, facts, options) for name in names),
    )


def rows_text(names: list[str], rows: list[tuple[Any, ...]], *, has_more: bool) -> str:
    """Return the rows of one's own SQL as a table."""
    text = columns(names, [["" if one is None else str(one) for one in row] for row in rows])
    return f"{text}\n... and more: raise --limit" if has_more else text
