"""A command that runs as root, and a process of a user who is not trusted."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from memlens.attach import agent, by_gdb, exchange
from memlens.attach.by_socket import ask_socket
from memlens.attach.elf import ElfFile, NotElfError
from memlens.attach.exchange import Exchange
from memlens.attach.refusal import RefusalError
from memlens.attach.request import Request
from memlens.attach.target import Target
from memlens.attach.ways import Answer
from memlens.cli import attach as cli_attach
from memlens.errors import AttachError
from memlens.profiler.registry import socket_name
from tests.attach.programs import running

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
USER = 54321


@pytest.fixture
def folder():
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        os.chmod(path, 0o755)
        if not all(parent.stat().st_mode & 0o001 for parent in Path(path).parents):
            pytest.skip("other users cannot reach /tmp")
        yield Path(path)


def left_behind(folder, pid):
    """Make what a killed command leaves."""
    path = folder / f"memlens-attach-{pid}-{'0' * 16}"
    path.mkdir()
    (path / "request.json").touch()
    return path


@contextmanager
def target_with(temporary):
    """Yield a process of another user whose folder for temporary files is this one."""
    sleep = shutil.which("sleep")
    process = subprocess.Popen(
        [sleep, "600"], env={"TMPDIR": str(temporary)}, user=USER, group=USER, extra_groups=[]
    )
    try:
        yield Target(process.pid)
    finally:
        process.kill()
        process.wait()


@needs_root
def test_nothing_is_created_where_the_user_of_the_process_may_not(folder):
    with target_with(folder) as target, Exchange(target, Request("stacks")) as found:
        assert not list(folder.iterdir())
        assert not found.folder.startswith(str(folder))
    (folder / "after").touch()
    assert (folder / "after").stat().st_uid == 0


@needs_root
def test_all_that_is_created_belongs_to_the_user_and_is_private(folder):
    os.chown(folder, USER, USER)
    with target_with(folder) as target, Exchange(target, Request("stacks")) as found:
        assert found.folder.startswith(str(folder))
        for path in (found.folder, found.script, os.path.join(found.folder, "request.json")):
            status = os.stat(path)
            assert (status.st_uid, status.st_gid, status.st_mode & 0o077) == (USER, USER, 0)
    assert not list(folder.iterdir())


@needs_root
def test_a_folder_that_replaces_the_new_one_keeps_its_owner_and_its_files(folder, monkeypatch):
    """The user owns the parent, so may rename there what belongs to root."""
    os.chown(folder, USER, USER)
    (folder / "of-root").mkdir(mode=0o755)
    (folder / "of-root" / "file").touch()
    make = os.mkdir

    def replaced(name, mode=0o777, *, dir_fd=None):
        make(name, mode, dir_fd=dir_fd)
        os.rename(name, "aside", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        os.rename("of-root", name, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        monkeypatch.setattr(exchange.os, "mkdir", make)

    with target_with(folder) as target:
        monkeypatch.setattr(exchange.os, "mkdir", replaced)
        with Exchange(target, Request("stacks")) as found:
            assert not found.folder.startswith(str(folder))
    [kept] = folder.glob("memlens-attach-*")
    assert (kept.stat().st_uid, [path.name for path in kept.iterdir()]) == (0, ["file"])


@needs_root
def test_a_folder_of_another_user_is_not_swept(folder):
    os.chown(folder, USER, USER)
    with target_with(folder) as target:
        planted = left_behind(folder, target.pid)
        with Exchange(target, Request("stacks")):
            assert (planted / "request.json").exists()


@needs_root
def test_a_file_that_the_user_may_not_read_is_no_answer(folder):
    os.chown(folder, USER, USER)
    with target_with(folder) as target, Exchange(target, Request("stacks")) as found:
        answer = Path(found.folder, "answer.json")
        answer.write_text('{"answer": {}}')
        answer.chmod(0o600)
        with pytest.raises(AttachError, match="Permission denied"):
            found.answer()


def test_a_pipe_in_the_place_of_a_library_is_not_waited_for(tmp_path):
    pipe = tmp_path / "libpython3.so"
    os.mkfifo(pipe)
    with pytest.raises(NotElfError, match="is not a regular file"):
        ElfFile(str(pipe))


@needs_root
def test_no_other_user_knows_the_folder_of_an_attached_profiler_before(folder):
    with target_with(folder) as target:
        first, second = (cli_attach._output_dir(target, None) for _ in range(2))
    assert first != second
    assert first.startswith(f"{folder}/memory-profiles-{target.pid}-")


def test_a_script_that_runs_late_uses_no_folder_of_another_user(tmp_path, monkeypatch):
    """The command has deleted its folder, and somebody who has seen its name makes it anew."""
    script = tmp_path / "script.py"
    script.write_text("import os; os.environ['MEMLENS_LATE'] = 'run'")
    monkeypatch.setenv("MEMLENS_LATE", "")
    loader = by_gdb._LOADER.format(folder=str(tmp_path), script=str(script))
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"command": "stacks"}))
    with open(request) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with monkeypatch.context() as patch:
            patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
            exec(loader, {})
            assert agent._take(str(tmp_path)) is None
        assert os.environ["MEMLENS_LATE"] == ""
        assert request.exists()
        exec(loader, {})
        assert agent._take(str(tmp_path)) == {"command": "stacks"}
    assert os.environ["MEMLENS_LATE"] == "run"


def test_what_a_killed_command_leaves_stays_while_a_process_may_run_its_script(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running("sleep") as asked, running("sleep") as other:
        left = left_behind(tmp_path, asked.pid)
        with Exchange(Target(other.pid), Request("stacks")):
            assert left.exists()
        with Exchange(Target(asked.pid), Request("stacks")):
            assert not left.exists()
        left_behind(tmp_path, asked.pid)
        asked.kill()
        asked.wait()
        with Exchange(Target(other.pid), Request("stacks")):
            assert not left.exists()


@needs_root
def test_no_socket_is_used_that_the_user_of_the_process_may_not_use(folder):
    runtime = folder / f"memlens-{USER}"
    runtime.mkdir()
    os.chown(runtime, USER, USER)
    with target_with(folder) as target, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "of-root"))
        (folder / "of-root").chmod(0o600)
        listener.listen()
        listener.setblocking(False)
        (runtime / socket_name(target.pid, target.token)).symlink_to(folder / "of-root")
        with pytest.raises(RefusalError, match="no MemoryProfiler"):
            ask_socket(target, {})
        with pytest.raises(BlockingIOError):
            listener.accept()


@needs_root
def test_a_process_names_snapshots_of_its_user_only(folder, monkeypatch):
    own, of_root, link = (folder / name for name in ("own.memlens", "root.memlens", "link.memlens"))
    own.touch()
    os.chown(own, USER, USER)
    of_root.touch()
    link.symlink_to(own)
    named = []
    answer = Answer("socket", {"snapshots": named})
    monkeypatch.setattr(cli_attach, "ask", lambda *arguments, **more: answer)
    with target_with(folder) as target, ExitStack() as stack:
        named.append(str(own))
        assert cli_attach.snapshot_paths_of(target.pid, stack) == named
        for path in (of_root, link, "/dev/zero"):
            named[:] = [str(path)]
            with pytest.raises(AttachError, match="names a file of another user"):
                cli_attach.snapshot_paths_of(target.pid, stack)
