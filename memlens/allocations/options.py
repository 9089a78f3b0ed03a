"""Checks of the options that several allocation tools share; see `memlens._options`."""

from __future__ import annotations

from typing import Literal, get_args

from memlens._options import check_choice, check_integer

__all__ = ("MAX_FRAMES", "GroupBy", "check_group_by", "check_limit")

GroupBy = Literal["line", "file", "traceback"]
MAX_FRAMES = 65535  # of one trace: the maximum of tracemalloc


def check_limit(limit: int | None) -> int | None:
    """Return a number of rows, None for all rows. Raises ``OptionError`` for anything else."""
    return None if limit is None else check_integer("limit", limit, 0)


def check_group_by(value: str) -> None:
    """Raise ``OptionError`` unless ``value`` names a way to group traces."""
    check_choice("group_by", value, get_args(GroupBy))
