"""Engine: what questions need of a database, so that DuckDB and Spark give the same answers.

The SQL of questions is of the dialect that both share. DuckDB gets the functions that only Spark
has, ``unix_micros`` and ``percentile``, as macros.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

__all__ = ("Engine", "Parameter", "used_parameters", "with_dollars")

Parameter = str | int | float
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")


class Engine(Protocol):
    """A database that has the tables as views and can keep intermediate results.

    ``:name`` in SQL stands for a parameter.
    """

    def rows(self, sql: str, **parameters: Parameter) -> list[tuple[Any, ...]]:
        """Return the rows of a query, which must be few."""

    def keep(self, name: str, sql: str, **parameters: Parameter) -> int:
        """Compute a query once, keep its rows as a table, and return how many they are."""

    def drop(self, name: str) -> None:
        """Forget a table that was kept."""


def used_parameters(sql: str, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
    """Return those of the parameters that occur in a query; engines refuse others."""
    return {name: parameters[name] for name in dict.fromkeys(_PARAMETER.findall(sql))}


def with_dollars(sql: str) -> str:
    """Return a query with the parameters in DuckDB's notation: ``$name``."""
    return _PARAMETER.sub(r"$\1", sql)
