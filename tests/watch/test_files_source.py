"""Snapshot files as a source: folders that grow, files that go, and files that are none."""

import pytest

from memlens.errors import OptionError, SnapshotFileError
from memlens.watch.files_source import FilesSource
from tests.watch.heaps import MIB, planted, save


def test_folder_that_grows_gives_new_files_and_their_readings_once(tmp_path):
    snapshots = planted(4, pid=77)
    paths = save(tmp_path / "out", snapshots[:2])
    source = FilesSource([str(tmp_path / "out")])
    state = source.poll()
    assert state.files == tuple(paths)
    assert [reading.rss_bytes for reading in state.readings] == [100 * MIB, 110 * MIB]
    assert state.readings[0].limit_bytes == 1024 * MIB
    assert source.title == "out (process 77)"
    assert (state.is_ended, source.poll().readings) == (False, ())
    paths += save(tmp_path / "out", snapshots, first=2)
    state = source.poll()
    assert state.files == tuple(paths)
    assert [reading.rss_bytes for reading in state.readings] == [120 * MIB, 130 * MIB]


def test_file_that_a_profiler_deletes_is_left_out(tmp_path):
    paths = save(tmp_path / "out", planted(3))
    source = FilesSource([str(tmp_path / "out")])
    source.poll()
    (tmp_path / "out" / "heap-01.memlens").unlink()
    assert source.poll().files == (paths[0], paths[2])


def test_snapshot_at_the_exit_tells_when_the_program_ended(tmp_path):
    snapshots = planted(3)
    save(tmp_path / "out", snapshots[:2])
    source = FilesSource([str(tmp_path / "out")])
    assert source.poll().program_ended_at is None
    snapshots[2].facts["reason"] = "exit"
    save(tmp_path / "out", snapshots, first=2)
    assert source.poll().program_ended_at == snapshots[2].facts["timestamp"]


def test_empty_folder_is_waited_for(tmp_path):
    state = FilesSource([str(tmp_path)]).poll()
    assert (state.files, state.is_ended) == ((), False)
    assert "waiting" in state.note


def test_named_files_are_all_there_is(tmp_path):
    paths = save(tmp_path / "out", planted(3))
    source = FilesSource(paths[::-1])
    state = source.poll()
    assert state.files == tuple(paths)
    assert state.is_ended
    assert source.title.startswith("heap-02.memlens and 2 more")


def test_newest_process_of_a_shared_folder_is_shown_and_the_others_are_counted(tmp_path):
    folder = tmp_path / "out"
    old = planted(2, pid=5)
    save(folder, old)
    for path in folder.iterdir():
        path.rename(folder / f"old-{path.name}")
    new = save(folder, planted(3, pid=6))
    state = FilesSource([str(folder)]).poll()
    assert state.files == tuple(new)
    assert state.note == "snapshots of 1 other process are left out"


def test_file_in_the_folder_that_is_no_snapshot_is_named_until_it_is_complete(tmp_path):
    paths = save(tmp_path / "out", planted(3))
    content = (tmp_path / "out" / "heap-02.memlens").read_bytes()
    (tmp_path / "out" / "heap-02.memlens").write_bytes(content[:100])
    source = FilesSource([str(tmp_path / "out")])
    state = source.poll()
    assert state.files == tuple(paths[:2])
    assert state.note.startswith("not read: heap-02.memlens (")
    (tmp_path / "out" / "heap-02.memlens").write_bytes(content)
    state = source.poll()
    assert (state.files, state.note) == (tuple(paths), "")


def test_file_with_impossible_facts_is_named(tmp_path):
    snapshot = planted(1)[0]
    snapshot.facts["pid"] = "many"
    snapshot.save(tmp_path / "a.memlens")
    state = FilesSource([str(tmp_path)]).poll()
    assert state.files == ()
    assert state.note.startswith("not read: a.memlens (")


def test_wrong_paths_are_refused_at_the_start(tmp_path):
    with pytest.raises(OptionError, match="no file or folder 'nowhere'"):
        FilesSource(["nowhere"])
    (tmp_path / "text.memlens").write_text("hello")
    with pytest.raises(SnapshotFileError, match="not a memlens snapshot"):
        FilesSource([str(tmp_path / "text.memlens")])


def test_files_take_no_snapshots(tmp_path):
    source = FilesSource([str(tmp_path)])
    with pytest.raises(OptionError, match="memlens watch -- SCRIPT"):
        source.take_snapshot()
    assert source.output_tail() is None
    source.close()
