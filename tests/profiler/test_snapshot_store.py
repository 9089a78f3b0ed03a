"""The output folder shared by several processes: bounds, owners of files, modes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

import memlens
from memlens._atomic import PendingFile
from memlens.errors import OutputError
from memlens.process import start
from memlens.profiler.file_owner import is_running, list_files, owner_suffix, process_token
from tests.profiler.planted import profiler_in

SUFFIX = owner_suffix()


def add(folder, owner, minute, size_bytes=1000, kind="heap-periodic", suffix=".memlens"):
    """Write a file as a process ``owner`` (id and token) would have at 12:<minute>."""
    path = folder / f"{kind}-20250101T12{minute:02d}00000Z-{owner}{suffix}"
    path.write_bytes(bytes(size_bytes))
    return path.name


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "profiles"
    path.mkdir()
    return path


@pytest.fixture
def ended():
    """Ids of processes that have ended, with the tokens of their starts."""
    owners = []
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        owners.append(f"{child.pid}-{process_token(child.pid)}")
        assert is_running((child.pid, process_token(child.pid)))
        child.communicate(b"\n")
    return owners


def names(folder):
    return sorted(os.listdir(folder))


def test_files_of_the_process_that_ended_first_are_deleted_first(planted, folder, ended):
    first, second, third = ended
    kept = [add(folder, third, 40), add(folder, second, 30)]
    add(folder, first, 10)
    add(folder, first, 20)
    profiler = profiler_in(folder.parent, max_snapshots=4)
    own = [os.path.basename(profiler.take_snapshot().path) for _ in range(2)]
    assert names(folder) == sorted([*kept, *own])


def test_bytes_are_bounded_over_all_processes(planted, folder, ended):
    for minute, owner in enumerate(ended * 4):
        add(folder, owner, minute, size_bytes=1 << 20)
    profiler = profiler_in(folder.parent, max_snapshots=100, max_snapshot_bytes=4 << 20)
    profiler.take_snapshot()
    total = sum(os.path.getsize(folder / name) for name in names(folder))
    assert 3 << 20 < total <= 4 << 20


def test_files_of_running_processes_are_kept(planted, folder):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = f"{child.pid}-{process_token(child.pid)}"
        theirs = [add(folder, owner, minute, size_bytes=1 << 20) for minute in range(3)]
        profiler = profiler_in(folder.parent, max_snapshots=2, max_snapshot_bytes=1)
        for _ in range(4):
            profiler.take_snapshot()
    finally:
        child.communicate(b"\n")
    assert set(theirs) < set(names(folder))
    assert len(profiler.snapshots) == 2
    profiler.take_snapshot()
    assert not set(theirs) & set(names(folder))


def test_reused_process_id_does_not_protect_files(planted, folder):
    add(folder, f"{os.getpid()}-1", 10)
    profiler = profiler_in(folder.parent, max_snapshots=2)
    own = [os.path.basename(profiler.take_snapshot().path) for _ in range(2)]
    assert names(folder) == sorted(own)


def test_foreign_files_are_never_deleted(planted, folder):
    foreign = [
        "heap-manual-20250101T120000000Z-1.memlens",
        "heap.memlens",
        "notes.txt",
        "leak.json",
    ]
    for name in foreign:
        (folder / name).write_bytes(bytes(1 << 20))
    profiler = profiler_in(folder.parent, max_snapshots=2, max_snapshot_bytes=1)
    for _ in range(3):
        profiler.take_snapshot()
    assert set(foreign) < set(names(folder))


def test_reports_are_bounded_over_all_processes(planted, folder, ended):
    for minute, owner in enumerate(ended):
        for suffix in (".json", ".txt"):
            add(folder, owner, minute, kind="leak", suffix=suffix)
    profiler = profiler_in(folder.parent, max_reports=2)
    for _ in range(2):
        profiler.take_snapshot()
    report = profiler.report().leaks
    paths = [profiler._store.write(report) for _ in range(3)]
    kept = [os.path.basename(path).removesuffix(".json") for path in paths[1:]]
    reports = [name for name in names(folder) if name.startswith("leak-")]
    assert reports == sorted([f"{name}{suffix}" for name in kept for suffix in (".json", ".txt")])


def test_recycled_workers_keep_the_folder_within_its_bounds(folder):
    """Each worker takes snapshots and ends; the next one starts in the same folder."""
    script = (
        "import memlens\n"
        f"profiler = memlens.MemoryProfiler({str(folder)!r}, max_snapshots=3, allocations=None)\n"
        "for _ in range(2): profiler.take_snapshot()\n"
    )
    for _ in range(4):
        subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert len(list_files(str(folder))) == 3


def test_start_deletes_the_unfinished_files_of_killed_processes(planted, folder):
    script = (
        "import os, signal\n"
        "from memlens._atomic import PendingFile\n"
        f"pending = PendingFile({str(folder / 'heap.memlens')!r})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(names(folder)) == 1
    with PendingFile(folder / "unfinished.memlens") as running:
        profiler_in(folder.parent, allocations=None).start().stop()
        parts = [name for name in names(folder) if name.endswith(".part")]
        assert parts == [os.path.basename(running.name)]


def test_deleted_snapshot_is_left_out_of_the_report(planted, folder):
    profiler = profiler_in(folder.parent)
    records = [profiler.take_snapshot() for _ in range(4)]
    os.unlink(records[1].path)
    report = profiler.report()
    assert [record.path for record in report.snapshots] == [
        record.path for record in records if record is not records[1]
    ]
    assert report.leaks.snapshot_count == 3


def test_created_folder_is_private_and_an_existing_one_keeps_its_mode(planted, tmp_path):
    profiler = profiler_in(tmp_path)
    path = profiler.take_snapshot().path
    assert os.stat(tmp_path / "profiles").st_mode & 0o777 == 0o700
    assert os.stat(path).st_mode & 0o777 == 0o600
    os.chmod(tmp_path / "profiles", 0o755)
    profiler.take_snapshot()
    assert os.stat(tmp_path / "profiles").st_mode & 0o777 == 0o755


def test_file_name_holds_reason_time_process_and_start(planted, tmp_path):
    profiler = profiler_in(tmp_path)
    profiler.take_snapshot("before-deploy-2")
    (file,) = list_files(profiler.output_dir)
    assert (file.kind, file.pid, file.token) == ("heap", os.getpid(), process_token(os.getpid()))
    assert file.time[:8] == time.strftime("%Y%m%d", time.gmtime())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_zombie_counts_as_ended():
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read, 1)
        os._exit(0)
    token = process_token(pid)
    assert is_running((pid, token))
    os.write(write, b"x")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # ended, but not reaped
    try:
        assert not is_running((pid, token))
    finally:
        os.waitpid(pid, 0)
        os.close(read)
        os.close(write)


def test_without_proc_psutil_recognizes_processes(monkeypatch):
    monkeypatch.setattr(start, "_stat_fields", lambda pid: None)
    token = process_token(os.getpid())
    assert token == process_token(os.getpid())
    assert is_running((os.getpid(), token))
    assert not is_running((os.getpid(), f"{int(token, 16) + 1:x}"))
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not is_running((child.pid, token))


def test_pattern_matches_the_files_of_this_process(tmp_path, planted):
    profiler = memlens.MemoryProfiler(tmp_path, allocations=None)
    assert profiler._store.pattern.endswith(f"heap-*-{SUFFIX}.memlens")


def test_folder_that_cannot_be_read_now_raises_only_our_error(planted, folder, monkeypatch):
    def no_descriptors(path):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    profiler = profiler_in(folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", no_descriptors)
        with pytest.raises(OutputError, match="cannot read the folder"):
            profiler.take_snapshot()
    assert len(profiler.snapshots) == 1  # it was written, only the others were not counted
    profiler.take_snapshot()
    assert len(profiler.snapshots) == 2
