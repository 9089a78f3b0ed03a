"""The commands dump, attach, report PID and stacks, from a terminal's point of view."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memlens.cli.main import main
from tests.attach.programs import (
    HAS_GDB,
    HAS_REMOTE,
    PROGRAMS,
    ROOT,
    START,
    memlens_command,
    running,
    state_of,
)

needs_a_way = pytest.mark.skipif(not HAS_GDB and not HAS_REMOTE, reason="needs gdb or Python 3.14")
needs_gdb = pytest.mark.skipif(not HAS_GDB, reason="needs gdb")


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Let programs and commands have a folder for temporary files of their own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    yield folder
    assert os.listdir(folder) == []


def test_a_running_profiler_is_asked_by_its_socket(tmp_path, capsys):
    with running("profiler", tmp_path / "profiles") as process:
        pid = str(process.pid)
        assert main(["dump", pid, "--way", "socket", "-o", "heap.memlens"]) == 0
        assert main(["stacks", pid, "--way", "socket"]) == 0
        assert main(["attach", pid]) == 0
        assert main(["attach", "--stop", pid]) == 2
        assert main(["report", pid]) == 0
        printed = capsys.readouterr()
        process.stdin.close()
        assert process.stdout.readline() == b"stopped\n"
        assert main(["stacks", pid, "--way", "socket"]) == 2
        process.stdin = None
    assert re.match(r"heap\.memlens: [\d,]+ objects, [\d.]+ \w+; the process paused", printed.out)
    assert "thread MainThread" in printed.out
    assert f"a profiler runs in process {pid} already; its snapshots are in" in printed.out
    assert "only the program may stop it" in printed.err
    assert f"Process {pid}: 2 snapshots over" in printed.out
    assert "no MemoryProfiler with a control socket" in capsys.readouterr().err
    assert len(list((tmp_path / "profiles").glob("heap-*.memlens"))) == 2


@needs_a_way
def test_attach_report_and_stop(tmp_path, capsys):
    with running("threads") as process:
        pid = str(process.pid)
        assert main(["report", pid]) == 0
        assert (
            "no profiler answers in the process, so this is one snapshot" in capsys.readouterr().err
        )
        assert main(["attach", pid]) == 0
        started = capsys.readouterr().out
        assert f"its snapshots are in {tmp_path / 'memory-profiles'}" in started
        assert main(["report", "--json", pid]) == 0
        assert json.loads(capsys.readouterr().out)["pid"] == process.pid
        assert main(["attach", pid]) == 0
        assert "runs in process" in capsys.readouterr().out
        assert main(["attach", "--stop", pid]) == 0
        assert f"the profiler in process {pid} has stopped" in capsys.readouterr().out
        assert main(["attach", "--stop", pid]) == 2
        assert "no profiler that attach started runs in this process" in capsys.readouterr().err
        assert process.poll() is None
    names = [path.name for path in (tmp_path / "memory-profiles").iterdir()]
    assert sorted(name.split("-")[1] for name in names) == ["request", "startup", "stop"]


@needs_a_way
def test_stacks_show_tasks_and_no_values(capsys):
    with running("asyncio") as process:
        assert main(["stacks", "--json", str(process.pid)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main(["stacks", str(process.pid)]) == 0
    assert found["pid"] == process.pid
    [thread, *tasks] = found["stacks"]
    assert (thread["kind"], thread["name"]) == ("thread", "MainThread")
    assert sorted(task["name"] for task in tasks)[1:] == ["t0", "t1", "t2"]
    frames = {task["name"]: [frame["function"] for frame in task["frames"]] for task in tasks}
    assert frames["t1"] == ["wait_for", "Event.wait"]
    text = capsys.readouterr().out
    assert text.startswith(f"Process {process.pid}: 1 thread, 4 suspended asyncio tasks\n")
    assert "task t1 (wait_for(), awaits Future" in text


@needs_a_way
def test_the_name_of_the_file_says_when_and_whose(tmp_path, capsys):
    with running("busy") as process:
        assert main(["dump", str(process.pid)]) == 0
    [path] = tmp_path.glob("*.memlens")
    assert re.fullmatch(rf"heap-dump-\d{{8}}T\d{{9}}Z-{process.pid}-[0-9a-f]+\.memlens", path.name)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_refused_first(capsys):
    with running("busy") as process:
        assert main(["dump", str(process.pid), "-o", "missing/heap.memlens"]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_file_named_like_a_process_is_read(tmp_path, capsys):
    (tmp_path / "1").write_text("text")
    assert main(["report", "1"]) == 2
    assert "1" in capsys.readouterr().err


@needs_a_way
@pytest.mark.parametrize("program", ["sleep", "busy"])
def test_a_program_that_was_examined_ends_without_a_word(program, tmp_path):
    """Up to Python 3.12 the thread that imports ``threading`` would count as the main thread."""
    if program == "sleep" and not HAS_GDB:
        pytest.skip("needs gdb")
    ends = {
        "sleep": "sys.stdin.read()",
        "busy": "end = time.time() + 600\nwhile not os.path.exists(sys.argv[1]): pass",
    }
    name = "import threading\nprint(threading.current_thread().name)"
    start = START.replace("asyncio, ctypes, os, select, sys, threading, time", "os, sys, time")
    mark = tmp_path / "mark"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{start}\nready()\n{ends[program]}\n{name}", str(mark)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    assert memlens_command("dump", process.pid, "-o", tmp_path / "a.memlens").returncode == 0
    mark.touch()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"MainThread\n", b"")


@needs_gdb
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_ended_midway_leaves_the_process_running(end, temporary, capsys):
    with running("sleep") as process:
        command = subprocess.Popen(
            [sys.executable, "-m", "memlens", "stacks", "--way", "gdb", str(process.pid)],
            env={**os.environ, "PYTHONPATH": ROOT}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        while not tracer_of(process.pid) and command.poll() is None:
            pass
        assert command.poll() is None
        command.send_signal(end)
        assert command.wait(60) == -end
        while tracer_of(process.pid):
            pass
        while (state := state_of(process.pid)) == "R":  # its thread has just been let go
            pass
        assert state == "S"
        assert process.poll() is None
        assert main(["stacks", str(process.pid)]) == 0  # and this one sweeps
    for path in temporary.glob("memlens-gdb-*"):  # what a killed command leaves
        assert end == signal.SIGKILL
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


def tracer_of(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"TracerPid:\s*(\d+)", status)[1])


@needs_a_way
def test_a_forked_process_is_another_one(capsys):
    program = (
        START
        + """
read, write = os.pipe()
child = os.fork()
if child == 0: child = os.getpid()
else: print(child, flush=True)
while True: sum(range(100))
"""
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        child = int(process.stdout.readline())
        for pid in (child, process.pid):
            assert main(["dump", str(pid), "-o", f"{pid}.memlens"]) == 0
            assert f"{pid}.memlens: " in capsys.readouterr().out
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("name", ["busy", "profiler"])
def test_a_process_in_namespaces_of_its_own(name, tmp_path, capsys):
    """Its /tmp is another one, and its process id, as in a container."""
    if name == "busy" and not HAS_GDB and not HAS_REMOTE:
        pytest.skip("needs gdb or Python 3.14")
    mount = f"mount -t tmpfs none {tmp_path / 'temporary'}"
    inside = f'{mount} && exec {sys.executable} -c "$0" /tmp/profiles'
    isolated = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"]
    try:
        trial = subprocess.run([*isolated, "mount -t tmpfs none /mnt"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if trial.returncode:
        pytest.skip("this user may not make namespaces")
    process = subprocess.Popen(
        [*isolated, inside, START + PROGRAMS[name]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT},
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == b"ready\n"
        [pid] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        way = {"busy": "gdb" if HAS_GDB else "remote", "profiler": "socket"}[name]
        assert main(["dump", pid, "-o", "heap.memlens", "--way", way]) == 0
        assert (tmp_path / "heap.memlens").exists()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
