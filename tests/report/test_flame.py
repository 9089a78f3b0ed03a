"""The flame graph: the call tree in columns, cut to a budget."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.report.html.flame import flame_of
from memlens.report.html.limits import Limits
from tests.report.document_schema import _flame as check_flame

FACTS = ProfileFacts("sampling", 1024, 1000.0, 60.0, 1, "3.11.7")
FRAMES = [Frame(name, f"/srv/{name}.py", line) for name in "abcd" for line in (1, 2)]


def profile_of(rows):
    """A profile of ``(call path, live bytes, allocated bytes or None)``."""
    made = [
        AllocationRow(
            tuple(path),
            live_bytes=live,
            live_count=1.0,
            allocated_bytes=allocated,
            allocated_count=None if allocated is None else 2.0,
        )
        for path, live, allocated in rows
    ]
    return AllocationProfile(made, FACTS)


paths = st.lists(st.sampled_from(FRAMES), max_size=6)
rows = st.lists(st.tuples(paths, st.integers(0, 1000), st.integers(0, 5000)), min_size=1)


@given(rows, st.integers(1, 30))
def test_totals_are_exact_however_the_tree_is_cut(rows, limit):
    flame = flame_of(profile_of(rows), Limits(nodes=limit))
    check_flame(flame)
    assert flame["values"]["live_bytes"][0] == sum(row[1] for row in rows)
    assert flame["values"]["allocated_bytes"][0] == sum(row[2] for row in rows)
    assert flame["values"]["live_count"][0] == len(rows)
    whole = 1 + len(
        {tuple(path[:depth]) for path, _, _ in rows for depth in range(1, 1 + len(path))}
    )
    left_out = flame["omitted"]["nodes"] if flame["omitted"] else 0
    assert len(flame["parent"]) == min(limit, whole)
    assert len(flame["parent"]) + left_out == whole


@given(rows)
def test_each_node_has_the_total_of_its_call_path(rows):
    flame = flame_of(profile_of(rows), Limits())
    expected = Counter()
    for path, live, _ in rows:
        for depth in range(len(path) + 1):
            expected[tuple(path[:depth])] += live
    found = {}
    keys = []
    for node, parent in enumerate(flame["parent"]):
        frame = Frame(
            flame["names"][flame["name"][node]],
            flame["files"][flame["file"][node]],
            flame["line"][node],
        )
        keys.append((*keys[parent], frame) if node else ())
        found[keys[node]] = flame["values"]["live_bytes"][node]
    assert found == dict(expected)


def test_the_largest_paths_of_every_measure_are_kept():
    rows = [([Frame(f"small_{n}", "f.py", n)], 10, 10) for n in range(100)]
    rows += [([Frame("live", "f.py", 1)], 5000, 5000), ([Frame("churn", "f.py", 2)], 0, 90_000)]
    flame = flame_of(profile_of(rows), Limits(nodes=3))
    assert {"live", "churn"} <= set(flame["names"])
    assert flame["omitted"]["nodes"] == 100
    assert "counted in their callers" in flame["omitted"]["text"]


def test_what_was_allocated_is_left_out_where_it_is_not_known():
    flame = flame_of(profile_of([([FRAMES[0]], 7, None)]), Limits())
    assert list(flame["values"]) == ["live_bytes", "live_count"]


def test_a_deep_call_path_is_no_recursion():
    path = [Frame("down", "deep.py", 3)] * 50_000
    flame = flame_of(profile_of([(path, 1, 1)]), Limits())
    assert len(flame["parent"]) == 20_000
    assert flame["omitted"]["nodes"] == 50_001 - 20_000


def test_the_frames_of_the_import_system_are_left_out():
    importing = Frame("_load", "<frozen importlib._bootstrap>", 5)
    flame = flame_of(profile_of([([FRAMES[0], importing, FRAMES[2]], 7, 7)]), Limits())
    assert flame["names"] == ["<root>", "a", "b"]


def test_a_profile_without_rows_has_no_flame_graph():
    assert flame_of(profile_of([]), Limits()) is None
