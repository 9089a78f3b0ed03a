"""Checks of the options of the allocation tools; each error says what is accepted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, get_args

from memlens.errors import OptionError

__all__ = (
    "MAX_FRAMES",
    "GroupBy",
    "check_bool",
    "check_globs",
    "check_group_by",
    "check_limit",
    "check_path",
    "check_whole",
)

GroupBy = Literal["line", "file", "traceback"]
MAX_FRAMES = 65535  # of one trace: the maximum of tracemalloc


def check_path(path: object) -> str:
    """Return a path as a ``str``. Raises ``OptionError`` for anything else, also for bytes."""
    try:
        name = os.fspath(path)  # type: ignore[call-overload]
    except TypeError:
        name = None
    if not isinstance(name, str) or not name or "\0" in name:
        raise OptionError(f"path must be a non-empty string or a pathlib.Path; got {path!r:.100}")
    return name


def check_whole(name: str, value: int, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` if it is a whole number in range. Raises ``OptionError`` otherwise."""
    if type(value) is not int or value < minimum or (maximum is not None and value > maximum):
        accepted = f"{minimum} or more" if maximum is None else f"{minimum} to {maximum}"
        raise OptionError(f"{name} must be a whole number, {accepted}; got {value!r}")
    return value


def check_bool(name: str, value: bool) -> bool:
    """Return ``value`` if it is True or False. Raises ``OptionError`` otherwise."""
    if type(value) is not bool:
        raise OptionError(f"{name} must be True or False; got {value!r}")
    return value


def check_limit(limit: int | None) -> int | None:
    """Return a number of rows, None for all rows. Raises ``OptionError`` for anything else."""
    return None if limit is None else check_whole("limit", limit, 0)


def check_group_by(value: str) -> None:
    """Raise ``OptionError`` unless ``value`` names a way to group traces."""
    if type(value) is not str or value not in get_args(GroupBy):
        names = ", ".join(repr(name) for name in get_args(GroupBy))
        raise OptionError(f"group_by must be one of {names}; got {value!r}")


def check_globs(name: str, globs: Sequence[str]) -> tuple[str, ...]:
    """Return file name patterns as a tuple. Raises ``OptionError`` for a single string."""
    if isinstance(globs, str):
        raise OptionError(f"{name} takes a sequence of patterns, as in {name}=({globs!r},)")
    try:
        patterns = tuple(globs)
    except TypeError:
        raise OptionError(f"{name} takes a sequence of patterns; got {globs!r}") from None
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise OptionError(f"{name} takes file name patterns; got {pattern!r}")
    return patterns
