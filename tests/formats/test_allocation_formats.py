"""Exports of allocation profiles: read back by independent readers, checked against the formats."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import MEASURES, AllocationRow
from memlens.errors import OptionError
from memlens.formats.devtools import heapprofile_dict, heapprofile_text
from memlens.formats.firefox import firefox_dict, firefox_text
from memlens.formats.folded import folded_text
from memlens.formats.pprof import pprof_bytes
from memlens.formats.speedscope import speedscope_dict, speedscope_text
from tests.formats import pprof_reader

FACTS = ProfileFacts("sampling", 512 * 1024, 1000.5, 2.5, 42, "3.12.1", 10_000_000)
names = st.text(
    st.characters(codec="utf-8") | st.sampled_from(["\udc80", ";", "\n", "世"]),
    min_size=1,
    max_size=6,
)
frames = st.builds(Frame, names | st.none(), names, st.integers(0, 1 << 20))
amounts = st.integers(0, 1 << 50).map(float)
rows = st.builds(
    lambda path, size, count, more, thread: AllocationRow(
        tuple(path), size, 0.0, count, 0.0, size + more, 0.0, count + 1, 0.0, 1, 2, thread=thread
    ),
    st.lists(frames, min_size=1, max_size=5),
    amounts,
    amounts,
    amounts,
    names | st.none(),
)
profiles = st.lists(rows, max_size=10).map(lambda found: AllocationProfile(found, FACTS))


def shown(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@given(profiles)
def test_pprof_holds_every_row_with_its_path_and_four_values(profile: AllocationProfile) -> None:
    found = pprof_reader.read(pprof_bytes(profile))
    assert found["types"] == [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ]
    assert found["period"] == [512 * 1024]
    assert found["default"] == "inuse_space"
    expected = [
        (
            tuple(
                (shown(f.function or f.location), shown(f.file), f.line)
                for f in reversed(row.call_path)
            ),
            [row.allocated_count, row.allocated_bytes, row.live_count, row.live_bytes],
            {"thread": shown(row.thread)} if row.thread is not None else {},
        )
        for row in profile.rows
    ]
    assert found["samples"] == expected
    assert pprof_bytes(profile) == pprof_bytes(profile)


@pytest.mark.skipif(shutil.which("go") is None, reason="needs the go tool")
def test_go_tool_pprof_opens_it(tmp_path: Path) -> None:
    row = AllocationRow((Frame("main", "/app.py", 1), Frame("leak", "/app.py", 7)), 5e6, 0, 3, 0)
    path = tmp_path / "profile.pb.gz"
    path.write_bytes(pprof_bytes(AllocationProfile([row], FACTS)))
    command = ["go", "tool", "pprof", "-top", str(path)]
    assert "leak" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_pprof_of_tracemalloc_leaves_out_what_it_cannot_know() -> None:
    row = AllocationRow((Frame(None, "/app.py", 3),), 10, 0, 1, 0, None, None, None, None, 1, None)
    found = pprof_reader.read(pprof_bytes(AllocationProfile([row], FACTS)))
    assert [name for name, _ in found["types"]] == ["inuse_objects", "inuse_space"]
    assert found["samples"][0][0] == (("/app.py:3", "/app.py", 3),)


@given(profiles)
def test_folded_lines_have_the_sums_of_their_call_paths(profile: AllocationProfile) -> None:
    text = folded_text(profile)
    total = 0
    for line in text.splitlines():
        path, _, amount = line.rpartition(" ")
        assert path
        total += int(amount)
    assert total == sum(int(row.live_bytes) for row in profile.rows)
    depths = sorted(line.count(";") + 1 for line in text.splitlines())
    paths = {row.call_path for row in profile.by_call_path() if row.live_bytes > 0}
    assert depths == sorted(len(path) for path in paths)


def test_folded_frames_name_function_file_and_line() -> None:
    row = AllocationRow((Frame("main", "/a;b.py", 1), Frame(None, "/c.py", 7)), live_bytes=12)
    profile = AllocationProfile([row], FACTS)
    assert folded_text(profile) == "main (/a,b.py:1);/c.py:7 12\n"
    with pytest.raises(OptionError):
        folded_text(profile, by="weight")


def check_speedscope(data: dict[str, Any]) -> None:
    """The rules of file-format-schema.json for sampled profiles."""
    assert set(data) <= {"$schema", "exporter", "name", "activeProfileIndex", "shared", "profiles"}
    assert data["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    for frame in data["shared"]["frames"]:
        assert set(frame) <= {"name", "file", "line", "col"}
        assert isinstance(frame["name"], str)
    for profile in data["profiles"]:
        assert set(profile) == {
            "type",
            "name",
            "unit",
            "startValue",
            "endValue",
            "samples",
            "weights",
        }
        assert profile["type"] == "sampled"
        assert profile["unit"] in {
            "none",
            "nanoseconds",
            "microseconds",
            "milliseconds",
            "seconds",
            "bytes",
        }
        assert len(profile["samples"]) == len(profile["weights"])
        for sample in profile["samples"]:
            assert all(0 <= i < len(data["shared"]["frames"]) for i in sample)


@given(profiles)
def test_speedscope_is_valid_and_has_every_path_outermost_first(profile: AllocationProfile) -> None:
    data = speedscope_dict(profile)
    check_speedscope(data)
    speedscope_text(profile).encode()
    named = data["shared"]["frames"]
    for measure, shown_profile in zip(MEASURES, data["profiles"], strict=True):
        found: Counter[tuple[Any, ...]] = Counter()
        for path, weight in zip(shown_profile["samples"], shown_profile["weights"], strict=True):
            places = [(named[i].get("file", ""), named[i].get("line", 0)) for i in path]
            found[tuple(places)] += weight
        expected: Counter[tuple[Any, ...]] = Counter()
        for row in profile.rows:
            expected[tuple((f.file, f.line) for f in row.call_path)] += getattr(row, measure)
        assert +found == +expected


@given(profiles)
def test_heapprofile_is_a_tree_with_unique_ids_and_the_sizes_of_its_rows(
    profile: AllocationProfile,
) -> None:
    data = heapprofile_dict(profile)
    assert json.loads(heapprofile_text(profile)) == data
    ids, total, stack = [], 0, [data["head"]]
    while stack:
        node = stack.pop()
        assert set(node) == {"callFrame", "selfSize", "id", "children"}
        assert set(node["callFrame"]) == {
            "functionName",
            "scriptId",
            "url",
            "lineNumber",
            "columnNumber",
        }
        assert isinstance(node["callFrame"]["scriptId"], str)
        ids.append(node["id"])
        total += node["selfSize"]
        stack.extend(node["children"])
    assert len(set(ids)) == len(ids)
    assert total == sum(row.live_bytes for row in profile.rows)
    assert sum(sample["size"] for sample in data["samples"]) == total
    assert {sample["nodeId"] for sample in data["samples"]} <= set(ids)


@given(profiles)
def test_firefox_profile_has_consistent_tables_and_every_path(profile: AllocationProfile) -> None:
    firefox_text(profile).encode()
    data = firefox_dict(profile)
    assert data["meta"]["preprocessedProfileVersion"] == 47
    for measure, thread in zip(MEASURES, data["threads"], strict=True):
        for table in (value for value in thread.values() if isinstance(value, dict)):
            columns = {name: column for name, column in table.items() if isinstance(column, list)}
            assert {len(column) for column in columns.values()} == {table["length"]}
        found: Counter[tuple[Any, ...]] = Counter()
        samples = thread["samples"]
        for stack, weight in zip(samples["stack"], samples["weight"], strict=True):
            found[tuple(firefox_path(thread, stack))] += weight
        expected: Counter[tuple[Any, ...]] = Counter()
        for row in profile.rows:
            path = ((shown(f.function or f.location), shown(f.file), f.line) for f in row.call_path)
            expected[tuple(path)] += getattr(row, measure)
        assert +found == +expected


def firefox_path(thread: dict[str, Any], stack: int | None) -> list[tuple[str, str, int]]:
    """The calls of a row of the table of stacks, the outermost first."""
    path = []
    strings, functions, frames = thread["stringArray"], thread["funcTable"], thread["frameTable"]
    while stack is not None:
        frame = thread["stackTable"]["frame"][stack]
        function = frames["func"][frame]
        file = functions["fileName"][function]
        name = strings[functions["name"][function]]
        path.append((name, "" if file is None else strings[file], frames["line"][frame] or 0))
        before = thread["stackTable"]["prefix"][stack]
        assert before is None or before < stack, "a prefix comes before what it is the prefix of"
        stack = before
    return path[::-1]
