"""What nothing can wake is reported, and nothing else, live and from files, on both cores."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import memlens
from memlens.cli.main import main
from memlens.errors import OptionError
from tests.heap.planted import Planter

ROOT = Path(__file__).resolve().parent.parent.parent
CORES = ["1"] + (["0"] if importlib.util.find_spec("memlens._core._capture") else [])


@pytest.fixture(scope="module", params=CORES, ids=lambda core: "pure" if core == "1" else "native")
def corpus(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("stuck") / "heap.memlens"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("corpus.py")), str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MEMLENS_PURE": request.param},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"core": request.param, "path": path}


def functions(report, kind):
    return Counter(
        task["name"].removesuffix("()").rpartition(".")[2]
        for task in report["tasks"]
        if task["kind"] == kind
    )


@pytest.mark.parametrize("source", ["live", "saved"])
def test_exactly_the_planted_tasks_are_stuck(corpus, source):
    planted = Counter(
        name.rpartition(".")[2]
        for name in corpus["tasks"]
        if name.rpartition(".")[2].startswith("stuck_")
    )
    assert sum(planted.values()) >= 23
    assert functions(corpus[source], "task") == planted
    assert corpus[source]["waiting_count"] > sum(planted.values()) + 20


@pytest.mark.parametrize("source", ["live", "saved"])
def test_exactly_the_planted_threads_are_stuck(corpus, source):
    found = functions(corpus[source], "thread")
    if corpus["core"] == "1":  # it reads no variables of running frames in 3.11
        assert set(found) <= {"stuck_thread_on_a_queue", "stuck_thread_on_an_event"}
    else:
        assert found == {"stuck_thread_on_a_queue": 1, "stuck_thread_on_an_event": 1}


def test_a_stuck_task_tells_where_it_stands_what_it_awaits_and_what_it_retains(corpus):
    by_name = {task["name"]: task for task in corpus["saved"]["tasks"]}
    awaited = {name: task["waits_for"] for name, task in by_name.items()}
    assert awaited["stuck_forgotten_queue()"] == "an asyncio.queues.Queue"
    assert awaited["stuck_event()"] == "an asyncio.locks.Event"
    assert awaited["stuck_gather()"] == "tasks that it gathers"
    assert awaited["stuck_waiter_of_task()"] == "the task stuck_event()"
    deep = by_name["stuck_deep()"]
    assert len(deep["frames"]) == 31
    assert {frame["function"] for frame in deep["frames"]} == {"stuck_deep"}
    assert deep["frames"][0]["file"].endswith("corpus.py")
    assert deep["retained_bytes"] > 31 * 100
    if corpus["core"] == "0":
        assert deep["local_names"] == ["depth"]
    inner = [frame["function"] for frame in by_name["stuck_in_generator()"]["frames"]]
    assert inner == ["stuck_in_generator", "stuck_in_generator.<locals>.rows"]


def test_the_command_prints_the_tasks_of_a_file(corpus, capsys):
    assert main(["stuck", str(corpus["path"])]) == 0
    text = capsys.readouterr().out
    assert "cannot be woken any more; they retain" in text
    assert "task stuck_event()" in text
    assert main(["stuck", "--json", str(corpus["path"])]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"]


def test_a_heap_without_tasks_has_no_stuck_ones():
    planter = Planter()
    planter.module("app", rows=planter.node("list", 64))
    report = memlens.stuck_tasks(planter.snapshot())
    assert list(report) == []
    assert "none of 0 waiting tasks and threads is stuck" in str(report)


def test_only_snapshots_are_accepted():
    with pytest.raises(OptionError, match="HeapSnapshot"):
        memlens.stuck_tasks("heap.memlens")
