"""Profilers of child processes: each has its own sampler, files, identity and reports."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

import memlens
from memlens import _core
from memlens.process.identity import identify
from memlens.profiler.analysis import Analysis
from memlens.profiler.file_owner import list_files
from tests.profiler.planted import profiler_in

pytestmark = pytest.mark.skipif(_core.fork_capture is None, reason="captures would be too slow")

START = """
import json, multiprocessing, os, sys, time
import memlens

profiler = memlens.MemoryProfiler(sys.argv[1], sample_interval=0.05, snapshot_interval=0.1,
                                  max_snapshots=200)

def is_mine(record):
    return f"-{os.getpid()}-" in record.path

def wait_for_snapshots(*ignored):
    # Until three snapshots of this process are there, however busy the machine is.
    deadline = time.monotonic() + 60
    while sum(map(is_mine, profiler.snapshots)) < 3:
        assert time.monotonic() < deadline, profiler.health()
        time.sleep(0.01)
    return tell()

def tell():
    health = profiler.health()
    return {
        "pid": os.getpid(),
        "is_mine": all(map(is_mine, profiler.snapshots)),
        "first": profiler.snapshots[0].reason,
        "failures": health["failures"],
        "allocations": health["allocations"]["is_running"],
        "readings": health["sampler"]["readings_taken"],
    }
"""


def run(tmp_path, body, *words):
    script = tmp_path / "script.py"
    script.write_text(START + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out"), *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,  # where the server of forkserver finds modules
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


POOL = """
    profiler.start()  # at import: the children of spawn start their own, forked ones continue

    if __name__ == "__main__":
        with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
            told = pool.map(wait_for_snapshots, range(2), chunksize=1)
            pool.close()
            pool.join()
        profiler.stop()
        print(json.dumps(told))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_process_of_a_pool_has_its_own_baseline_and_files(tmp_path, method):
    told = run(tmp_path, POOL, method)
    for worker in told:
        assert worker["is_mine"]
        assert worker["first"] == "startup"
        assert worker["failures"] == 0
        assert worker["allocations"]
        assert worker["readings"] >= 2
    named = {}
    for file in list_files(str(tmp_path / "out")):
        identity = memlens.load(file.path).facts["identity"]
        assert identity["pid"] == file.pid
        named[file.pid] = identity["kind"]
    workers = {worker["pid"] for worker in told}
    assert {named[pid] for pid in workers} == {"multiprocessing"}
    assert [kind for pid, kind in named.items() if pid not in workers] == ["main"]


def test_server_of_forkserver_takes_no_snapshots_and_does_not_warn(tmp_path):
    (tmp_path / "preloaded.py").write_text(
        "import sys; sys.argv = ['preloaded', sys.argv[1]] if len(sys.argv) > 1 else"
        f" ['preloaded', {str(tmp_path / 'out')!r}]\n" + START + "\nprofiler.start()\n"
    )
    body = f"""
        sys.path.insert(0, {str(tmp_path)!r})
        if __name__ == "__main__":
            import importlib
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["preloaded"])
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1, context) as executor:
                found = executor.submit(in_worker).result()
            print(json.dumps(found))

        def in_worker():
            import preloaded
            return preloaded.wait_for_snapshots()
    """
    body = textwrap.dedent(body)
    main, worker = body.split("def in_worker")
    start, main = main.split("if __name__")
    told = run(tmp_path, f"{start}\ndef in_worker{worker}\nif __name__{main}")
    assert told["is_mine"]
    assert told["first"] == "startup"
    assert {file.pid for file in list_files(str(tmp_path / "out"))} == {told["pid"]}


def test_report_says_which_process_it_is_of(tmp_path):
    with profiler_in(tmp_path) as profiler:
        profiler.take_snapshot()
        report = profiler.report()
    assert report.identity == identify()
    assert report.leaks.identity == report.identity
    assert report.to_dict()["identity"]["pid"] == os.getpid()


def test_written_leak_report_has_identity_time_and_memory(tmp_path):
    with profiler_in(tmp_path) as profiler:
        profiler.take_snapshot()
        path = profiler._store.write(profiler.report().leaks)
    with open(path, encoding="utf-8") as file:
        values = json.load(file)
    assert values["identity"]["pid"] == os.getpid()
    assert values["memory"]["rss_bytes"] > 0
    assert values["timestamp"] >= profiler.snapshots[-1].timestamp


def test_forked_child_closes_the_pipes_of_an_analysis_of_its_parent():
    analysis = Analysis()
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        analysis._child._process = process
        child = os.fork()
        if child == 0:
            analysis.forget()
            is_closed = process.stdin.raw.closed and process.stdout.raw.closed
            os._exit(0 if is_closed and analysis._child._process is None else 1)
        _, status = os.waitpid(child, 0)
        process.stdin.close()
    assert os.waitstatus_to_exitcode(status) == 0
