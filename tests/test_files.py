"""Files: load selects by content, export by suffix."""

from __future__ import annotations

import gzip
import json
import os

import pytest

import memlens
from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import AllocationRow
from memlens.errors import OptionError, OutputError, SnapshotFileError
from tests.heap.planted import Planter

FACTS = ProfileFacts("sampling", 524288, 0.0, 1.5, 7, "3.12.1", 1 << 20)
PATH = (Frame("main", "/app/main.py", 3), Frame("load", "/app/load.py", 9))


def make_profile():
    row = AllocationRow(
        PATH, 1000.0, 10.0, 5.0, 1.0, 2000.0, 20.0, 9.0, 2.0, 5, 9, thread="MainThread"
    )
    return AllocationProfile([row], FACTS)


@pytest.fixture
def profile():
    return make_profile()


def test_suffix_selects_the_format_of_a_profile(tmp_path, profile):
    for name in ("p.pb.gz", "p.speedscope.json", "p.folded", "p.heapprofile", "p.json"):
        path = tmp_path / name
        assert memlens.export(profile, path) == os.path.getsize(path)
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert b"inuse_space" in gzip.decompress((tmp_path / "p.pb.gz").read_bytes())
    assert "speedscope" in json.loads((tmp_path / "p.speedscope.json").read_text())["$schema"]
    assert (tmp_path / "p.folded").read_text().endswith("load (/app/load.py:9) 1000\n")
    assert json.loads((tmp_path / "p.heapprofile").read_text())["head"]
    assert memlens.load(tmp_path / "p.json") == profile


def test_longest_suffix_is_used_in_any_case(tmp_path, profile):
    memlens.export(profile, tmp_path / "P.SpeedScope.JSON")
    assert "$schema" in json.loads((tmp_path / "P.SpeedScope.JSON").read_text())


def test_unknown_suffix_lists_the_known_ones(tmp_path, profile):
    with pytest.raises(OptionError) as caught:
        memlens.export(profile, tmp_path / "p.svg")
    for suffix in (".pb.gz", ".speedscope.json", ".folded", ".heapprofile", ".json"):
        assert suffix in str(caught.value)
    assert os.listdir(tmp_path) == []
    with pytest.raises(OptionError, match="json"):
        memlens.export(profile, tmp_path / "json")


def test_value_of_another_type_lists_the_exportable_types(tmp_path):
    with pytest.raises(OptionError, match="a dict: it must be one of AllocationProfile, Heap"):
        memlens.export({}, tmp_path / "p.json")


def test_file_that_cannot_be_written_leaves_nothing(tmp_path, profile):
    with pytest.raises(OutputError, match="missing"):
        memlens.export(profile, tmp_path / "missing" / "p.folded")
    (tmp_path / "taken.folded").mkdir()
    with pytest.raises(OutputError):
        memlens.export(profile, tmp_path / "taken.folded")
    assert os.listdir(tmp_path) == ["taken.folded"]


def test_load_finds_the_kind_of_a_file_from_its_content(tmp_path, profile):
    profile.save(tmp_path / "a")
    Planter().snapshot().save(tmp_path / "b")
    memlens.export(memlens.TraceStore(), tmp_path / "c.traces")
    assert memlens.load(tmp_path / "a") == profile
    assert isinstance(memlens.load(tmp_path / "b"), memlens.HeapSnapshot)
    assert isinstance(memlens.load(tmp_path / "c.traces"), memlens.TraceStore)


def test_snapshot_is_exported_as_a_memlens_file(tmp_path):
    snapshot = Planter().snapshot()
    size = memlens.export(snapshot, tmp_path / "h.memlens")
    assert size == os.path.getsize(tmp_path / "h.memlens")
    with pytest.raises(OptionError, match=r"HeapSnapshot are .*\.memlens"):
        memlens.export(snapshot, tmp_path / "h.pb.gz")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"format": 1}', b"[1]", b"memlens-traces", b"MEMLENS\0", b"\xff" * 99, b"{\xff"],
)
def test_foreign_and_damaged_files_are_refused(tmp_path, content):
    (tmp_path / "odd").write_bytes(content)
    with pytest.raises(SnapshotFileError, match="odd"):
        memlens.load(tmp_path / "odd")


def test_missing_file_raises_snapshot_file_error(tmp_path):
    with pytest.raises(SnapshotFileError, match="cannot read"):
        memlens.load(tmp_path / "nothing")
    with pytest.raises(SnapshotFileError, match="cannot read"):
        AllocationProfile.load(tmp_path / "nothing")
