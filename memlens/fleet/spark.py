"""The tables and questions of a fleet in Spark, for tables that outgrow one machine.

PySpark is no dependency of memlens: a session of it comes from the caller, who decides where it runs
and what it may use.
"""

from __future__ import annotations

from typing import Any

from memlens.fleet.heap_engine import Parameter, used_parameters

__all__ = ("SparkHeaps",)


class SparkHeaps:
    """A session of Spark that has the views ``nodes`` and ``edges``.

    What is kept is computed once and stored by the executors, on disk where their memory is full; in
    the folder of checkpoints where the session has one, which then survives the loss of an executor.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._kept: dict[str, Any] = {}

    def rows(self, sql: str, **parameters: Parameter) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return [tuple(row) for row in self._run(sql, parameters).collect()]

    def keep(self, name: str, sql: str, **parameters: Parameter) -> int:
        """Compute a query, store its rows as a temporary view, and return how many they are."""
        rows = self._run(sql, parameters)
        durable = self._session.sparkContext.getCheckpointDir() is not None
        # The count computes the rows of a local checkpoint, in one pass.
        stored = rows.checkpoint() if durable else rows.localCheckpoint(eager=False)
        count = int(stored.count())
        stored.createOrReplaceTempView(name)
        self._kept[name] = stored
        return count

    def drop(self, name: str) -> None:
        """Drop a temporary view and what is stored of it."""
        stored = self._kept.pop(name, None)
        self._session.catalog.dropTempView(name)
        if stored is not None:
            stored.unpersist()

    def _run(self, sql: str, parameters: dict[str, Parameter]) -> Any:
        return self._session.sql(sql, args=used_parameters(sql, parameters))
