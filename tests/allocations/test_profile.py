"""AllocationProfile: sums, order, trees, comparisons, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.profile_file import profile_from_dict, profile_to_dict
from memlens.allocations.profile.rows import MEASURES, AllocationRow, merged, module_frame
from memlens.errors import OptionError, OutputError, SnapshotFileError

FACTS = ProfileFacts("sampling", 512 * 1024, 1000.5, 2.5, 42, "3.12.1", 10_000_000)
amounts = st.floats(0, 1e12)
names = st.text(min_size=1, max_size=5)
frames = st.builds(Frame, names, names, st.integers(0, 50))
rows = st.builds(
    lambda path, size, error, count, thread: AllocationRow(
        tuple(path),
        size,
        error,
        count,
        error / 10,
        size * 2,
        error * 2,
        count * 2,
        error / 5,
        3,
        6,
        2.0,
        1.0,
        thread,
        "mem",
    ),
    st.lists(frames, min_size=1, max_size=4),
    amounts,
    amounts,
    amounts,
    names,
)
profiles = st.lists(rows, max_size=12).map(lambda found: AllocationProfile(found, FACTS))


def row(*functions: str, size: float, **more: object) -> AllocationRow:
    path = tuple(Frame(name, f"/app/{name}.py", 1) for name in functions)
    return AllocationRow(path, live_bytes=size, live_count=1, allocated_bytes=size, **more)  # type: ignore[arg-type]


@given(profiles)
def test_every_grouping_has_the_same_total(profile: AllocationProfile) -> None:
    for grouped in (profile.by_call_path(), profile.by_site(), profile.by_module()):
        for measure in MEASURES:
            total = sum(getattr(r, measure) for r in grouped)
            assert total == pytest.approx(getattr(profile.total, measure))


@given(profiles)
def test_total_of_a_tree_node_is_its_own_plus_its_children(profile: AllocationProfile) -> None:
    root = profile.tree()
    for _, node in root.walk():
        below = sum(child.total["live_bytes"] for child in node.children)
        assert node.total["live_bytes"] == pytest.approx(node.own["live_bytes"] + below)
    assert root.total["live_bytes"] == pytest.approx(profile.total.live_bytes)


@given(profiles)
def test_loaded_profile_equals_the_saved_one(profile: AllocationProfile) -> None:
    stored = json.dumps(profile_to_dict(profile.rows, profile.facts))
    assert AllocationProfile(*profile_from_dict(json.loads(stored))) == profile


@given(profiles, profiles)
def test_differences_add_up_to_the_difference_of_the_totals(
    before: AllocationProfile, after: AllocationProfile
) -> None:
    changes = [difference.change() or 0 for difference in before.compare(after)]
    first, last = before.total.live_bytes, after.total.live_bytes
    assert sum(changes) == pytest.approx(last - first, abs=1e-9 * (1 + first + last))
    assert changes == sorted(changes, reverse=True)


def test_a_comparison_as_a_dict_has_both_rows_of_each_call_path() -> None:
    before, after = (AllocationProfile([row("a", size=size)], FACTS) for size in (10, 30))
    (found,) = json.loads(json.dumps(before.compare(after).to_dict()))["rows"]
    assert [frame["function"] for frame in found["call_path"]] == ["a"]
    assert (found["before"]["live_bytes"], found["after"]["live_bytes"]) == (10, 30)


def test_top_sorts_by_the_given_measure() -> None:
    big = row("a", size=10)._replace(live_count=1)
    many = row("b", size=5)._replace(live_count=100)
    profile = AllocationProfile([big, many], FACTS)
    assert [r.call_path[0].function for r in profile.top(by="live_bytes")] == ["a", "b"]
    assert [r.call_path[0].function for r in profile.top(by="live_count")] == ["b", "a"]
    assert len(profile.top(1)) == 1
    with pytest.raises(OptionError, match="live_count"):
        profile.top(by="bytes")
    assert len(profile.top(None)) == 2
    for bad in (-1, "a", True):
        for method in (profile.top, profile.table, profile.line_table, profile.to_dict):
            with pytest.raises(OptionError, match="limit must be a whole number, 0 or more"):
                method(bad)


def test_standard_errors_are_widened_once_in_nested_sums() -> None:
    # Three rows of one sample each: variance 1 each, widened by 4 -> sqrt(5); together sqrt(3 + 4).
    single = row("a", size=1)._replace(live_bytes_stderr=5**0.5, widening=(1.0, 0.0, 0.0, 0.0))
    together = merged([single, single, single], ())
    assert together.live_bytes_stderr == pytest.approx(7**0.5)
    assert merged([merged([single, single], ()), single], ()).live_bytes_stderr == pytest.approx(
        7**0.5
    )


def test_filter_keeps_rows_that_satisfy_all_conditions() -> None:
    rows = [row("main", "a", size=1, thread="x"), row("main", "b", size=2, thread="y")]
    profile = AllocationProfile(rows, FACTS)
    assert profile.filter(file="*/a.py").total.live_bytes == 1
    assert profile.filter(exclude_file="*/a.py").total.live_bytes == 2
    assert profile.filter(thread="y").total.live_bytes == 2
    assert profile.filter(where=lambda r: r.live_bytes > 5).rows == ()
    assert len(profile.rows) == 2


def test_module_name_is_the_path_below_the_library_folder() -> None:
    names = {
        "/x/lib/python3.12/site-packages/html5lib/trees/etree.py": "html5lib.trees.etree",
        "/x/lib/python3.12/json/__init__.py": "json",
        "/home/me/app.py": "app",
        "C:\\Python\\lib\\site-packages\\a\\b.py": "a.b",
        "<string>": "<string>",
    }
    assert {file: module_frame(Frame("f", file, 3)).function for file in names} == names


def test_text_names_the_frames_and_is_at_most_100_columns_wide() -> None:
    profile = AllocationProfile([row("main", "handler", "leak", size=5 << 20)], FACTS)
    text = str(profile) + "\n" + profile.tree_text()
    assert "leak" in text
    assert "5.00 MiB" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_table_names_the_callers_of_the_program_and_the_line_of_an_import() -> None:
    library = [Frame(f"call{i}", f"/v/site-packages/lib/part{i}.py", 10 * i) for i in range(9)]
    import_system = [
        Frame("_find_and_load", "<frozen importlib._bootstrap>", 1),
        Frame("_compile_bytecode", "<frozen importlib._bootstrap_external>", 729),
    ]
    handler, module = (
        Frame("handler", "/home/me/app.py", 7),
        Frame("<module>", "/home/me/app.py", 1),
    )
    calls = AllocationRow((module, handler, *library), live_bytes=3e6, live_samples=9)
    imports = AllocationRow((module, *import_system), live_bytes=1e6, live_samples=9)
    profile = AllocationProfile([calls, imports], FACTS)
    table = profile.table()
    assert "call8 (lib/part8.py:80)" in table
    assert "from call7 (lib/part7.py:70) <- " in table
    assert table.count("... <- handler (me/app.py:7)") == 1
    assert "import at <module> (me/app.py:1)" in table
    assert "importlib" not in profile.tree_text() + table + profile.line_table()
    assert all(len(line) <= 100 for line in profile.text().splitlines())


def test_empty_profile_reports_that_there_are_no_samples() -> None:
    assert "no sample" in str(AllocationProfile([], FACTS))


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.update(format="other"),
        lambda d: d.update(version=99),
        lambda d: d.pop("frames"),
        lambda d: d["rows"][0][0].append(77),
        lambda d: d["rows"][0][0].append(-1),
        lambda d: d["rows"][0].pop(),
        lambda d: d["rows"][0].__setitem__(1, "many"),
        lambda d: d["rows"][0].__setitem__(-1, [1]),
        lambda d: d["facts"].update(color=1),
        lambda d: d["frames"].__setitem__(0, [1, 2, 3]),
    ],
)
def test_damaged_file_is_refused(damage, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    AllocationProfile([row("a", size=1)], FACTS).save(path)
    data = json.loads(path.read_text())
    damage(data)
    path.write_text(json.dumps(data))
    with pytest.raises(SnapshotFileError):
        AllocationProfile.load(path)


def test_file_that_is_not_json_and_missing_folder_are_errors(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x80\x04]")
    with pytest.raises(SnapshotFileError):
        AllocationProfile.load(tmp_path / "x")
    with pytest.raises(OutputError):
        AllocationProfile([], FACTS).save(tmp_path / "none" / "x")
