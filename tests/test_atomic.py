"""Atomic writes: private temporary names, no followed links, leftovers of killed writers."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from memlens import _atomic
from memlens._atomic import PendingFile, make_folder, open_whole, sweep_leftovers, write_whole
from memlens.errors import OptionError, OutputError

ROOT = Path(__file__).resolve().parent.parent


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_file_is_private_and_replaces_an_existing_one(tmp_path):
    target = tmp_path / "x"
    target.write_bytes(b"old")
    target.chmod(0o644)
    assert write_whole(target, b"new") == 3
    assert target.read_bytes() == b"new"
    assert mode_of(target) == 0o600
    assert os.listdir(tmp_path) == ["x"]


def test_data_is_synced_before_the_file_gets_its_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
    write_whole(tmp_path / "x", b"data")
    assert calls[:2] == ["fsync", "replace"]


def test_link_planted_under_the_temporary_name_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    tokens = iter(["0" * 16, "1" * 16])
    monkeypatch.setattr(_atomic.secrets, "token_hex", lambda size: next(tokens))
    planted = tmp_path / f"x.{os.getpid()}-{'0' * 16}.part"
    planted.symlink_to(victim)
    write_whole(tmp_path / "x", b"new")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "x").read_bytes() == b"new"
    assert not (tmp_path / "x").is_symlink()


def test_link_planted_under_the_target_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "x").symlink_to(victim)
    write_whole(tmp_path / "x", b"new")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "x").is_symlink()
    assert mode_of(tmp_path / "x") == 0o600


def test_temporary_names_cannot_be_predicted(tmp_path):
    with PendingFile(tmp_path / "x") as first, PendingFile(tmp_path / "x") as second:
        assert first.name != second.name
        assert mode_of(first.name) == 0o600


def test_long_name_leaves_room_for_the_temporary_suffix(tmp_path):
    for name in ("n" * 255, "ä" * 127):
        write_whole(tmp_path / name, b"data")
        assert (tmp_path / name).read_bytes() == b"data"


def test_failure_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(KeyError), open_whole(tmp_path / "x") as file:
        file.write(b"half")
        raise KeyError("stop")
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_full_disk_raises_output_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OutputError, match=r"cannot write .*No space left"):
        write_whole(tmp_path / "x", b"data")
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/dev/fd")) == before


def test_target_that_is_a_folder_raises_output_error(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(tmp_path / "x", b"data")
    assert os.listdir(tmp_path) == ["x"]


def test_paths_of_wrong_type_and_with_null_characters_are_refused(tmp_path):
    with pytest.raises(OptionError, match="null character"):
        write_whole(f"{tmp_path}/a\0b", b"")
    with pytest.raises(OptionError, match="not int"):
        write_whole(7, b"")
    write_whole(os.fsencode(tmp_path / "x"), b"data")
    assert (tmp_path / "x").read_bytes() == b"data"


def test_created_folders_are_private_and_existing_ones_keep_their_mode(tmp_path):
    tmp_path.chmod(0o755)
    folder = tmp_path / "a" / "b"
    assert make_folder(folder) == str(folder)
    assert [mode_of(path) for path in (folder, folder.parent, tmp_path)] == [0o700, 0o700, 0o755]
    make_folder(folder)
    (tmp_path / "file").write_bytes(b"")
    for wrong in (tmp_path / "file", tmp_path / "file" / "c"):
        with pytest.raises(OutputError, match="cannot create the folder"):
            make_folder(wrong)


WRITER = """
import sys
from memlens._atomic import PendingFile
pending = PendingFile(sys.argv[1])
print(pending.name, flush=True)
sys.stdin.readline()
pending.commit()
"""


def start_writer(target):
    """Start a process with an unfinished file; return it and the temporary path."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    return writer, Path(writer.stdout.readline().strip())


def test_leftover_of_a_killed_writer_is_swept_and_a_running_writer_is_not_disturbed(tmp_path):
    killed, left = start_writer(tmp_path / "dead")
    running, unfinished = start_writer(tmp_path / "alive")
    with killed, running:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert sweep_leftovers(tmp_path) == [left.name]
        assert sorted(os.listdir(tmp_path)) == [unfinished.name]
        running.communicate("\n")
    assert os.listdir(tmp_path) == ["alive"]


INHERITING = """
import os, sys
from memlens._atomic import PendingFile, sweep_leftovers

folder = sys.argv[1]
ready, report = os.pipe()
stop, hold = os.pipe()
if os.fork() == 0:  # this child creates the file, forks another child and ends
    pending = PendingFile(os.path.join(folder, "x"))
    if os.fork() == 0:
        os.close(hold)
        os.write(report, b"1")
        os.read(stop, 1)
    os._exit(0)
os.wait()
os.close(report)
os.close(stop)
assert os.read(ready, 1) == b"1"
print(len(sweep_leftovers(folder)))
os.close(hold)
assert os.read(ready, 1) == b""  # the other child has ended
print(len(sweep_leftovers(folder)), os.listdir(folder))
"""


def test_forked_child_that_inherits_the_descriptor_keeps_the_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INHERITING, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.stdout == "0\n1 []\n", done.stderr


def test_only_regular_files_of_ours_are_swept(tmp_path):
    token = "0" * 16
    (tmp_path / "download.part").write_bytes(b"")
    (tmp_path / f"x.1-{token}.partial").write_bytes(b"")
    (tmp_path / f"x.2-{token}.part").symlink_to(tmp_path / "download.part")
    (tmp_path / f"x.3-{token}.part").mkdir()
    os.mkfifo(tmp_path / f"x.4-{token}.part")
    before = sorted(os.listdir(tmp_path))
    assert sweep_leftovers(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == before
    assert sweep_leftovers(tmp_path / "missing") == []


def test_file_that_is_swept_before_it_is_locked_is_created_again(tmp_path, monkeypatch):
    real_lock, swept = _atomic._lock, []

    def sweep_first(descriptor):
        if not swept:
            swept.append(True)
            assert len(sweep_leftovers(tmp_path)) == 1
        return real_lock(descriptor)

    monkeypatch.setattr(_atomic, "_lock", sweep_first)
    write_whole(tmp_path / "x", b"data")
    assert swept
    assert (tmp_path / "x").read_bytes() == b"data"


def test_a_writer_never_waits_for_the_lock_of_another(tmp_path, monkeypatch):
    """A child that was forked by a process that swept keeps the lock as long as it lives."""
    real_lock, held = _atomic._lock, []

    def lock_first(descriptor):
        if not held:
            (name,) = tmp_path.iterdir()
            held.append(os.open(name, os.O_RDONLY))
            assert real_lock(held[0])
        return real_lock(descriptor)

    monkeypatch.setattr(_atomic, "_lock", lock_first)
    write_whole(tmp_path / "x", b"data")
    os.close(held[0])
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_file_system_without_locks_is_written_and_never_swept(tmp_path, monkeypatch):
    def no_locks(descriptor, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(_atomic.fcntl, "flock", no_locks)
    with PendingFile(tmp_path / "x"):
        assert sweep_leftovers(tmp_path) == []
    assert os.listdir(tmp_path) == ["x"]
