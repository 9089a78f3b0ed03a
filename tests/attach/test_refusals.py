"""What cannot be asked: each refusal says why, and what to do."""

import os
import shutil
import subprocess
import sys

import pytest

from memlens.attach import by_gdb, gdb_commands, request, target, ways
from memlens.attach.request import Request
from memlens.attach.target import Target, permission_advice
from memlens.attach.ways import ask
from memlens.cli.main import main
from memlens.errors import AttachError
from tests.attach.programs import HAS_GDB, HAS_REMOTE, running, state_of

SOME_WAY = "gdb" if HAS_GDB else "remote"
needs_a_way = pytest.mark.skipif(not HAS_GDB and not HAS_REMOTE, reason="needs gdb or Python 3.14")
needs_gdb = pytest.mark.skipif(not HAS_GDB, reason="needs gdb")


def test_a_process_that_does_not_exist_or_has_ended(capsys):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie until wait()
    assert main(["dump", str(ended.pid)]) == 2
    assert f"process {ended.pid} has ended" in capsys.readouterr().err
    ended.wait()
    assert main(["stacks", str(ended.pid)]) == 2
    assert f"process {ended.pid} does not exist; list the Python" in capsys.readouterr().err


def test_this_process_itself(capsys):
    assert main(["stacks", str(os.getpid())]) == 2
    assert "this is the process of the command itself" in capsys.readouterr().err


def test_a_process_that_runs_no_python():
    other = subprocess.Popen([shutil.which("sleep"), "600"])
    try:
        with pytest.raises(AttachError, match="runs no CPython: give the process id of the interp"):
            ask(Target(other.pid), Request("stacks"))
    finally:
        other.kill()
        other.wait()


def test_a_python_that_is_too_old(monkeypatch):
    monkeypatch.setattr(target, "_VERSION_SYMBOL", "Py_OfTheFuture")
    with running("sleep") as process, pytest.raises(AttachError, match=r"is older than 3\.11"):
        ask(Target(process.pid), Request("stacks"))


def test_a_stopped_process_is_left_alone():
    with running("sleep") as process:
        process.send_signal(19)  # SIGSTOP
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(AttachError, match=f"let it continue by: kill -CONT {process.pid}"):
            ask(Target(process.pid), Request("stacks"))
        assert state_of(process.pid) == "T"


def test_each_way_says_why_it_is_closed(monkeypatch):
    monkeypatch.setattr(by_gdb.shutil, "which", lambda name: None)
    with running("sleep") as process, pytest.raises(AttachError) as raised:
        ask(Target(process.pid), Request("stacks"), timeout_seconds=0.1)
    lines = str(raised.value).splitlines()
    assert lines[0] == f"process {process.pid} cannot be asked:"
    assert lines[1] == "  socket: no MemoryProfiler with a control socket runs in it"
    if HAS_REMOTE:
        assert (
            "remote: it has not begun within 0.1 s: its main thread waits or computes" in lines[2]
        )
    else:
        assert "remote: it needs Python 3.14, and the process runs 3." in lines[2]
    assert lines[3].startswith("  gdb: gdb is not installed here: install it (apt-get install gdb")


@pytest.mark.skipif(not HAS_REMOTE, reason="needs Python 3.14")
@pytest.mark.parametrize(
    ("options", "env"),
    [(("-X", "disable-remote-debug"), {}), ((), {"PYTHON_DISABLE_REMOTE_DEBUG": "1"})],
)
def test_remote_debugging_that_is_off(options, env):
    with (
        running("busy", options=options, env=env) as process,
        pytest.raises(AttachError, match="remote debugging is off in it"),
    ):
        ask(Target(process.pid), Request("stacks"), way="remote")


@pytest.mark.skipif(not HAS_REMOTE, reason="needs Python 3.14")
def test_a_request_that_was_withdrawn_is_not_answered_later():
    with running("select") as process:
        with pytest.raises(AttachError, match="its main thread waits or computes in C"):
            ask(Target(process.pid), Request("stacks"), way="remote", timeout_seconds=0.1)
        process.stdin.write(b"x")  # the main thread comes back and ends the program
        process.stdin.flush()
        assert process.wait(60) == 0


@needs_gdb
def test_a_thread_that_keeps_the_gil_is_not_waited_for_without_end():
    with running("gil") as process:
        with pytest.raises(AttachError, match=r"not begun within 0\.5 s: a thread .* the GIL"):
            ask(Target(process.pid), Request("stacks"), way="gdb", timeout_seconds=0.5)
        assert state_of(process.pid) == "S"
        assert process.poll() is None


@needs_gdb
def test_a_gdb_that_fails(monkeypatch, tmp_path):
    broken = tmp_path / "gdb"
    broken.write_text("#!/bin/sh\necho 'Python scripting is not supported in this copy of GDB.'\n")
    broken.chmod(0o755)
    monkeypatch.setattr(by_gdb.shutil, "which", lambda name: str(broken))
    with running("sleep") as process, pytest.raises(AttachError, match="install the full gdb"):
        ask(Target(process.pid), Request("stacks"), way="gdb")


@needs_a_way
def test_a_process_without_memlens_gets_that_of_the_command(tmp_path, capsys):
    with running("without memlens", env={"PYTHONPATH": ""}, cwd=tmp_path) as process:
        path = tmp_path / "heap.memlens"
        assert main(["dump", str(process.pid), "--way", SOME_WAY, "-o", str(path)]) == 0
    assert "memlens is not installed in the environment of the process" in capsys.readouterr().err
    assert path.exists()


@needs_a_way
def test_a_process_of_another_version_without_memlens(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(request, "sys", type("Other", (), {"version_info": (3, 10, 1)}))
    with running("without memlens", env={"PYTHONPATH": ""}, cwd=tmp_path) as process:
        assert main(["dump", str(process.pid), "--way", SOME_WAY, "-o", str(tmp_path / "a")]) == 2
        assert main(["stacks", str(process.pid), "--way", SOME_WAY]) == 0  # needs no memlens there
    printed = capsys.readouterr()
    assert "it is for Python 3.10, not 3." in printed.err
    assert f"install it there by: {sys.executable} -m pip install memlens" in printed.err
    assert "thread MainThread" in printed.out


@pytest.mark.parametrize(
    ("scope", "is_root", "advice"),
    [
        ("3", True, "the system lets nobody attach"),
        ("2", False, "lets only administrators attach"),
        ("1", False, "sudo sysctl kernel.yama.ptrace_scope=0"),
        ("1", True, "docker run --cap-add=SYS_PTRACE"),
        ("0", False, "docker run --cap-add=SYS_PTRACE"),
        (None, False, "docker run --cap-add=SYS_PTRACE"),
    ],
)
def test_advice_for_what_the_system_refuses(scope, is_root, advice, tmp_path, monkeypatch):
    path = tmp_path / "ptrace_scope"
    if scope is not None:
        path.write_text(f"{scope}\n")
    with running("sleep") as process:
        examined = Target(process.pid)
        assert examined.is_own
        monkeypatch.setattr(target.os, "geteuid", lambda: 0 if is_root else examined.user)
        if os.getuid() == 0 and not is_root:
            examined.user = 1000
            monkeypatch.setattr(target.os, "geteuid", lambda: 1000)
        assert advice in permission_advice(examined, str(path))


def test_advice_for_a_process_of_another_user(monkeypatch):
    with running("sleep") as process:
        examined = Target(process.pid)
        examined.user = 1234
        monkeypatch.setattr(target.os, "geteuid", lambda: 1000)
        assert "belongs to user 1234, and this command runs as user 1000: run it as that user" in (
            permission_advice(examined)
        )


def test_threads_in_the_allocator_are_not_used():
    safe = [("clock_nanosleep", "/lib/libc.so.6"), (None, "/usr/lib/libpython3.11.so")]
    assert not gdb_commands.is_unsafe(safe)
    for name in ("malloc", "cfree", "_int_realloc", "__libc_fork", "_dl_open", "start_thread"):
        assert gdb_commands.is_unsafe([(name, "/lib/libc.so.6"), *safe])
    assert gdb_commands.is_unsafe([(None, "/usr/lib/libjemalloc.so.2"), *safe])


def test_the_source_is_where_the_code_expects_it():
    addresses = dict(zip(gdb_commands.CALLED, range(1, 6), strict=True))
    code, data = gdb_commands.code_and_data(addresses, "pass")
    assert len(code) == gdb_commands.PAGE
    assert data[0x30:] == b"pass\0"
    assert ways.WAYS == ("socket", "remote", "gdb")


@pytest.mark.skipif(HAS_GDB or shutil.which("gdb") is None, reason="needs a gdb that cannot")
def test_a_gdb_that_cannot_write_registers_is_refused_before_it_changes_any():
    with running("sleep") as process:
        with pytest.raises(AttachError, match="install gdb 14 or later"):
            ask(Target(process.pid), Request("stacks"), way="gdb")
        assert process.poll() is None


class FailingRegisters:
    """Stands in for the module ``gdb``: registers can be read, and written ``writes`` times."""

    class error(Exception):  # noqa: N801 - as gdb names it
        pass

    def __init__(self, writes):
        self.writes = writes
        self.value = 7

    def parse_and_eval(self, text):
        _, _, word = text.partition(" = ")
        if word:
            if not self.writes:
                raise self.error("Couldn't write extended state status: Bad address.")
            self.writes -= 1
            self.value = int(word)
        return self.value


def test_registers_are_tried_and_left_as_they_were():
    works = FailingRegisters(writes=2)
    assert gdb_commands.why_no_registers(works) is None
    assert (works.writes, works.value) == (0, 7)
    fails = FailingRegisters(writes=0)
    assert "Bad address" in gdb_commands.why_no_registers(fails)
    assert fails.value == 7
