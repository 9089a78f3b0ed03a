"""AllocationProfile: where a program allocated memory during an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from functools import cached_property
from os import PathLike
from typing import Any

from memlens._display import displayed
from memlens._frame import Frame
from memlens._options import check_callable, check_number, check_text, shown
from memlens._presentation import write_html
from memlens._text import format_bytes
from memlens.allocations.options import check_limit
from memlens.allocations.profile.call_tree import CallNode, call_tree
from memlens.allocations.profile.profile_comparison import AllocationComparison, compare_rows
from memlens.allocations.profile.profile_facts import ProfileFacts
from memlens.allocations.profile.program_lines import ProgramLines, program_lines
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


@displayed
class AllocationProfile:
    """Where memory was allocated between two moments, and how much of it is still allocated.

    Immutable. ``rows`` has one `AllocationRow` for each call path, thread and domain. The numbers
    are estimates from samples, each with its standard error. They cover the blocks that Python's
    allocators returned since the start; `untracked_bytes` is the rest of the resident memory.

    >>> profile = profiler.profile()  # doctest: +SKIP
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
        """Resident memory that the live estimate does not explain; None if RSS is not known.

        It contains buffers of numpy and other native libraries, blocks allocated before the start,
        the interpreter and its code, and free memory that the allocators keep.
        """
        if self.facts.rss_bytes is None:
            return None
        return max(0, self.facts.rss_bytes - round(self.total.live_bytes))

    def by_call_path(self) -> list[AllocationRow]:
        """Return one row for each call path, most live bytes first."""
        return ordered(
            merged_by(self.rows, lambda row: row.call_path, lambda path: path), "live_bytes"
        )

    def by_site(self) -> list[AllocationRow]:
        """Return one row for each line that allocated, most live bytes first.

        The line is the last frame of a call path.
        """
        rows = merged_by(self.rows, lambda row: row.call_path[-1:], lambda path: path)
        return ordered(rows, "live_bytes")

    def lines(self, by: str = "live_bytes") -> ProgramLines:
        """Return the memory beside the lines of the program's own files, the largest ``by`` first.

        Each byte belongs to the innermost line of the program in its call path, so what a library
        allocates belongs to the line that called it. The source is read from the files as they are
        now. Raises OptionError for an unknown measure.
        """
        return program_lines(self.rows, self.total, check_measure(by))

    def by_module(self) -> list[AllocationRow]:
        """Return one row for each module that allocated, most live bytes first.

        Its call path is one frame: ``function`` is the name of the module, the line is 0.
        """
        rows = merged_by(
            self.rows,
            lambda row: tuple(module_frame(frame) for frame in row.call_path[-1:]),
            lambda path: path,
        )
        return ordered(rows, "live_bytes")

    def by_thread(self) -> dict[str, AllocationRow]:
        """Return one row for each thread, by name. Its call path is empty."""
        groups: dict[str, list[AllocationRow]] = {}
        for row in self.rows:
            groups.setdefault(row.thread or "", []).append(row)
        return {thread: merged(rows, ()) for thread, rows in groups.items()}

    def top(self, limit: int | None = 20, by: str = "live_bytes") -> list[AllocationRow]:
        """Return the ``limit`` call paths with the largest value of ``by`` (None: all).

        ``by`` is ``live_bytes``, ``allocated_bytes``, ``live_count`` or ``allocated_count``. Raises
        OptionError for any other measure and for a negative limit.
        """
        return ordered(self.by_call_path(), check_measure(by))[: check_limit(limit)]

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
        """Return a profile of the rows that satisfy every condition given.

        ``file`` keeps rows that have a frame in a file matching this pattern (``*`` and ``?``);
        ``exclude_file`` drops them. ``thread`` and ``domain`` are names. ``where`` is called with
        each row and returns whether to keep it. Raises OptionError for a condition of another type.
        """
        names = {"file": file, "exclude_file": exclude_file, "thread": thread, "domain": domain}
        for name, value in names.items():
            if value is not None:
                check_text(name, value)
        if where is not None:
            check_callable("where", where)
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
        """Return the changes from this profile (before) to ``other`` (after), by call path.

        Raises OptionError if ``other`` is not a profile.
        """
        if not isinstance(other, AllocationProfile):
            raise OptionError(f"other must be an AllocationProfile; got {shown(other)}")
        return compare_rows(self.by_call_path(), other.by_call_path())

    def table(self, limit: int | None = 20, by: str = "live_bytes") -> str:
        """Return the top call paths as a plain table, each line followed by its callers."""
        from memlens.allocations.profile.profile_text import table_text

        return table_text(self.top(limit, by), self.total, check_measure(by))

    def line_table(self, limit: int | None = 20, by: str = "live_bytes") -> str:
        """Return the top lines that allocated as a plain table, all callers together."""
        from memlens.allocations.profile.profile_text import table_text

        rows = ordered(self.by_site(), check_measure(by))
        return table_text(rows[: check_limit(limit)], self.total, by)

    def text(self, limit: int | None = 10, by: str = "live_bytes") -> str:
        """Return the headline, the top lines that allocated and the top call paths."""
        parts = [self.headline()]
        if self.rows:
            parts.append("By line:\n" + self.line_table(limit, by))
            parts.append("By call path:\n" + self.table(limit, by))
        return "\n\n".join(parts)

    def tree_text(self, by: str = "live_bytes", *, min_percent: float = 1.0) -> str:
        """Return the call tree as indented text, without branches below ``min_percent``.

        The frames of the import system are left out: each import has half a dozen of them. Raises
        OptionError for a percentage that is not 0 to 100.
        """
        check_number("min_percent", min_percent, 0, 100)
        from memlens.allocations.profile.profile_text import tree_text, without_import_system

        rows = [row._replace(call_path=without_import_system(row.call_path)) for row in self.rows]
        return tree_text(call_tree(rows), check_measure(by), min_percent)

    def save(self, path: str | PathLike[str]) -> int:
        """Write the profile to a JSON file that `load` reads; return the size in bytes.

        Raises OutputError. `memlens.export` writes the formats of other tools.
        """
        from memlens.allocations.profile.profile_file import save_profile

        return save_profile(self.rows, self.facts, path)

    def to_html(self, path: str | PathLike[str], *, source: bool = False) -> int:
        """Write a flame graph and tables as one HTML file; return its size in bytes.

        ``source``: show the text of the lines that allocated, where the files are readable. Raises
        OutputError.
        """
        return write_html(path, allocations=self, source=source)

    @staticmethod
    def load(path: str | PathLike[str]) -> AllocationProfile:
        """Read a profile that `save` wrote. Raises SnapshotFileError for any other file."""
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
        """Return a few lines: the live memory, how it was measured, what it does not cover."""
        from memlens.allocations.profile.profile_text import headline

        return headline(self.total, self.facts, self.untracked_bytes)

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Return facts, total and the ``limit`` call paths with most live bytes, for JSON.

        ``limit=None`` returns all call paths. `load` does not read this form; use `save`.
        """
        return {
            "facts": asdict(self.facts),
            "untracked_bytes": self.untracked_bytes,
            "total": self.total.to_dict(),
            "call_paths": [row.to_dict() for row in self.by_call_path()[: check_limit(limit)]],
        }


def _passes(path: tuple[Frame, ...], pattern: str) -> bool:
    return any(fnmatchcase(frame.file, pattern) for frame in path)
