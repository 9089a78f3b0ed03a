"""The server as a client meets it: the client of the SDK, over stdin and stdout of a child process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("mcp")  # the extra ``agents``

import anyio
from mcp import Client, StdioServerParameters

from memlens.agents import server
from memlens.agents.tools import tools_for
from memlens.progress import reached
from tests.agents.files import leaking_folder, workspace_of

ROOT = str(Path(__file__).resolve().parent.parent.parent)


def parameters(*arguments):
    passed_on = {name: os.environ[name] for name in ("MEMLENS_PURE",) if name in os.environ}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "memlens", "mcp", *map(os.fspath, arguments)],
        env={"PYTHONPATH": ROOT, **passed_on},
    )


def talk(target, conversation, **options):
    """Connect the client of the SDK, and return what ``conversation`` returns."""

    async def connected():
        async with Client(target, **options) as client:
            return await conversation(client)

    return asyncio.run(asyncio.wait_for(connected(), 120))


def answer_of(result):
    (content,) = result.content
    return json.loads(content.text)


@pytest.fixture
def folder(tmp_path):
    return leaking_folder(tmp_path / "out")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_over_stdio_gets_from_the_files_to_the_cause(folder, mode):
    async def conversation(client):
        offered = (await client.list_tools()).tools
        files = answer_of(await client.call_tool("list_files", {}))
        leaks = answer_of(await client.call_tool("find_leaks", {"pid": files["files"][0]["pid"]}))
        identifier = leaks["suspects"][0]["id"]
        explained = await client.call_tool("explain_suspect", {"id": identifier})
        refused = await client.call_tool("summarize", {"file": "/etc/passwd"})
        return offered, answer_of(explained), explained.is_error, refused

    offered, explained, is_error, refused = talk(parameters(folder), conversation, mode=mode)
    assert [tool.name for tool in offered] == [*tools_for(workspace_of(folder))]
    for tool in offered:
        assert tool.input_schema["type"] == "object" and tool.annotations.read_only_hint
    assert explained["holder"] == "app.sessions" and is_error is False
    assert refused.is_error is True
    assert "outside of the files" in answer_of(refused)["error"]


def test_options_of_the_command_decide_which_tools_there_are(folder, tmp_path):
    async def conversation(client):
        return [tool.name for tool in (await client.list_tools()).tools]

    names = talk(parameters(folder, "--source", tmp_path, "--processes"), conversation)
    assert {"source_lines", "list_processes", "take_snapshot"} <= {*names}


def test_schemas_of_arguments_are_valid_and_accept_what_the_tools_accept(folder):
    jsonschema = pytest.importorskip("jsonschema")
    for tool in tools_for(workspace_of(folder, source_roots=[folder], processes=True)).values():
        jsonschema.Draft202012Validator.check_schema(tool.schema)
    schema = tools_for(workspace_of(folder))["find_leaks"].schema
    jsonschema.validate({"pid": 3, "max_tokens": 500}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"pid": "three"}, schema)


def test_progress_rises_and_reaches_the_client(folder, monkeypatch):
    monkeypatch.setattr(server, "_PROGRESS_SECONDS", 0.0)
    seen = []

    async def conversation(client):
        async def note(progress, total, message):
            seen.append((progress, total))

        return answer_of(await client.call_tool("find_leaks", {}, progress_callback=note))

    told = talk(server.make_server(workspace_of(folder)), conversation)
    assert told["verdict"] == "leak"
    shares = [share for share, _ in seen]
    assert shares == sorted({*shares}) and 0 < shares[-1] <= 1
    assert {total for _, total in seen} == {1.0}


def test_a_call_that_is_cancelled_ends_the_analysis_and_the_next_one_is_answered(
    folder, monkeypatch
):
    began, ended, outcomes = threading.Event(), threading.Event(), []

    def long_work(workspace, name, arguments):
        if name != "find_leaks":
            return "{}", False
        try:
            end = time.monotonic() + 60  # a test that fails must end, too
            while time.monotonic() < end:
                began.set()
                reached(0.5)
            return "{}", False
        except BaseException as error:
            outcomes.append(type(error).__name__)
            raise
        finally:
            ended.set()

    monkeypatch.setattr(server, "call", long_work)

    async def conversation(client):
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "find_leaks", {})
            await asyncio.to_thread(began.wait, 60)
            group.cancel_scope.cancel()
        assert await asyncio.to_thread(ended.wait, 60)
        return answer_of(await client.call_tool("list_files", {}))

    space = workspace_of(folder)
    assert talk(server.make_server(space), conversation, mode="legacy") == {}
    assert outcomes == ["CancelledError"]


def test_the_server_ends_with_its_input_and_says_nothing_of_its_own(folder):
    done = subprocess.run(
        [sys.executable, "-m", "memlens", "mcp", folder],
        input="", capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_missing_folder_is_refused_at_the_start(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "memlens", "mcp", tmp_path / "absent"],
        input="", capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is no file or folder" in done.stderr
