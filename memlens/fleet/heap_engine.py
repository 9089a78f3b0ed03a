"""HeapEngine: what the questions about whole heaps need of an engine, and DuckDB as one."""

from __future__ import annotations

import re
from typing import Any, Protocol

__all__ = ("DuckDBHeaps", "HeapEngine", "Parameter", "used_parameters")

Parameter = str | int
_PARAMETER = re.compile(r"(?<!:):([a-z_]+)\b")


class HeapEngine(Protocol):
    """An engine that has the tables ``nodes`` and ``edges`` and can keep intermediate tables.

    The SQL is of the dialect that DuckDB and Spark share; ``:name`` stands for a parameter.
    """

    def rows(self, sql: str, **parameters: Parameter) -> list[tuple[Any, ...]]:
        """Return the rows of a query, which must be few."""

    def keep(self, name: str, sql: str, **parameters: Parameter) -> int:
        """Compute a query once, keep its rows as a table, and return how many they are."""

    def drop(self, name: str) -> None:
        """Forget a table that was kept."""


def used_parameters(sql: str, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
    """Return those of the parameters that occur in a query; engines refuse others."""
    return {name: parameters[name] for name in _PARAMETER.findall(sql)}


class DuckDBHeaps:
    """A connection of DuckDB that has the views ``nodes`` and ``edges``.

    What is kept becomes a temporary table. Above the memory limit of the connection DuckDB writes it
    to its temporary folder.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, **parameters: Parameter) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        found: list[tuple[Any, ...]] = self._run(sql, parameters).fetchall()
        return found

    def keep(self, name: str, sql: str, **parameters: Parameter) -> int:
        """Compute a query into a temporary table and return its number of rows."""
        count = self._run(f"create or replace temp table {name} as {sql}", parameters).fetchone()
        return int(count[0])

    def drop(self, name: str) -> None:
        """Drop a temporary table."""
        self._connection.execute(f"drop table if exists {name}")

    def _run(self, sql: str, parameters: dict[str, Parameter]) -> Any:
        used = used_parameters(sql, parameters)
        return self._connection.execute(_PARAMETER.sub(r"$\1", sql), used or None)
