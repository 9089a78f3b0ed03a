"""AllocationProfile: where memory was allocated over an interval, as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from functools import cached_property
from os import PathLike
from typing import Any

from memlens._frame import Frame
from memlens._text import format_bytes
from memlens.allocations.profile.call_tree import CallNode, call_tree
from memlens.allocations.profile.profile_comparison import AllocationComparison, compare_rows
from memlens.allocations.profile.profile_facts import ProfileFacts
from memlens.allocations.profile.rows import (
    AllocationRow,
    check_measure,
    merged,
    merged_by,
    module_frame,
    ordered,
)
from memlens.errors import OptionError

__all__ = ("AllocationProfile", "ProfileFacts")


class AllocationProfile:
    """Where memory was allocated between two moments, and what of it is still alive.

    Immutable. ``rows`` has one `AllocationRow` for each call path, thread and domain. Numbers are
    estimates from samples, each with its standard error; they cover blocks that Python's allocators
    handed out since the start, and nothing else: see `untracked_bytes`.

    >>> profile = AllocationProfiler.profile(...)  # doctest: +SKIP
    >>> print(profile.top(1)[0])  # doctest: +SKIP
    """

    def __init__(self, rows: Iterable[AllocationRow], facts: ProfileFacts) -> None:
        self.rows: tuple[AllocationRow, ...] = tuple(rows)
        self.facts = facts

    @cached_property
    def total(self) -> AllocationRow:
        """The sum of all rows; its call path is empty."""
        return merged(list(self.rows), ())

    @property
    def untracked_bytes(self) -> int | None:
        """Resident memory that the live estimate does not explain, or None where RSS is unknown.

        Buffers of numpy and other native libraries, what was allocated before the start, the
        interpreter and its code, free memory that the allocators keep.
        """
        if self.facts.rss_bytes is None:
            return None
        return max(0, self.facts.rss_bytes - round(self.total.live_bytes))

    def by_call_path(self) -> list[AllocationRow]:
        """Return one row for each call path, by live bytes."""
        return ordered(
            merged_by(self.rows, lambda row: row.call_path, lambda path: path), "live_bytes"
        )

    def by_site(self) -> list[AllocationRow]:
        """Return one row for each line that allocated (last frame of call paths), by live bytes."""
        rows = merged_by(self.rows, lambda row: row.call_path[-1:], lambda path: path)
        return ordered(rows, "live_bytes")

    def by_module(self) -> list[AllocationRow]:
        """Return one row for each module that allocated, by live bytes.

        The call path is one frame, whose ``function`` is the module's name and whose line is 0.
        """
        rows = merged_by(
            self.rows,
            lambda row: tuple(module_frame(frame) for frame in row.call_path[-1:]),
            lambda path: path,
        )
        return ordered(rows, "live_bytes")

    def by_thread(self) -> dict[str, AllocationRow]:
        """Return one row for each thread; its call path is empty."""
        groups: dict[str, list[AllocationRow]] = {}
        for row in self.rows:
            groups.setdefault(row.thread or "", []).append(row)
        return {thread: merged(rows, ()) for thread, rows in groups.items()}

    def top(self, n: int = 20, by: str = "live_bytes") -> list[AllocationRow]:
        """Return the ``n`` call paths with the most ``by``.

        ``by`` is ``live_bytes``, ``allocated_bytes``, ``live_count`` or ``allocated_count``. Raises
        OptionError for another one and for a negative ``n``.
        """
        if n < 0:
            raise OptionError(f"n={n!r} is negative: how many call paths are wanted?")
        return ordered(self.by_call_path(), check_measure(by))[:n]

    def tree(self) -> CallNode:
        """Return the root of the call tree."""
        return call_tree(self.by_call_path())

    def filter(
        self,
        *,
        file: str | None = None,
        exclude_file: str | None = None,
        thread: str | None = None,
        domain: str | None = None,
        where: Callable[[AllocationRow], bool] | None = None,
    ) -> AllocationProfile:
        """Return the profile of some of the rows.

        ``file`` keeps rows with a frame in files of this pattern (``*`` and ``?``),
        ``exclude_file`` those without one; ``thread`` and ``domain`` are names; ``where`` is asked
        for each row. All that are given must agree.
        """
        kept = [
            row
            for row in self.rows
            if (file is None or _passes(row.call_path, file))
            and (exclude_file is None or not _passes(row.call_path, exclude_file))
            and (thread is None or row.thread == thread)
            and (domain is None or row.domain == domain)
            and (where is None or where(row))
        ]
        return AllocationProfile(kept, replace(self.facts))

    def compare(self, other: AllocationProfile) -> AllocationComparison:
        """Return what changed from this profile (before) to ``other`` (after), by call path."""
        return compare_rows(self.by_call_path(), other.by_call_path())

    def table(self, n: int = 20, by: str = "live_bytes") -> str:
        """Return the top call paths as a plain table: numbers and line, then its callers."""
        from memlens.allocations.profile.profile_text import table_text

        return table_text(self.top(n, by), self.total, check_measure(by))

    def line_table(self, n: int = 20, by: str = "live_bytes") -> str:
        """Return the top lines that allocated as a plain table, whoever called them."""
        from memlens.allocations.profile.profile_text import table_text

        rows = ordered(self.by_site(), check_measure(by))
        return table_text(rows[:n], self.total, by)

    def text(self, n: int = 10, by: str = "live_bytes") -> str:
        """Return what is alive, the top lines that allocated, and the top call paths."""
        parts = [self.headline()]
        if self.rows:
            parts += ["By line:\n" + self.line_table(n, by), "By call path:\n" + self.table(n, by)]
        return "\n\n".join(parts)

    def tree_text(self, by: str = "live_bytes", *, smallest_percent: float = 1.0) -> str:
        """Return the call tree as indented text, without branches below ``smallest_percent``.

        Without the frames of the import system, of which every import has half a dozen.
        """
        from memlens.allocations.profile.profile_text import tree_text, without_import_system

        rows = [row._replace(call_path=without_import_system(row.call_path)) for row in self.rows]
        return tree_text(call_tree(rows), check_measure(by), smallest_percent)

    def save(self, path: str | PathLike[str]) -> int:
        """Write the profile as JSON (`memlens.allocations.profile.profile_file`); return its size.

        Raises OutputError. `memlens.export` writes it for other tools.
        """
        from memlens.allocations.profile.profile_file import save_profile

        return save_profile(self.rows, self.facts, path)

    @staticmethod
    def load(path: str | PathLike[str]) -> AllocationProfile:
        """Read a profile that `save` wrote. Raises SnapshotFileError where it is none."""
        from memlens.allocations.profile.profile_file import load_profile

        return AllocationProfile(*load_profile(path))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AllocationProfile):
            return NotImplemented
        return self.rows == other.rows and self.facts == other.facts

    def __hash__(self) -> int:
        return hash((self.rows, self.facts))

    def __repr__(self) -> str:
        live = format_bytes(self.total.live_bytes)
        return f"<AllocationProfile: {len(self.rows)} rows, {live} live>"

    def __str__(self) -> str:
        return self.text()

    def headline(self) -> str:
        """Return what is alive, what that rests on, and what it does not cover; a few lines."""
        from memlens.allocations.profile.profile_text import headline

        return headline(self.total, self.facts, self.untracked_bytes)

    def to_dict(self, n: int | None = None) -> dict[str, Any]:
        """Return facts, total and the ``n`` call paths with most live bytes (None: all), for JSON.

        For people and their scripts; `save` writes what `load` reads.
        """
        return {
            "facts": asdict(self.facts),
            "untracked_bytes": self.untracked_bytes,
            "total": self.total.to_dict(),
            "call_paths": [row.to_dict() for row in self.by_call_path()[:n]],
        }


def _passes(path: tuple[Frame, ...], pattern: str) -> bool:
    return any(fnmatchcase(frame.file, pattern) for frame in path)
