"""Names of tasks: in the path and the holder, and not in what is equal across restarts."""

import json
import os
import subprocess
import sys

import pytest

from memlens import _core
from memlens._core.layout import EdgeKind as K
from memlens.heap.graph.paths import Hop, RetentionPath
from memlens.leaks.fingerprints import stable_place
from memlens.leaks.leak_report import find_leaks
from memlens.leaks.origins import OriginFinder
from memlens.leaks.people_paths import without_name
from tests.leaks.test_suspects import series

PROGRAM = """
import asyncio, json, sys
import memlens

class Item:
    pass

async def hold(jobs, moments):
    backlog = []
    while await moments.get():
        backlog.extend(Item() for _ in range(300))
        jobs.release()

async def worker(jobs, moments, depth):
    if depth:
        await worker(jobs, moments, depth - 1)
    else:
        await hold(jobs, moments)

async def main():
    moments, jobs, taken = asyncio.Queue(), asyncio.Semaphore(0), []
    make = asyncio.create_task
    for _ in range(int(sys.argv[1])):
        asyncio.create_task(asyncio.sleep(0))  # shifts Task-N
    named = {"name": sys.argv[2]} if len(sys.argv) > 2 else {}
    task = asyncio.create_task(worker(jobs, moments, 1), **named)
    for _ in range(4):
        await moments.put(True)
        await jobs.acquire()
        taken.append(memlens.take_heap_snapshot())
    print(json.dumps([one.to_dict() for one in memlens.find_leaks(taken)]))
    task.cancel()

asyncio.run(main())
"""


def suspect_of(tmp_path, *arguments, **environment):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    (suspect,) = json.loads(done.stdout)
    return suspect


@pytest.mark.skipif(
    _core.IMPLEMENTATION == "pure" and sys.version_info < (3, 12),
    reason="the pure core cannot tell locals of coroutines in 3.11",
)
def test_a_local_of_a_task_is_named_by_the_task_and_the_fingerprint_is_not(tmp_path):
    numbered = suspect_of(tmp_path, "0")
    assert numbered["holder"] == "task 'Task-2' hold() local 'backlog'"
    assert numbered["path"]["text"].startswith("task 'Task-2' hold() local 'backlog'")
    named = suspect_of(tmp_path, "3", 'it\'s "mine"')
    assert named["holder"] == "task 'it\\'s \"mine\"' hold() local 'backlog'"
    assert named["fingerprint"] == numbered["fingerprint"]
    assert (
        named["origin"] == numbered["origin"] == {"kind": "program", "name": None, "version": None}
    )


def path_from(root):
    hop = Hop(" local 'rows'", "local", "list", -1, 80, None)
    return RetentionPath(root, "task", (hop,))


@pytest.mark.parametrize("name", ["Task-1", "upload", "it's", "a \"b\" 'c'", "it's done() (x) "])
@pytest.mark.parametrize("kind", ["task", "thread"])
def test_no_name_of_a_task_or_thread_is_in_what_is_equal_across_restarts(kind, name):
    path = path_from(f"{kind} {name!r} worker()")
    bare = "task worker() local 'rows'" if kind == "task" else "thread * worker() local 'rows'"
    assert stable_place(path) == bare
    assert without_name(str(path)) == bare.replace("thread * ", "")


@pytest.mark.parametrize("root", ["task 'it\\'s' dumps()", 'thread "it\'s" dumps()'])
def test_the_origin_is_of_the_function_whatever_the_name_of_its_task(root):
    def plant(p, n):
        code = p.node("code", 200, key="code")
        p.names[code] = (p.text("dumps"), p.text("/usr/lib/python3/site-packages/pack/x.py"), 3)

    graph = series(plant)[-1].graph
    assert str(OriginFinder(graph).origin_of(path_from(root))) == "pack"


def suspended(p, task_name, number, n, *, is_local=False):
    """Add a task whose coroutine has a list of n as a local, by itself or in a generator."""
    task, coroutine = (
        p.node(kind, 200, key=(kind, number)) for kind in ("_asyncio.Task", "coroutine")
    )
    p.names[task] = (p.text(task_name), 0, 0)
    p.edge(task, coroutine, K.INTERNAL, "_coro")
    owner = coroutine
    code_of(p, coroutine, "cr_code", "session")
    if is_local:
        owner = p.node("generator", 200, key=("generator", number))
        code_of(p, owner, "gi_code", "rows")
        p.edge(coroutine, owner, K.LOCAL, "found")
    history = p.node("list", 600, key=("history", number), length=n)
    p.edge(owner, history, K.LOCAL, "history")
    for i in range(n):
        p.edge(history, p.node("app.Event", 100, key=("event", number, i)), K.INDEX, position=i)
    return task


def code_of(p, node, field, function):
    code = p.node("code", 200, key=("code", function, node))
    p.edge(node, code, K.INTERNAL, field)
    p.names[code] = (p.text(function), p.text("/home/me/app/server.py"), 12)


def holders_of(plant):
    return [suspect.holder for suspect in find_leaks(series(plant))]


def test_many_tasks_of_one_function_are_one_suspect_without_the_name_of_a_task():
    def plant(p, n):
        tasks = [suspended(p, f"Task-{i}", i, n) for i in range(40)]
        p.module("app", **{f"task_{i}": task for i, task in enumerate(tasks)})

    assert holders_of(plant) == ["40 × task session() local 'history'"]


def test_a_generator_that_a_task_only_has_in_a_variable_is_no_part_of_the_task():
    def plant(p, n):
        p.module("app", task=suspended(p, "Task-7", 7, n, is_local=True))

    assert holders_of(plant) == ["generator rows() local 'history'"]


@pytest.mark.skipif(
    _core.IMPLEMENTATION == "pure" and sys.version_info < (3, 12),
    reason="the pure core cannot tell locals of coroutines in 3.11",
)
def test_the_function_to_look_at_is_the_one_that_has_the_local(tmp_path):
    """Not one of the standard library that happens to use the same name."""
    place = f"{tmp_path / 'program.py'}:8"
    assert f"Look at hold ({place})." in suspect_of(tmp_path, "0")["suggestion"]
