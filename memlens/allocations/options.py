"""Checks of the options that the allocation instruments take, with errors a person can act on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from memlens.errors import OptionError

__all__ = ("MAX_FRAMES", "GroupBy", "check_globs", "check_group_by", "check_whole")

GroupBy = Literal["line", "file", "traceback"]
MAX_FRAMES = 65535  # what tracemalloc can store a trace


def check_whole(name: str, value: int, least: int, most: int | None = None) -> int:
    """Return ``value`` if it is a whole number in range; raises ``OptionError`` otherwise."""
    wanted = f"{least} or more" if most is None else f"{least} to {most}"
    if type(value) is not int or value < least or (most is not None and value > most):
        raise OptionError(f"{name} must be a whole number, {wanted}; got {value!r}")
    return value


def check_group_by(value: str) -> None:
    """Raise ``OptionError`` unless ``value`` is a way to group traces."""
    if value not in get_args(GroupBy):
        names = ", ".join(repr(name) for name in get_args(GroupBy))
        raise OptionError(f"group_by must be one of {names}; got {value!r}")


def check_globs(name: str, globs: Sequence[str]) -> tuple[str, ...]:
    """Return file name patterns as a tuple; raises ``OptionError`` for a lone string."""
    if isinstance(globs, str):
        raise OptionError(f"{name} takes a sequence of patterns, as in {name}=({globs!r},)")
    patterns = tuple(globs)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise OptionError(f"{name} takes file name patterns; got {pattern!r}")
    return patterns
