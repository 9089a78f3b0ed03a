import os
import stat
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens.errors import OptionError, OutputError, SnapshotFileError
from memlens.heap.graph.snapshot_file import FORMAT_VERSION, MAGIC, SectionFile, write_sections
from memlens.heap.snapshot import HeapSnapshot
from tests.heap.test_graph import service

ROOT = Path(__file__).resolve().parent.parent.parent
LARGEST = {"B": 2**8 - 1, "H": 2**16 - 1, "I": 2**32 - 1, "Q": 2**64 - 1}


@st.composite
def sections(draw):
    names = draw(st.sets(st.text("abc_", min_size=1, max_size=31), max_size=6))
    result = {}
    for name in names - {"facts"}:
        code = draw(st.sampled_from("BHIQ"))
        values = draw(st.lists(st.integers(0, LARGEST[code]), max_size=50))
        result[name] = (code, array(code, values))
    return result


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(sections(), st.dictionaries(st.text(), JSON, max_size=4))
def test_sections_and_facts_round_trip(tmp_path_factory, written, facts):
    path = tmp_path_factory.mktemp("file") / "x.memlens"
    size = write_sections(path, written, facts)
    file = SectionFile(path)
    assert size == file.size_bytes == path.stat().st_size
    assert set(file) == {*written, "facts"}
    for name, (code, values) in written.items():
        assert file[name].format == code
        assert file[name].tolist() == list(values)
        assert file[name].readonly
    assert file.facts() == facts
    file.verify()


def test_sections_are_aligned_to_64_bytes():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.memlens")
        write_sections(path, {"a": ("B", b"abc"), "b": ("Q", array("Q", [1, 2]))}, {})
        with open(path, "rb") as file:
            raw = file.read()
        assert raw.index(b"abc") % 64 == 0
        assert raw.index(array("Q", [1, 2]).tobytes()) % 64 == 0


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "heap.memlens"
    service().snapshot().save(path)
    return path


def test_saved_snapshot_has_its_retained_sizes(saved):
    loaded = HeapSnapshot.load(saved)
    assert "node_retained" in loaded.graph.sections
    original = service().snapshot()
    assert loaded.graph.dominators.retained.tolist() == original.graph.dominators.retained.tolist()
    assert str(loaded.summary()) == str(original.summary())
    assert loaded.facts == original.facts


def test_largest_reads_no_large_section_of_a_file(saved):
    # A damaged section is found on its first use, so these are never used.
    raw = bytearray(saved.read_bytes())
    file = SectionFile(saved)
    for name in ("node_dominator", "edge_target", "edge_offset", "node_flags"):
        assert file.item_count(name) == len(file[name])
        _, place, _, _ = file._table[name]
        raw[place] ^= 0xFF
    expected = HeapSnapshot.load(saved).largest(3)
    saved.write_bytes(raw)
    found = HeapSnapshot.load(saved).largest(3)
    assert list(map(str, found)) == list(map(str, expected))


def test_file_is_readable_by_its_owner_only(saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_truncated_file_is_refused(saved, tmp_path):
    whole = saved.read_bytes()
    cut = tmp_path / "cut.memlens"
    for length in [*range(200), *range(200, len(whole), 97), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(SnapshotFileError, match=r"empty|truncated|not a memlens"):
            HeapSnapshot.load(cut)


def test_flipped_byte_is_detected_or_in_padding(saved, tmp_path):
    whole = bytearray(saved.read_bytes())
    intact = {name: SectionFile(saved)[name].tobytes() for name in SectionFile(saved)}
    flipped = tmp_path / "flipped.memlens"
    for position in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        flipped.write_bytes(damaged)
        try:
            file = SectionFile(flipped)
            file.verify()
        except SnapshotFileError:
            continue
        # Only padding may differ unnoticed.
        assert {name: file[name].tobytes() for name in file} == intact


def test_verify_finds_a_damaged_section_that_no_view_has_read(saved):
    raw = bytearray(saved.read_bytes())
    _, start, _, _ = SectionFile(saved)._table["edge_target"]
    HeapSnapshot.load(saved).verify()
    service().snapshot().verify()
    raw[start] ^= 0xFF
    saved.write_bytes(raw)
    snapshot = HeapSnapshot.load(saved)
    with pytest.raises(SnapshotFileError, match="'edge_target' is damaged"):
        snapshot.verify()


def test_small_file_that_is_truncated_after_loading_is_still_read(saved):
    expected = str(HeapSnapshot.load(saved).summary())
    snapshot = HeapSnapshot.load(saved)
    os.truncate(saved, 0)
    assert str(snapshot.summary()) == expected


TRUNCATED = """
import os, sys
from memlens.errors import SnapshotFileError
from memlens.heap.graph import snapshot_file
from memlens.heap.snapshot import HeapSnapshot

snapshot_file.COPY_LIMIT_BYTES = 0
snapshot = HeapSnapshot.load(sys.argv[1])
os.truncate(sys.argv[1], 100)
try:
    print(snapshot.summary())
except SnapshotFileError as error:
    print("truncated while it was open" in str(error))
"""


def test_mapped_file_that_is_truncated_raises_an_error_and_does_not_kill_the_reader(saved):
    done = subprocess.run(
        [sys.executable, "-c", TRUNCATED, str(saved)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_special_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(SnapshotFileError, match="regular file"):
            HeapSnapshot.load(path)


def test_paths_may_be_bytes_and_must_not_contain_a_null_character(saved):
    assert HeapSnapshot.load(os.fsencode(saved)).pid == 1
    with pytest.raises(OptionError, match="null character"):
        HeapSnapshot.load(f"{saved}\0")
    with pytest.raises(OptionError, match="null character"):
        service().snapshot().save(f"{saved}\0")
    with pytest.raises(OptionError, match="must be a str"):
        HeapSnapshot.load(12)


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes"])
def test_facts_that_json_cannot_represent_are_refused(tmp_path, value):
    with pytest.raises(OptionError, match="JSON"):
        write_sections(tmp_path / "x", {}, {"fact": value})
    assert list(tmp_path.iterdir()) == []


def test_facts_that_refer_to_themselves_are_refused(tmp_path):
    facts = {}
    facts["self"] = facts
    with pytest.raises(OptionError, match="JSON"):
        write_sections(tmp_path / "x", {}, facts)


def test_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(SnapshotFileError, match="not a memlens snapshot"):
        HeapSnapshot.load(path)


def test_newer_format_asks_for_a_newer_memlens(saved):
    raw = bytearray(saved.read_bytes())
    raw[len(MAGIC) : len(MAGIC) + 4] = (FORMAT_VERSION + 1).to_bytes(4, "little")
    saved.write_bytes(raw)
    with pytest.raises(SnapshotFileError, match="install a newer memlens"):
        HeapSnapshot.load(saved)


def test_missing_file_raises_snapshot_file_error(tmp_path):
    with pytest.raises(SnapshotFileError, match="No such file"):
        HeapSnapshot.load(tmp_path / "nowhere.memlens")


def test_file_without_heap_sections_is_refused(tmp_path):
    write_sections(tmp_path / "x.memlens", {}, {"pid": 1})
    with pytest.raises(SnapshotFileError, match="incomplete heap"):
        HeapSnapshot.load(tmp_path / "x.memlens")


def test_missing_folder_raises_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        service().snapshot().save(tmp_path / "missing" / "x.memlens")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_full_disk_leaves_no_file(tmp_path, monkeypatch):
    target = tmp_path / "x.memlens"
    real_open = os.open

    def open_full(path, *arguments):
        descriptor = real_open(path, *arguments)  # the temporary file exists, as on a real disk
        os.close(descriptor)
        return real_open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", open_full)
    with pytest.raises(OutputError, match="No space left"):
        service().snapshot().save(target)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
