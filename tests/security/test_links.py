"""What another user has planted in a folder: links and hard links, before and while it is used."""

from __future__ import annotations

import os
import stat

import pytest

import memlens
from memlens import _atomic
from memlens._atomic import PendingFile, make_folder, sweep_leftovers, write_whole
from memlens.errors import MemlensError, OutputError
from memlens.files import _WRITERS
from memlens.leaks.baselines import Baseline
from memlens.profiler import registry
from tests.heap.damaged import whole_heap
from tests.heap.test_damaged import shorter
from tests.test_files import make_profile

PRECIOUS = b"precious"
EXPORTS = [
    (kind, suffix)
    for kind, suffixes in _WRITERS
    for suffix in suffixes
    if kind is not memlens.LeakReport and kind.__name__ != "ProfilerReport"
]


def value_of(kind):
    if kind is memlens.HeapSnapshot:
        return whole_heap()
    return memlens.TraceStore() if kind is memlens.TraceStore else make_profile()


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_bytes(PRECIOUS)
    path.chmod(0o644)
    return path


@pytest.fixture
def shared(tmp_path):
    """A folder that everybody can write to, and no mask for modes."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o1777)
    before = os.umask(0)
    yield path
    os.umask(before)


def check(victim, target):
    assert victim.read_bytes() == PRECIOUS
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    status = target.lstat()
    assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_nlink == 1 and status.st_size


@pytest.mark.parametrize("plant", ["symlink_to", "hardlink_to"])
@pytest.mark.parametrize(("kind", "suffix"), EXPORTS, ids=[f"{k.__name__}{s}" for k, s in EXPORTS])
def test_a_link_at_the_name_of_a_file_is_replaced(shared, victim, plant, kind, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    target = shared / f"x{suffix}"
    getattr(target, plant)(victim)
    memlens.export(value_of(kind), target)
    check(victim, target)


@pytest.mark.parametrize("plant", ["symlink_to", "hardlink_to"])
def test_a_link_at_the_name_of_a_baseline_a_report_or_a_picture_is_replaced(shared, victim, plant):
    report = memlens.find_leaks([*shorter(), whole_heap()])
    writes = {
        "known.json": Baseline(report).save,
        "leaks.html": report.to_html,
        "x.dot": lambda path: memlens.heap.draw_referrers(report, path, max_depth=1),
        "live.memlens": lambda path: memlens.take_heap_snapshot(path, mode="inline"),
    }
    for name, write in writes.items():
        getattr(shared / name, plant)(victim)
        write(shared / name)
        check(victim, shared / name)


@pytest.mark.parametrize("name", ["target", "temporary"])
def test_a_link_that_is_planted_between_check_and_open_is_not_followed(
    shared, victim, monkeypatch, name
):
    """Just before each file is opened, another user plants a link under its name."""
    real, planted = os.open, []

    def plant_and_open(path, flags, *arguments, **options):
        if flags & os.O_CREAT and len(planted) < 3:
            place = path if name == "temporary" else os.fspath(shared / "x")
            if not os.path.lexists(place):
                os.symlink(victim, place)
            planted.append(place)
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(_atomic.os, "open", plant_and_open)
    write_whole(shared / "x", b"new")
    assert len(planted) >= 1
    check(victim, shared / "x")


def test_a_link_that_replaces_the_temporary_file_is_not_written_through(shared, victim):
    """The folder is not sticky: another user replaces the file while it is being written."""
    pending = PendingFile(shared / "x")
    os.unlink(pending.name)
    os.symlink(victim, pending.name)
    os.write(pending.descriptor, b"data")
    pending.commit()
    assert victim.read_bytes() == PRECIOUS and stat.S_IMODE(victim.stat().st_mode) == 0o644


def test_temporary_names_are_random_private_and_swept_only_if_they_are_ours(shared, victim):
    with PendingFile(shared / "x") as one, PendingFile(shared / "x") as other:
        names = {os.path.basename(pending.name) for pending in (one, other)}
        assert len(names) == 2
        for pending in (one, other):
            assert stat.S_IMODE(os.stat(pending.name).st_mode) == 0o600
    planted = shared / f"y.1-{'0' * 16}.part"
    planted.symlink_to(victim)
    assert sweep_leftovers(shared) == []
    assert victim.read_bytes() == PRECIOUS


def test_created_folders_are_private_without_a_mask(shared):
    make_folder(shared / "a" / "b")
    for folder in (shared / "a", shared / "a" / "b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_to_nowhere_in_place_of_a_folder_is_refused(shared):
    (shared / "folder").symlink_to(shared / "nowhere")
    with pytest.raises(OutputError, match="cannot create the folder"):
        make_folder(shared / "folder" / "inner")
    assert not (shared / "nowhere").exists()


def test_tables_are_written_through_no_link_below_their_folder(shared, tmp_path):
    pytest.importorskip("pyarrow")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (shared / "tables").mkdir()
    (shared / "tables" / "types").symlink_to(elsewhere)
    from memlens.tables.schema import TYPES_TABLE
    from memlens.tables.table_folder import write_rows
    from tests.tables.rows import some_rows

    with pytest.raises(MemlensError, match="is a link"):
        write_rows(shared / "tables", TYPES_TABLE, some_rows(TYPES_TABLE, 1), name="x")
    assert list(elsewhere.iterdir()) == []


def test_a_runtime_folder_that_is_a_link_is_not_used(shared, tmp_path, monkeypatch):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (shared / "memlens").symlink_to(private)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(shared))
    assert registry.note_folder(str(tmp_path)) is False
    assert list(private.iterdir()) == []


def test_a_link_to_a_lock_of_a_merge_is_not_followed(shared, victim):
    pytest.importorskip("pyarrow")
    from memlens.tables.merging import merge_tables

    (shared / ".merging").symlink_to(victim)
    with pytest.raises(OutputError, match="cannot lock"):
        merge_tables(shared)
    assert victim.read_bytes() == PRECIOUS
