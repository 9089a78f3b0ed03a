"""The tables and questions of a fleet in Spark, for tables that outgrow one machine.

::

    from memlens.fleet.spark import answer

    answer(spark, "s3a://bucket/memory", "new-leaks", service="shop")

PySpark is no dependency of memlens: the session comes from the caller, who decides where it runs and
what it may use. The questions and their SQL are those that DuckDB gets.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from memlens.errors import OptionError, SnapshotFileError
from memlens.fleet.answers import Answer
from memlens.fleet.engine import Parameter, used_parameters
from memlens.fleet.questions import QUESTIONS
from memlens.fleet.questions.fleet_facts import read_facts
from memlens.fleet.questions.question import LONG_ENOUGH_SECONDS, Options
from memlens.fleet.whole_heaps import HEAP_QUESTIONS, heap_answer
from memlens.tables.listing import SUFFIX, SkippedTable, TableFile
from memlens.tables.parquet_file import damage_in
from memlens.tables.schema import TABLES, Table
from memlens.tables.table_folder import is_url, list_tables

__all__ = ("SparkEngine", "answer")

_TYPES = {
    "text": "string",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "time": "timestamp",
    "date": "date",
    "texts": "array<string>",
}
# What is a decimal number in Spark is rounded; in DuckDB sums and means of it are not.
_DECIMAL = re.compile(r"(?<![\w.'])(\d+\.\d+)(?![\w.'])")


def answer(
    session: Any,
    folder: str | os.PathLike[str],
    question: str,
    *,
    service: str | None = None,
    before: str | None = None,
    after: str | None = None,
    limit: int = 20,
    snapshot: str | None = None,
    type_name: str | None = None,
) -> Answer:
    """Answer a question about the tables of a folder or URL by a ``pyspark.sql.SparkSession``.

    ``question``: a name of `memlens.fleet.questions.QUESTIONS` or
    `memlens.fleet.whole_heaps.HEAP_QUESTIONS`. ``folder``: as Spark takes it, so of S3 ``s3a://...``;
    every executor must be able to read it. ``service``: may be None where there is one only.
    ``before`` and ``after``: releases, of ``deploy``, or ``before`` a snapshot, of ``heap-growth``.
    ``snapshot`` and ``type_name``: of questions about whole heaps. ``limit``: rows of the answer.

    The session keeps its views and settings. Files that cannot be read are left out, and a note
    tells so. Raises ``OptionError`` for a question or service that does not exist,
    ``SnapshotFileError`` where the folder has no tables.
    """
    if question not in QUESTIONS and question not in HEAP_QUESTIONS:
        known = ", ".join((*QUESTIONS, *HEAP_QUESTIONS))
        raise OptionError(f"no question {question!r}: ask one of {known}")
    engine = SparkEngine(session, folder)
    if question in HEAP_QUESTIONS:
        found = heap_answer(
            engine, question, snapshot=snapshot, before=before, type_name=type_name, limit=limit
        )
    else:
        facts = read_facts(engine, _service(engine, service), LONG_ENOUGH_SECONDS)
        options = Options(limit=limit, before=before, after=after)
        found = QUESTIONS[question].answer(engine, facts, options)
    engine.forget()
    return engine.noted(found)


def _service(engine: SparkEngine, service: str | None) -> str:
    known = [name for (name,) in engine.rows("select distinct service from readings order by 1")]
    if not known:
        raise SnapshotFileError(
            f"there are no readings in {engine.folder!r}: give the table_dir of the profilers"
        )
    if service is None and len(known) == 1:
        return str(known[0])
    if service is None or service not in known:
        what = "several services are here" if service is None else f"no service {service!r} is here"
        raise OptionError(f"{what}: name one of {', '.join(known)}")
    return service


class SparkEngine:
    """A session of Spark with a view for each table of a folder or URL, beside the caller's views.

    What is kept is computed once and stored by the executors, on disk where their memory is full; in
    the folder of checkpoints where the session has one, which then survives the loss of an executor.
    ``skipped`` has the files that were left out. Of a URL the files are listed by Spark, which leaves
    out damaged ones itself.
    """

    def __init__(self, session: Any, folder: str | os.PathLike[str]) -> None:
        self.folder = os.fspath(folder)
        self._session = session.newSession()
        self._session.conf.set("spark.sql.session.timeZone", "UTC")
        self._kept: dict[str, Any] = {}
        self._files: dict[str, list[TableFile]] | None = None
        self.skipped: list[SkippedTable] = []
        if not is_url(self.folder):
            listing = list_tables(self.folder)
            self._files = {name: list(files) for name, files in listing.files.items()}
            self.skipped += listing.skipped
        for table in TABLES:
            self._make_view(table)

    def rows(self, sql: str, **parameters: Parameter) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return [tuple(row) for row in self._done(sql, parameters, lambda found: found.collect())]

    def keep(self, name: str, sql: str, **parameters: Parameter) -> int:
        """Compute a query, store its rows as a temporary view, and return how many they are."""
        stored, count = self._done(sql, parameters, self._stored)
        self.drop(name)
        stored.createOrReplaceTempView(name)
        self._kept[name] = stored
        return int(count)

    def drop(self, name: str) -> None:
        """Drop a temporary view and what is stored of it."""
        stored = self._kept.pop(name, None)
        if stored is not None:
            self._session.catalog.dropTempView(name)
            stored.unpersist()

    def forget(self) -> None:
        """Drop all that was kept."""
        for name in list(self._kept):
            self.drop(name)

    def noted(self, found: Answer) -> Answer:
        """Return an answer with a note about the files that were left out."""
        if not self.skipped:
            return found
        first = min(self.skipped, key=lambda one: one.path)
        note = (
            f"{len(self.skipped):,} files cannot be read and are left out, as"
            f" {os.path.basename(first.path)}: {first.reason}."
        )
        return replace(found, notes=(*found.notes, note))

    def _stored(self, rows: Any) -> tuple[Any, int]:
        durable = self._session.sparkContext.getCheckpointDir() is not None
        # The count computes the rows of a local checkpoint, in one pass.
        stored = rows.checkpoint() if durable else rows.localCheckpoint(eager=False)
        return stored, stored.count()

    def _make_view(self, table: Table) -> None:
        """Make the view of a table, with null for columns that its files do not have."""
        schema = ", ".join(f"`{one.name}` {_TYPES[one.type]}" for one in table.columns)
        reader = self._session.read.schema(schema).option("recursiveFileLookup", "true")
        if self._files is not None:
            paths = [file.path for file in self._files.get(table.name, ())]
        else:
            reader = reader.option("ignoreCorruptFiles", "true").option(
                "pathGlobFilter", f"*{SUFFIX}"
            )
            paths = self._existing(f"{self.folder.rstrip('/')}/{table.name}")
        found = reader.parquet(*paths) if paths else self._session.createDataFrame([], schema)
        found.createOrReplaceTempView(table.name)

    def _existing(self, place: str) -> list[str]:
        """Return the place of a table in a list, an empty one where it does not exist."""
        from pyspark.errors import AnalysisException

        listed = self._session.read.format("binaryFile").option("recursiveFileLookup", "true")
        try:
            listed.load(place)
        except AnalysisException:
            return []
        return [place]

    def _done(self, sql: str, parameters: dict[str, Parameter], action: Any) -> Any:
        """Run a query; where a file turns out damaged, leave it out and run the query again."""
        text, used = _DECIMAL.sub(r"\1D", sql), used_parameters(sql, parameters)
        while True:
            try:
                return action(self._session.sql(text, args=used))
            except Exception as error:
                if not self._leave_out_damaged(str(error)):
                    raise

    def _leave_out_damaged(self, message: str) -> bool:
        """Leave out the damaged files of the tables, if there are any: after an error only."""
        found = False
        named = unquote(message)
        for table in TABLES if self._files is not None else ():
            files, kept = (self._files or {}).get(table.name, []), []
            for file in files:
                why = damage_in(file.path, table, rows=file.path in message or file.path in named)
                if why is None:
                    kept.append(file)
                else:
                    self.skipped.append(SkippedTable(file.path, why))
            if len(kept) < len(files):
                found = True
                (self._files or {})[table.name] = kept
                self._make_view(table)
        return found
