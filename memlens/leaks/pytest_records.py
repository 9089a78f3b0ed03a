"""What pytest keeps of each test until the end: growth that is no leak of the tests.

pytest holds a report of every test that it has run. Under ``memlens run -m pytest`` these records
grow in every interval. A holder counts as one only if it lies inside the objects of pytest, and all
that it gained is of pytest's own types, of the standard library's, or plain data. With an object of
the program in each, such as the value of a fixture, it is a suspect like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memlens._display import displayed
from memlens._text import format_bytes
from memlens.leaks.patterns.case import Case, is_standard, package_of

__all__ = ("PytestRecords", "split_pytest_records")

_MAX_FOREIGN = 0.02  # objects of the program an element: those of the test that runs now
_PYTEST = frozenset({"_pytest", "pytest", "pluggy"})


@displayed
@dataclass(frozen=True, slots=True)
class PytestRecords:
    """What pytest keeps of its tests: in how many holders, and by how many bytes they grew."""

    holder_count: int
    growth_bytes: int

    def __repr__(self) -> str:
        return f"<PytestRecords: {self.holder_count} holders, +{format_bytes(self.growth_bytes)}>"

    def __str__(self) -> str:
        return f"what pytest keeps of each test until the end (+{format_bytes(self.growth_bytes)})"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)


def split_pytest_records(cases: Sequence[Case]) -> tuple[list[Case], PytestRecords | None]:
    """Separate the cases that may be leaks from what pytest keeps of its tests."""
    records = [case for case in cases if _is_record(case)]
    if not records:
        return list(cases), None
    growth_bytes = sum(round(case.holder.share_bytes) for case in records)
    others = [case for case in cases if case not in records]
    return others, PytestRecords(len(records), growth_bytes)


def _is_record(case: Case) -> bool:
    names = [case.path.root, *(hop.type_name for hop in case.path.hops)]
    if _PYTEST.isdisjoint(map(package_of, names)):
        return False
    foreign_count = sum(
        count
        for name, count in case.gained_types.items()
        if not is_standard(name) and package_of(name) not in _PYTEST
    )
    return foreign_count <= _MAX_FOREIGN * case.holder.count_growth
