"""The answers to questions about whole heaps of a table folder, by DuckDB."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from memlens._options import check_count
from memlens.fleet.duckdb_engine import DEFAULT_MEMORY_BYTES, DuckDBEngine
from memlens.fleet.table_report import ServiceAnswers, TableReport
from memlens.fleet.whole_heaps import heap_answer
from memlens.tables.table_folder import list_tables

__all__ = ("read_heaps",)


def read_heaps(
    folder: str | os.PathLike[str],
    questions: Iterable[str],
    *,
    service: str | None = None,
    snapshot: str | None = None,
    before: str | None = None,
    type_name: str | None = None,
    limit: int = 20,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> TableReport:
    """Answer questions about snapshots that were exported to the tables ``nodes`` and ``edges``.

    ``questions``, ``snapshot``, ``before``, ``type_name``: see `memlens.fleet.whole_heaps.heap_answer`.
    ``service``: of its snapshots only. ``limit``: rows of each answer. ``memory_bytes``: what DuckDB
    may use; beyond it, it writes to a temporary folder.

    Raises ``OptionError`` as `heap_answer` does, ``MissingExtraError`` without duckdb.
    """
    check_count("limit", limit)
    start = time.monotonic()
    services = None if service is None else {service}
    listing = list_tables(folder, services=services)
    files = [*listing.files["nodes"], *listing.files["edges"]]
    with DuckDBEngine(listing, memory_bytes=memory_bytes) as engine:
        asked = tuple(dict.fromkeys(questions))
        answers = engine.answered(
            lambda: tuple(
                heap_answer(
                    engine, one, snapshot=snapshot, before=before, type_name=type_name, limit=limit
                )
                for one in asked
            )
        )
        rows = engine.rows("select distinct host, process, release from nodes")
        releases = sorted({str(release) for _, _, release in rows if release is not None})
        return TableReport(
            os.fspath(folder),
            (
                ServiceAnswers(
                    ", ".join(sorted({file.service for file in files})),
                    len({host for host, _, _ in rows}),
                    len({process for _, process, _ in rows}),
                    tuple(releases),
                    answers,
                ),
            ),
            tuple(sorted(set(engine.skipped), key=lambda one: one.path)),
            len(files),
            sum(file.size_bytes for file in files),
            time.monotonic() - start,
        )
