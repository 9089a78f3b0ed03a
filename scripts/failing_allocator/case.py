"""A function under test, and what may come of it where an allocation fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ("Case", "no_problems")


def no_problems() -> list[str]:
    """Nothing to examine."""
    return []


class Case(NamedTuple):
    """A function under test, what may be raised, and whether Python's own allocations fail too."""

    call: Callable[[], Any]
    errors: tuple[type[BaseException], ...] = (MemoryError,)
    with_python: bool = False
    may_do_without: bool = False  # some allocations are not needed for a right result
    owns_all: bool = True  # frees nothing that libc has allocated
    check: Callable[[], list[str]] = no_problems  # examines what is left after each trial
    in_windows: bool = False  # also several in a row, not all: CPython itself may not get over that
    in_all_threads: bool = False
