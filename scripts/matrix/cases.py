"""The modes of the matrix, and cases such that each possible pair of modes occurs in one of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ("DIMENSIONS", "Case", "all_cases", "alone", "excluded", "pairwise")

DIMENSIONS: dict[str, tuple[str, ...]] = {
    "core": ("C", "pure"),
    "malloc": ("pymalloc", "malloc", "pymalloc_debug", "malloc_debug"),
    "gc": ("on", "off", "frozen"),
    "run_in": ("order", "threads", "asyncio", "uvloop", "gevent", "fork", "forkserver", "spawn"),
    "under": (
        "nothing", "coverage", "coverage sysmon", "debugger", "debugpy", "cProfile", "monitoring",
        "tracemalloc", "tracemalloc later",
    ),
}  # fmt: skip


class Case(NamedTuple):
    """One combination: a mode of each dimension."""

    core: str
    malloc: str
    gc: str
    run_in: str
    under: str

    def __str__(self) -> str:
        usual = Case(*(modes[0] for modes in DIMENSIONS.values()))
        unusual = [
            f"{name.replace('_', ' ')} {mode}"
            for name, mode, first in zip(self._fields, self, usual, strict=True)
            if mode != first
        ]
        return ", ".join(unusual) or "as usual"


def excluded(case: Case, version: tuple[int, int], missing: frozenset[str]) -> str | None:
    """Return why a case cannot run on a version of Python, None if it can.

    ``missing``: the libraries that are not installed.
    """
    if case.under in ("monitoring", "coverage sysmon") and version < (3, 12):
        return "sys.monitoring is new in 3.12"
    if case.core == "pure" and case.under != "nothing":
        return "each line, call or allocation of a pure capture is traced, which takes minutes"
    if case.under == "debugpy" and case.run_in == "gevent":
        return "threads of debugpy print errors under gevent, also without memlens"
    if case.under == "cProfile" and version < (3, 14) and case.run_in in ("spawn", "forkserver"):
        return "under cProfile before 3.14 a child may not find the program's functions"
    needed = (
        {"uvloop": "uvloop", "gevent": "gevent"}.get(case.run_in),
        {
            "coverage": "coverage",
            "coverage sysmon": "coverage",
            "debugpy": "debugpy",
        }.get(case.under),
    )
    for library in needed:
        if library in missing:
            return f"{library} is not installed"
    return None


def alone() -> Iterator[Case]:
    """Yield the usual case, and each other mode by itself."""
    usual = Case(*(modes[0] for modes in DIMENSIONS.values()))
    yield usual
    for name, modes in DIMENSIONS.items():
        for mode in modes[1:]:
            yield usual._replace(**{name: mode})


def all_cases() -> Iterator[Case]:
    """Yield each combination of modes."""
    return itertools.starmap(Case, itertools.product(*DIMENSIONS.values()))


def pairwise(reasons: Mapping[Case, str | None]) -> list[Case]:
    """Return cases in which each pair of modes that is possible occurs at least once.

    ``reasons``: why a case cannot run, None if it can. Greedy: each case adds the most pairs.
    """
    pairs = {
        case: {*itertools.combinations(zip(Case._fields, case, strict=True), 2)}
        for case, reason in reasons.items()
        if reason is None
    }
    missing = set().union(*pairs.values())
    cases = []
    while missing:
        best = max(pairs, key=lambda case: len(pairs[case] & missing))
        cases.append(best)
        missing -= pairs[best]
    return cases
