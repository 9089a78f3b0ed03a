"""Releases of Python whose own garbage collector holds memory longer than others."""

from __future__ import annotations

import re

__all__ = ("slow_collector_note",)

_INCREMENTAL = ((3, 14, 0), (3, 14, 4))  # the first and the last release with that collector


def slow_collector_note(python: object) -> str | None:
    """Say what the collector of a release does to the memory of a program; None if nothing.

    ``python``: the version that a snapshot states, such as ``"3.14.2"``. What is no version has no
    note.
    """
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", python) if isinstance(python, str) else None
    if found is None:
        return None
    first, last = _INCREMENTAL
    if not first <= tuple(map(int, found.groups())) <= last:
        return None
    return (
        f"Python {found[0]} collects garbage in small steps, and so holds objects in cycles longer"
        " than 3.13 and 3.14.5: memory may grow without a leak. Update to 3.14.5 or later."
    )
