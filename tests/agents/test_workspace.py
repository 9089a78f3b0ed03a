"""Only what the user named can be read; few files stay open; data is not shown."""

from __future__ import annotations

import os

import pytest

from memlens.agents import workspace as module
from memlens.agents.workspace import Workspace
from memlens.errors import OptionError, SnapshotFileError
from tests.agents.files import ask, leaking_folder, refusal, workspace_of
from tests.heap.planted import Planter
from tests.test_files import make_profile

OUTSIDE = "is outside of the files that this server was started with"


@pytest.fixture
def folder(tmp_path):
    return leaking_folder(tmp_path / "out")


@pytest.fixture
def outside(tmp_path):
    path = tmp_path / "secret.memlens"
    Planter().snapshot().save(path)
    return path


def test_files_are_found_by_the_names_that_are_listed(folder):
    space = workspace_of(folder)
    for row in ask(space, "list_files")["files"]:
        assert space.resolve(row["file"]) == os.path.realpath(folder / row["file"])


def test_two_folders_with_files_of_the_same_name_give_names_that_differ(tmp_path):
    first, second = leaking_folder(tmp_path / "a", pid=1), leaking_folder(tmp_path / "b", pid=2)
    space = Workspace([first, second])
    names = [row["file"] for row in ask(space, "list_files")["files"]]
    assert len({*names}) == 8
    assert {space.resolve(name) for name in names} == {
        os.fspath(path) for folder in (first, second) for path in folder.iterdir()
    }


def test_a_single_file_is_all_that_may_be_read(folder):
    space = Workspace([folder / "heap-1.memlens"])
    assert [row["file"] for row in ask(space, "list_files")["files"]] == ["heap-1.memlens"]
    assert ask(space, "summarize", file="heap-1.memlens")["pid"] == 4711
    assert OUTSIDE in refusal(space, "summarize", file=os.fspath(folder / "heap-2.memlens"))


@pytest.mark.parametrize(
    "name", ["../secret.memlens", "x/../../secret.memlens", "{outside}", "link.memlens"]
)
def test_paths_outside_are_refused_whether_they_exist_or_not(folder, outside, name):
    (folder / "link.memlens").symlink_to(outside)
    space = workspace_of(folder)
    name = name.format(outside=outside)
    before = refusal(space, "summarize", file=name)
    assert OUTSIDE in before
    outside.unlink()
    assert refusal(space, "summarize", file=name) == before
    assert "link.memlens" not in [row["file"] for row in ask(space, "list_files")["files"]]


def test_a_folder_whose_name_begins_like_a_root_is_outside(tmp_path, folder):
    other = leaking_folder(tmp_path / "out-other")
    assert OUTSIDE in refusal(
        workspace_of(folder), "summarize", file=os.fspath(other / "heap-0.memlens")
    )


def test_missing_files_and_roots_say_what_to_do(folder):
    assert "take a name that list_files gives" in refusal(
        workspace_of(folder), "summarize", file="x.memlens"
    )
    with pytest.raises(OptionError, match="there is no file or folder"):
        Workspace([folder / "absent"])
    with pytest.raises(OptionError, match="is not a folder"):
        Workspace([folder], source_roots=[folder / "heap-0.memlens"])
    assert "null character" in refusal(workspace_of(folder), "summarize", file="a\0b")


def test_hidden_folders_and_files_being_written_are_not_listed(folder):
    leaking_folder(folder / ".cache")
    (folder / "heap-0.memlens").rename(folder / ".heap-0.memlens")
    leaking_folder(folder / "deeper", pid=5)
    assert ask(workspace_of(folder), "list_files")["snapshot_count"] == 3 + 4


def test_a_pipe_that_is_named_like_a_file_is_not_waited_for(folder):
    os.mkfifo(folder / "allocations.json")
    os.mkfifo(folder / "heap-9.memlens")
    listed = ask(workspace_of(folder), "list_files")["files"]
    problems = {os.path.basename(row["file"]): "problem" in row for row in listed}
    assert "allocations.json" not in problems
    assert [name for name, is_problem in problems.items() if is_problem] == ["heap-9.memlens"]


def test_a_damaged_file_is_listed_with_its_problem_and_left_out(folder):
    (folder / "bad.memlens").write_bytes(b"nonsense")
    (folder / "notes.json").write_text('{"format": "something else"}')
    space = workspace_of(folder)
    problems = [row for row in ask(space, "list_files")["files"] if "problem" in row]
    assert [row["file"] for row in problems] == ["bad.memlens"]
    assert ask(space, "find_leaks")["snapshot_count"] == 4


def test_few_values_stay_open_and_a_file_that_changed_is_read_again(folder, monkeypatch):
    opened = []
    load = module.load
    monkeypatch.setattr(module, "load", lambda path: opened.append(path) or load(path))
    monkeypatch.setattr(module, "MAX_OPEN_FILES", 2)
    space = workspace_of(folder)
    first = space.resolve("heap-0.memlens")
    assert space.snapshot(first) is space.snapshot(first)
    for number in range(3):
        space.snapshot(space.resolve(f"heap-{number}.memlens"))
    assert len(opened) == 3
    assert len(space._open) == 2
    space.snapshot(first)
    assert opened.count(first) == 2
    Planter().snapshot(pid=99).save(first)
    assert space.snapshot(first).pid == 99


def test_open_files_are_bounded_by_bytes_too(folder, monkeypatch):
    monkeypatch.setattr(module, "MAX_OPEN_BYTES", 1)
    space = workspace_of(folder)
    for number in range(3):
        space.snapshot(space.resolve(f"heap-{number}.memlens"))
    assert len(space._open) == 1


def test_snapshots_with_data_of_the_program_are_refused_unless_allowed(tmp_path):
    p = Planter()
    text = p.node("str", 60)
    p.values[text] = p.text("hunter2")
    p.module("app", password=text)
    p.snapshot(pid=3, values=False).save(tmp_path / "lying.memlens")
    Planter().snapshot(pid=3, values=True).save(tmp_path / "values.memlens")
    for name in ("lying.memlens", "values.memlens"):
        told = refusal(workspace_of(tmp_path), "summarize", file=name)
        assert "contains data of the program" in told and "--values" in told
        assert ask(workspace_of(tmp_path, values=True), "summarize", file=name)["pid"] == 3


def test_a_heap_of_javascript_is_data_of_a_program(tmp_path):
    p = Planter()
    p.module("app", text=p.node("str", 60))
    p.snapshot(language="JavaScript").save(tmp_path / "js.memlens")
    assert "contains data of the program" in refusal(
        workspace_of(tmp_path), "summarize", file="js.memlens"
    )


def test_a_file_of_the_other_kind_names_the_tool_for_it(tmp_path):
    make_profile().save(tmp_path / "allocations.json")
    Planter().snapshot().save(tmp_path / "heap.memlens")
    space = workspace_of(tmp_path)
    assert "call allocations" in refusal(space, "summarize", file="allocations.json")
    assert "call summarize with by=site" in refusal(space, "allocations", file="heap.memlens")
    with pytest.raises(SnapshotFileError, match="cannot read"):
        module.identity_of(os.fspath(tmp_path / "gone"))
