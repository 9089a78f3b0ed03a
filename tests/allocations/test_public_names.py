"""The names that memlens.allocations exports, and the text form of each public value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import memlens.allocations
from memlens._lazy import lazy_exports
from memlens.allocations import (
    AllocationProfile,
    AllocationProfiler,
    AllocationRow,
    AllocationTracker,
    CallNode,
    Frame,
    MemoryBlock,
    ProfileFacts,
    TraceStore,
)

ROOT = Path(memlens.allocations.__file__).resolve().parents[2]
LONG_PATH = tuple(Frame(f"function{i}", f"/a/long/folder/name/{i}.py", i) for i in range(60))


def public_values() -> dict[str, object]:
    """Return an instance of each public class by the name of its class."""
    profile = AllocationProfile(
        [AllocationRow(LONG_PATH, 5e6, live_samples=1)] * 3,
        ProfileFacts("sampling", 512, 1000.5, 2.5, 42, "3.12.1"),
    )
    comparison = profile.compare(profile)
    tracker = AllocationTracker()
    tracker.start()
    tracker.track("User\n", 10, {"id": 1})
    report = tracker.report()
    with TraceStore() as store:
        before = store.take("before")
        kept = [bytes(1000) for _ in range(100)]
        after = store.take("after")
    assert len(kept) == 100
    statistics, changes = after.top(3), store.compare(before, after)
    with MemoryBlock("block") as block:
        kept = [bytes(1000) for _ in range(10)]
    values = [
        *(profile, profile.rows[0], profile.facts, profile.tree(), LONG_PATH[0]),
        *(profile.lines(), profile.lines()[0]),
        *(comparison, comparison[0], tracker, report, report.rows[0]),
        *(store, after, statistics, statistics[0], changes, changes[0]),
        *(block, block.result, AllocationProfiler(backend="tracemalloc")),
    ]
    return {type(value).__name__: value for value in values}


def test_every_name_of_all_is_importable_and_listed() -> None:
    names = memlens.allocations.__all__
    assert list(names) == sorted(names)
    for name in names:
        assert getattr(memlens.allocations, name) is not None
        assert name in dir(memlens.allocations)
    with pytest.raises(AttributeError, match=r"'memlens\.allocations' has no attribute 'Nothing'"):
        memlens.allocations.Nothing


def test_values_returned_by_public_functions_have_public_types() -> None:
    assert set(public_values()) == set(memlens.allocations.__all__) - {"CallPath"}
    assert type(next(iter(CallNode(LONG_PATH[0]).walk()))[1]) is memlens.allocations.CallNode


@pytest.mark.parametrize("name", sorted(set(memlens.allocations.__all__) - {"CallPath"}))
def test_repr_is_one_short_line_that_names_the_class(name: str) -> None:
    text = repr(public_values()[name])
    assert name in text
    assert text.isprintable()
    assert len(text) <= 200


def test_importing_the_package_loads_none_of_its_modules() -> None:
    script = "import sys, json, memlens.allocations; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    loaded = {name for name in json.loads(output) if name.startswith("memlens")}
    assert loaded == {"memlens", "memlens._lazy", "memlens.allocations"}


def test_lazy_name_is_imported_once_and_stored_in_the_package() -> None:
    package = sys.modules[__name__]
    load, names = lazy_exports(__name__, {"fractions": ("Fraction",)})
    assert "Fraction" in names()
    fraction = load("Fraction")
    assert package.__dict__.pop("Fraction") is fraction
    with pytest.raises(AttributeError, match="has no attribute 'Decimal'"):
        load("Decimal")
