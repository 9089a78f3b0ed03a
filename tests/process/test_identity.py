"""Which process of a service one is, without its arguments."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from memlens.process import ProcessIdentity, identify
from memlens.process.identity import RUN_VARIABLE, is_started_as, program_name

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def run(tmp_path, body, *words):
    """Run a script with the function ``tell``, which prints the identity; return what was told."""
    start = """
        import json, multiprocessing, os, sys

        def tell(*ignored):
            from memlens.process import identify
            print(json.dumps(identify().to_dict()), flush=True)
    """
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(start) + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, str(path), *words],
        env=ENVIRONMENT,
        cwd=tmp_path,  # where the server of forkserver finds modules
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_program_is_named_without_its_arguments(tmp_path):
    (told,) = run(tmp_path, "tell()", "--password=secret")
    assert (told["program"], told["kind"], told["name"]) == ("script.py", "main", None)
    assert told["parent_pid"] == os.getpid()
    assert "secret" not in json.dumps(told)


def test_start_and_host_are_those_of_the_system(monkeypatch):
    psutil = pytest.importorskip("psutil")
    monkeypatch.setenv(RUN_VARIABLE, "run")
    found = identify()
    assert found.started_at == psutil.Process().create_time()
    assert found.hostname == os.uname().nodename
    assert found.run_id == "run"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_process_of_multiprocessing_has_its_name(tmp_path, method):
    body = f"""
        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            process = context.Process(target=tell, name="reader")
            process.start()
            process.join()
            print(json.dumps(process.pid))
    """
    told, pid = run(tmp_path, body)
    assert (told["kind"], told["name"], told["pid"]) == ("multiprocessing", "reader", pid)


def test_executor_of_concurrent_futures_has_named_processes(tmp_path):
    body = """
        if __name__ == "__main__":
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
                executor.submit(tell).result()
    """
    (told,) = run(tmp_path, body)
    assert (told["kind"], told["name"]) == ("multiprocessing", "SpawnProcess-1")


def test_kind_is_known_at_the_end_of_a_process_too(tmp_path):
    body = """
        from multiprocessing import util

        def target():
            tell()
            util.Finalize(None, tell, exitpriority=-1000)

        if __name__ == "__main__":
            process = multiprocessing.get_context("spawn").Process(target=target)
            process.start()
            process.join()
    """
    first, last = run(tmp_path, body)
    assert first["kind"] == last["kind"] == "multiprocessing"


def test_forked_child_is_not_the_main_process(tmp_path):
    body = """
        import memlens.process.identity
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        tell()
    """
    assert sorted(told["kind"] for told in run(tmp_path, body)) == ["fork", "main"]


def test_server_of_forkserver_is_recognised_before_and_after_its_start(tmp_path):
    (tmp_path / "preloaded.py").write_text(
        "import json; from memlens.process import identify\n"
        "print(json.dumps(identify().kind), flush=True)\n"
    )
    body = f"""
        sys.path.insert(0, {str(tmp_path)!r})
        if __name__ == "__main__":
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["preloaded"])
            process = context.Process(target=tell)
            process.start()
            process.join()
    """
    server, worker = run(tmp_path, body)
    assert server == "fork server"
    assert worker["kind"] == "multiprocessing"


def test_command_of_a_helper_is_recognised(monkeypatch):
    command = "from multiprocessing.forkserver import main; main(5, 6, ['__main__'])"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-E", "-c", command])
    assert is_started_as("multiprocessing.forkserver")
    assert not is_started_as("multiprocessing.resource_tracker")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c"])
    assert not is_started_as("multiprocessing.forkserver")


def test_package_that_runs_as_a_module_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/lib/gunicorn/__main__.py", "app:app"])
    assert program_name() == "gunicorn"


def test_identity_survives_json():
    found = identify()
    assert ProcessIdentity.from_facts(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": "1"},
        {"pid": True},
        {"kind": None},
        {"hostname": 1},
        {"name": 5},
        {"started_at": "x"},
    ],
)
def test_wrong_identity_of_a_file_is_none(changes):
    assert ProcessIdentity.from_facts({**identify().to_dict(), **changes}) is None


@pytest.mark.parametrize("value", [None, [], "text", {}])
def test_file_without_an_identity_has_none(value):
    assert ProcessIdentity.from_facts(value) is None


def test_text_says_which_process_it_is():
    found = ProcessIdentity(5, 4, "app.py", "multiprocessing", "reader", "host", None)
    assert str(found) == "5, multiprocessing reader of app.py on host, parent 4"
    assert repr(found) == f"<ProcessIdentity: {found}>"


@pytest.mark.parametrize("begin", ["", "import sys; "])
def test_a_server_is_recognised_by_what_it_was_started_for(monkeypatch, begin):
    code = f"{begin}from multiprocessing.forkserver import main; main(3, 4, [])"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", code])
    assert is_started_as("multiprocessing.forkserver")
    assert not is_started_as("multiprocessing.resource_tracker")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", f"print(1); {code}"])
    assert not is_started_as("multiprocessing.forkserver")
