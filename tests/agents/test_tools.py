"""Each tool on files whose contents are known: what it says, what it refuses, pages of any size."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memlens._frame import Frame
from memlens.agents import answers, objects, processes, tools, workspace
from memlens.agents.answers import BYTES_PER_TOKEN, MIN_TOKENS
from memlens.agents.tools import call, tools_for
from memlens.agents.workspace import Workspace
from memlens.allocations.profile import program_lines
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import AllocationRow
from memlens.profiler import registry
from tests.agents.files import ask, leaking_folder, refusal, workspace_of
from tests.attach.programs import running
from tests.heap.planted import Planter
from tests.test_files import FACTS, make_profile


@pytest.fixture
def space(tmp_path):
    folder = leaking_folder(tmp_path / "out")
    make_profile().save(folder / "allocations.json")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("".join(f"line_{n} = {n}\n" for n in range(1, 40)))
    return workspace_of(folder, source_roots=[tmp_path / "src"])


QUESTIONS = [
    ("list_files", {}),
    ("find_leaks", {"pid": 4711}),
    ("why_alive", {"type": "app.Session", "pid": 4711, "max_objects": 50}),
    ("largest", {"pid": 4711}),
    ("largest", {"pid": 4711, "by": "type"}),
    ("largest", {"pid": 4711, "by": "drop"}),
    ("summarize", {"pid": 4711, "by": "type"}),
    ("summarize", {"pid": 4711, "by": "size"}),
    ("summarize", {"pid": 4711, "by": "referrer"}),
    ("summarize", {"pid": 4711, "by": "kind"}),
    ("summarize", {"pid": 4711, "by": "device"}),
    ("compare", {"pid": 4711}),
    ("stuck_tasks", {"pid": 4711}),
    *(
        ("allocations", {"view": view})
        for view in ("line", "site", "call_path", "module", "thread")
    ),
    ("source_lines", {"file": "app.py", "line": 20, "around": 19}),
]


@pytest.mark.parametrize(("name", "arguments"), QUESTIONS, ids=lambda one: json.dumps(one))
def test_every_answer_is_within_its_budget_and_small_pages_add_up_to_a_large_one(
    space, name, arguments
):
    whole = ask(space, name, **arguments, max_tokens=20_000)
    rows_name = next(key for key in whole if isinstance(whole[key], list) and key not in NO_ROWS)
    assert whole["next_cursor"] is None
    cursor, rows = None, []
    while True:
        text, is_error = call(space, name, {**arguments, "max_tokens": 250, "cursor": cursor})
        assert not is_error, text
        assert len(text.encode()) <= 250 * BYTES_PER_TOKEN
        page = json.loads(text)
        rows += page[rows_name]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(rows) == len(whole[rows_name]) <= whole["total_count"]
    for row, expected in zip(rows, whole[rows_name], strict=True):
        assert row == expected or row["shortened"]


NO_ROWS = {"folders", "objects", "bounded", "growing_types", "hints"}
# What a number may be without a unit: it names something, or says a place in an order.
NAMING = {"pid", "object", "rank", "line"}
UNITS = re.compile(r"(^|_)(bytes|count|seconds|percent)$|_bytes_(stderr|per_hour)$")


@pytest.mark.parametrize(("name", "arguments"), QUESTIONS, ids=lambda one: json.dumps(one))
def test_every_number_has_a_unit_in_its_name(space, name, arguments):
    def check(value):
        if isinstance(value, dict):
            for key, item in value.items():
                is_number = isinstance(item, (int, float)) and not isinstance(item, bool)
                assert not is_number or key in NAMING or UNITS.search(key), key
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(ask(space, name, **arguments, max_tokens=20_000))


def test_an_agent_gets_from_the_files_to_the_cause(space):
    files = ask(space, "list_files")
    assert (files["snapshot_count"], files["allocation_profile_count"]) == (4, 1)
    assert "find_leaks" in " ".join(files["hints"])
    leaks = ask(space, "find_leaks", pid=4711)
    (suspect,) = leaks["suspects"]
    assert (leaks["verdict"], suspect["holder"], suspect["pattern"]) == (
        "leak", "app.sessions", "unbounded-cache",
    )  # fmt: skip
    assert suspect["element_growth_count"] == 30
    explained = ask(space, "explain_suspect", id=suspect["id"], pid=4711)
    assert explained["path"] == "app.sessions"
    assert "LRUCache" in explained["suggestion"]
    assert explained["hops"][-1]["reference"] == ".sessions"
    assert "why_alive with path=holder" in explained["hints"][-1]
    alive = ask(space, "why_alive", path=suspect["holder"], pid=4711)
    assert alive["paths"][0]["path"] == "app.sessions"
    number = alive["paths"][0]["object"]
    below = ask(space, "largest", object=number, pid=4711)
    assert below["of"]["path"] == "app.sessions"
    assert {row["type"] for row in below["rows"]} == {"app.Session", "str"}
    assert ask(space, "why_alive", object=number, pid=4711)["paths"] == alive["paths"]


def test_find_leaks_says_what_two_snapshots_cannot_tell(tmp_path):
    space = workspace_of(leaking_folder(tmp_path / "out", rounds=2))
    told = ask(space, "find_leaks")
    assert told["verdict"] == "unknown" and "run longer" in told["explanation"]
    assert "app.Session" in [one["type"] for one in told["growing_types"]]
    one = workspace_of(leaking_folder(tmp_path / "one", rounds=1))
    assert "there is one" in refusal(one, "find_leaks")
    (tmp_path / "empty").mkdir()
    empty = workspace_of(tmp_path / "empty")
    assert "memlens run -o" in refusal(empty, "find_leaks")
    assert "memlens run -o" in ask(empty, "list_files")["hints"][0]


def test_by_default_the_newest_process_is_meant_and_not_its_end(tmp_path):
    folder = leaking_folder(tmp_path / "out", pid=1, process="old")
    for number in range(3):
        p = Planter()
        p.module("late", items=p.node("list", 100 + number))
        reason = "exit" if number == 2 else "periodic"
        snapshot = p.snapshot(pid=2, process="new", timestamp=1e6 + number, reason=reason)
        snapshot.save(folder / f"late-{number}.memlens")
    space = workspace_of(folder)
    assert ask(space, "summarize")["file"] == "late-1.memlens"
    assert ask(space, "summarize", pid=1)["file"] == "heap-3.memlens"
    assert ask(space, "find_leaks")["snapshot_count"] == 3
    compared = ask(space, "compare")
    assert (compared["before"], compared["after"]) == ("late-0.memlens", "late-1.memlens")
    assert (
        ask(space, "compare", before="late-0.memlens", after="late-2.memlens")["between_seconds"]
        == 2
    )


def test_copies_and_exported_heaps_are_not_taken_for_further_snapshots(tmp_path):
    folder = leaking_folder(tmp_path / "out")
    shutil.copy(folder / "heap-1.memlens", folder / "copy.memlens")
    (folder / "heap.heapsnapshot").write_text('{"snapshot": {}}')
    space = workspace_of(folder)
    assert ask(space, "list_files")["snapshot_count"] == 6
    told = ask(space, "find_leaks")
    assert (told["snapshot_count"], told["verdict"]) == (4, "leak")


def test_two_processes_with_the_same_number_are_not_mixed(tmp_path):
    folder = leaking_folder(tmp_path / "out", process="first")
    p = Planter()
    p.module("app")
    p.snapshot(pid=4711, process="second", timestamp=1e6).save(folder / "second.memlens")
    assert "there is one" in refusal(workspace_of(folder), "find_leaks", pid=4711)


REFUSALS = [
    ("explode", {}, "there is no tool 'explode': there are list_files"),
    ("find_leaks", {"size": 3}, "unknown argument 'size': there are files, pid"),
    ("find_leaks", {"pid": "4711"}, "pid must be a whole number"),
    ("find_leaks", {"pid": True}, "pid must be a whole number"),
    ("find_leaks", {"pid": 0}, "pid must be at least 1"),
    ("find_leaks", {"files": "heap-0.memlens"}, "files must be a list"),
    ("find_leaks", {"files": [3]}, "each of files must be a text"),
    ("find_leaks", {"pid": 99}, "no heap snapshots of process 99"),
    ("find_leaks", {"max_tokens": 10}, f"max_tokens must be at least {MIN_TOKENS}"),
    ("find_leaks", {"cursor": "7"}, "ask again without it"),
    ("explain_suspect", {}, "the argument 'id' is missing"),
    ("explain_suspect", {"id": "leak-0"}, "find_leaks of these files gives: leak-"),
    ("why_alive", {}, "give exactly one of type, path and object"),
    ("why_alive", {"type": "dict", "object": 3}, "give exactly one of type, path and object"),
    ("why_alive", {"type": "app.Absent", "pid": 4711}, "summarize lists the types"),
    ("why_alive", {"path": "app.absent", "pid": 4711}, "begin with a module"),
    ("why_alive", {"object": 10**9, "pid": 4711}, "there is no object 1000000000"),
    ("largest", {"object": 10**9, "pid": 4711}, "there is no object 1000000000"),
    ("largest", {"by": "colour"}, "by must be one of object, type, drop"),
    ("summarize", {"by": "site", "pid": 4711}, "has no allocation sites"),
    ("compare", {"before": "heap-0.memlens"}, "give both before and after"),
    ("allocations", {"pid": 99}, "there is no allocation profile"),
    ("source_lines", {"file": "app.py", "line": 400}, "has no line 400"),
    ("source_lines", {"file": "/etc/passwd", "line": 1}, "is not in a folder whose source"),
    ("list_processes", {}, "there is no tool 'list_processes'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "complaint"), REFUSALS, ids=lambda one: str(one))
def test_errors_say_what_is_wrong_and_what_to_do(space, name, arguments, complaint):
    assert complaint in refusal(space, name, **arguments)


def test_source_is_shown_only_from_folders_that_were_allowed(space, tmp_path):
    shown = ask(space, "source_lines", file="app.py", line=20, around=1)
    assert shown["lines"] == [{"line": n, "text": f"line_{n} = {n}"} for n in (19, 20, 21)]
    assert ask(space, "source_lines", file=shown["file"], line=1, around=0)["total_count"] == 1
    (tmp_path / "secret.py").write_text("password = 1\n")
    (tmp_path / "src" / "link.py").symlink_to(tmp_path / "secret.py")
    (tmp_path / "src" / "key.pem").write_text("key\n")
    for file in ("link.py", "../secret.py", os.fspath(tmp_path / "secret.py")):
        assert "is not in a folder" in refusal(space, "source_lines", file=file, line=1)
    assert "only existing Python files" in refusal(space, "source_lines", file="key.pem", line=1)
    closed = Workspace(space.roots)
    assert "source_lines" not in tools_for(closed)
    assert "there is no tool" in refusal(closed, "source_lines", file="app.py", line=1)
    hints = ask(closed, "allocations")["hints"]
    assert hints and not any("source_lines" in hint for hint in hints)


def test_the_files_that_a_profile_names_are_not_opened(tmp_path, monkeypatch):
    row = AllocationRow((Frame("f", __file__, 1),), live_bytes=10.0)
    AllocationProfile([row], FACTS).save(tmp_path / "allocations.json")
    opened = []
    monkeypatch.setattr(program_lines, "_source", opened.append)
    assert ask(workspace_of(tmp_path), "allocations", view="line")["rows"][0]["file"] == __file__
    assert opened == []


def test_a_fault_of_a_tool_is_logged_and_answered(space, monkeypatch, caplog):
    def broken(workspace):
        raise RuntimeError("secret data")

    fault = tools.Tool("list_files", "", broken, {})
    monkeypatch.setattr(tools, "tools_for", lambda workspace: {"list_files": fault})
    told = refusal(space, "list_files")
    assert "RuntimeError" in told and "secret data" not in told
    assert "secret data" in caplog.text


def test_running_processes_are_reached_only_if_allowed(tmp_path, monkeypatch):
    folder = leaking_folder(tmp_path / "out", pid=os.getpid())
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    (tmp_path / "empty").mkdir()
    allowed = workspace_of(tmp_path / "empty", processes=True)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "known_processes", list)
        assert "memlens run -o" in ask(allowed, "list_processes")["hints"][0]
    # folder_of reads the environment that a process had at its start
    monkeypatch.setattr(processes, "folder_of", {os.getpid(): str(folder)}.get)
    assert registry.note_folder(str(folder))
    found = ask(allowed, "list_processes")["processes"]
    (row,) = [row for row in found if row["pid"] == os.getpid()]
    assert (row["folder"], row["snapshot_count"]) == (str(folder), 4)
    assert ask(allowed, "find_leaks", pid=os.getpid())["verdict"] == "leak"
    refused = workspace_of(tmp_path / "empty")
    assert "no heap snapshots" in refusal(refused, "find_leaks", pid=os.getpid())
    assert "there is no tool" in refusal(refused, "list_processes")


def test_every_default_in_a_description_is_that_of_the_function(space):
    import inspect

    for tool in tools_for(space).values():
        parameters = inspect.signature(tool.run).parameters
        assert {*tool.properties} == {*parameters} - {"workspace"}, tool.name
        for name, rule in tool.properties.items():
            told = re.search(r"default: (\w+)$", rule.get("description", ""))
            if told:
                assert str(parameters[name].default) == told[1], (tool.name, name)


@pytest.mark.skipif(sys.platform != "linux", reason="running processes are asked on Linux only")
def test_a_running_process_is_dumped_and_its_stacks_are_shown_if_allowed(tmp_path):
    (tmp_path / "empty").mkdir()
    space = workspace_of(tmp_path / "empty", processes=True)
    with running("profiler", tmp_path / "out") as process:
        taken = ask(space, "take_snapshot", pid=process.pid)
        stacks = ask(space, "process_stacks", pid=process.pid)
        assert process.poll() is None
    assert (taken["way"], taken["stopped_by_debugger_seconds"]) == ("socket", 0)
    assert taken["object_count"] > 1000 and taken["pause_seconds"] > 0
    assert "MainThread" in [row["name"] for row in stacks["stacks"]]
    path = space.resolve(taken["file"])
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    held = ask(space, "why_alive", file=taken["file"], type="__main__.Held")
    assert held["matching_count"] == 1234
    space.close()
    assert not os.path.exists(os.path.dirname(path))


@pytest.mark.parametrize("name", ["take_snapshot", "process_stacks"])
def test_a_process_that_cannot_be_asked_says_why(tmp_path, name):
    allowed, refused = workspace_of(tmp_path, processes=True), workspace_of(tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert str(ended.pid) in refusal(allowed, name, pid=ended.pid)
    assert "there is no tool" in refusal(refused, name, pid=ended.pid)
    assert not tools_for(allowed)[name].reads_only
    allowed.close()


def test_the_page_names_every_tool_option_and_bound(tmp_path):
    root = Path(__file__).resolve().parent.parent.parent
    text = (root / "docs" / "agents.md").read_text(encoding="utf-8")
    prose = " ".join(text.split())
    every = tools_for(workspace_of(tmp_path, source_roots=[tmp_path], processes=True))
    assert {*re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)} == {*every}
    for option in ("--source", "--processes", "--values"):
        assert f"| `{option}" in text
    for told in (
        f"{answers.DEFAULT_TOKENS:,} by default, {MIN_TOKENS} to {answers.MAX_TOKENS:,}",
        f"one for each {BYTES_PER_TOKEN} bytes",
        f"up to {workspace.MAX_OPEN_FILES} files open, together at most"
        f" {workspace.MAX_OPEN_BYTES >> 30} GiB, and up to {workspace.MAX_RESULTS} results",
        f"At most {objects.MAX_ROWS} objects",
    ):
        assert told in prose, told
