"""The largest rows of many, and which are left: they become one row, so that sums stay exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ("MAX_ROWS", "REST_RANK", "largest_and_rest")

MAX_ROWS = 200  # of one process at one moment, besides the row of the rest
REST_RANK = 0

_Row = TypeVar("_Row")


def largest_and_rest(
    ordered: Sequence[_Row], limit: int = MAX_ROWS
) -> tuple[Sequence[_Row], Sequence[_Row]]:
    """Return the first ``limit`` rows, and those that are left. Of one that is left nothing is saved.

    ``ordered``: the largest first. One row more than the limit is not summed up: the row of the
    rest would take its place.
    """
    if len(ordered) <= limit + 1:
        return ordered, ()
    return ordered[:limit], ordered[limit:]
