"""The markers of a test as checked values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from memlens._options import check_bytes, check_choice, check_count, check_regexes, shown
from memlens.errors import OptionError

__all__ = (
    "MEASURES",
    "MIN_CALLS",
    "Checks",
    "LeakCheck",
    "MemoryLimit",
    "ObjectLimits",
    "checks_of",
    "parse_size",
)

MEASURES = ("python", "resident")
MIN_CALLS = 3  # in an interval: growth by fewer elements is no evidence of a leak
_MAX_INTERVALS = 4
_MIN_INTERVALS = 3

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B)\s*")
_UNITS = {"B": 1} | {
    f"{letter}{infix}B": base**power
    for power, letters in enumerate(("kK", "M", "G", "T"), start=1)
    for letter in letters
    for infix, base in (("", 1000), ("i", 1024))
}


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """``limit_memory``: by how many bytes memory may rise, and how that is measured."""

    limit_bytes: int
    measure: str


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """``no_leaks``: how often the test is called, and which suspects do not count."""

    rounds: int
    warmup: int
    ignore: tuple[str, ...]

    @property
    def intervals(self) -> tuple[int, ...]:
        """The number of calls between the snapshots."""
        count = min(_MAX_INTERVALS, self.rounds // MIN_CALLS)
        return (self.rounds // count,) * (count - 1) + (
            self.rounds - self.rounds // count * (count - 1),
        )


@dataclass(frozen=True, slots=True)
class ObjectLimits:
    """``limit_leaked_objects``: how many objects each call may leave behind.

    ``total``: of all types of the program together, None where only ``by_type`` counts.
    """

    total: int | None
    by_type: Mapping[str, int]
    rounds: int
    warmup: int


@dataclass(frozen=True, slots=True)
class Checks:
    """All that is to be checked of one test."""

    memory: MemoryLimit | None = None
    leaks: LeakCheck | None = None
    objects: ObjectLimits | None = None

    @property
    def warmup(self) -> int:
        """How often the test is called before the first snapshot."""
        return max((one.warmup for one in (self.leaks, self.objects) if one), default=0)

    @property
    def intervals(self) -> tuple[int, ...]:
        """The number of calls between the snapshots; empty where none is taken."""
        if self.leaks is not None:
            return self.leaks.intervals
        return (1,) * self.objects.rounds if self.objects is not None else ()


def checks_of(item: pytest.Item, left_out: frozenset[str] = frozenset()) -> Checks:
    """Return the checks that the markers of a test ask for, the closest marker of each name.

    ``left_out``: names of markers that belong to another plugin. Raises ``OptionError``, which names
    the test, for a marker with wrong arguments.
    """
    found: dict[str, Any] = {}
    for name, (field, read) in _READERS.items():
        mark = None if name in left_out else item.get_closest_marker(name)
        if mark is not None:
            try:
                found[field] = read(*mark.args, **mark.kwargs)
            except (OptionError, TypeError) as error:
                text = str(error).removeprefix(f"{read.__name__}() ")
                raise OptionError(f"{item.nodeid}: @pytest.mark.{name}: {text}") from None
    return Checks(**found)


def parse_size(name: str, value: object) -> int:
    """Return a size in bytes: a whole number, or a text such as ``24 MiB`` or ``1.5 GB``.

    ``KiB``, ``MiB`` and ``GiB`` are powers of 1024, ``kB``, ``MB`` and ``GB`` powers of 1000.
    """
    if not isinstance(value, str):
        return check_bytes(name, value)
    match = _SIZE.fullmatch(value)
    if match is None:
        raise OptionError(
            f"{name} must be a size such as '24 MiB', '500 kB' or a number of bytes;"
            f" got {shown(value)}"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def _limit_memory(limit: object, *, measure: str = "python") -> MemoryLimit:
    return MemoryLimit(parse_size("limit", limit), check_choice("measure", measure, MEASURES))


def _no_leaks(*, rounds: int = 20, warmup: int = 5, ignore: Iterable[str] = ()) -> LeakCheck:
    rounds = check_count("rounds", rounds, _MIN_INTERVALS * MIN_CALLS)
    patterns = ignore if isinstance(ignore, str) else tuple(ignore)
    check_regexes("ignore", patterns)
    return LeakCheck(rounds, check_count("warmup", warmup), tuple(patterns))


def _limit_leaked_objects(limit: object, *, rounds: int = 3, warmup: int = 2) -> ObjectLimits:
    rounds, warmup = check_count("rounds", rounds, 2), check_count("warmup", warmup)
    if not isinstance(limit, Mapping):
        return ObjectLimits(check_count("limit", limit, 0), {}, rounds, warmup)
    if not limit:
        raise OptionError("limit must name a type; got an empty mapping")
    names = {_type_name(kind): check_count("limit", count, 0) for kind, count in limit.items()}
    return ObjectLimits(None, names, rounds, warmup)


def _type_name(kind: object) -> str:
    if isinstance(kind, type):
        return kind.__qualname__ if kind.__module__ == "builtins" else _qualified(kind)
    if isinstance(kind, str) and kind:
        return kind
    raise OptionError(f"limit must be by type, a class or its name; got {shown(kind)}")


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


_READERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "limit_memory": ("memory", _limit_memory),
    "no_leaks": ("leaks", _no_leaks),
    "limit_leaked_objects": ("objects", _limit_leaked_objects),
}
