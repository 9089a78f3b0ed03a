"""Files that structures write: whole or not at all, and through nobody else's links."""

import os

import pytest

from memlens.structures import _files

SUFFIXES = ["", ".gz", ".zst"]


def write(path, content=b"new"):
    with _files.replaced(path) as file:
        file.write(content)


def read(path):
    with _files.open_bytes(path) as file:
        return file.read()


@pytest.fixture(params=SUFFIXES)
def target(request, tmp_path):
    if request.param == ".zst":
        pytest.importorskip("zstandard")
    return tmp_path / f"table.csv{request.param}"


def test_what_is_written_can_be_read_and_nothing_else_stays(target):
    write(target, b"a,b\n" * 1000)
    assert read(target) == b"a,b\n" * 1000
    assert os.listdir(target.parent) == [target.name]


def test_a_planted_link_with_the_temporary_name_is_not_followed(target, monkeypatch):
    monkeypatch.setattr(_files.os, "urandom", lambda count: b"\0" * count)
    victim = target.parent / "victim"
    victim.write_bytes(b"precious")
    planted = target.parent / f".{os.getpid()}-00000000.{target.name}"
    planted.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write(target)
    assert victim.read_bytes() == b"precious"
    assert planted.is_symlink()
    assert not target.exists()


def test_an_error_leaves_the_old_file_and_no_temporary_one(target):
    write(target, b"old")
    with pytest.raises(ZeroDivisionError), _files.replaced(target) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert read(target) == b"old"
    assert os.listdir(target.parent) == [target.name]


def test_permissions_of_an_existing_file_stay(target):
    write(target)
    target.chmod(0o640)
    write(target)
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_link_of_the_caller_stays_and_its_target_is_replaced(target):
    real = target.parent / f"real-{target.name}"
    write(real, b"old")
    target.symlink_to(real)
    write(target)
    assert target.is_symlink()
    assert read(real) == b"new"
