import hashlib
import json
import os
import pickle
import stat
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._frame import Frame
from memlens.allocations.tracing import trace_file
from memlens.allocations.tracing.trace_file import load_traces, save_traces
from memlens.allocations.tracing.traces import TracedMemory
from memlens.errors import OutputError, SnapshotFileError

any_text = st.text(st.characters(), max_size=20)  # lone surrogates too: file names can hold them
sizes = st.integers(0, 2**63 - 1)
frames = st.builds(Frame, st.none() | any_text, any_text, st.integers(0, 10**6))
traces = st.lists(
    st.tuples(st.lists(frames, min_size=1, max_size=5).map(tuple), sizes, sizes), max_size=8
)


@st.composite
def captures(draw):
    rows = draw(traces)
    return TracedMemory(
        label=draw(any_text),
        taken_at=draw(st.floats(0, 1e12)),
        pid=draw(st.integers(0, 2**31)),
        python="3.13.0",
        frame_limit=draw(st.integers(1, 65535)),
        traced_bytes=draw(sizes),
        tracing_bytes=draw(sizes),
        paths=tuple(path for path, _, _ in rows),
        sizes_bytes=tuple(size for _, size, _ in rows),
        counts=tuple(count for _, _, count in rows),
    )


EXAMPLE = TracedMemory(
    label="before",
    taken_at=1.5e9,
    pid=42,
    python="3.12.1",
    frame_limit=25,
    traced_bytes=4000,
    tracing_bytes=100,
    paths=(
        (Frame(None, "main.py", 1), Frame(None, "a.py", 2)),
        (Frame("load", "main.py", 1),),
    ),
    sizes_bytes=(3000, 500),
    counts=(3, 1),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.traces"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("traces") / "store.traces"


@given(st.lists(captures(), max_size=4))
def test_loaded_captures_equal_the_saved_ones(scratch, kept):
    assert save_traces(scratch, kept) == scratch.stat().st_size
    loaded = load_traces(scratch)
    assert loaded == tuple(kept)
    assert all(type(frame) is Frame for memory in loaded for path in memory.paths for frame in path)


def test_file_has_the_documented_format(path):
    save_traces(path, [EXAMPLE])
    first, rest = path.read_bytes().split(b"\n", 1)
    text = zlib.decompress(rest)
    assert first.decode().split(" ") == [
        "memlens-traces",
        "1",
        str(len(text)),
        str(len(rest)),
        hashlib.sha256(rest).hexdigest(),
    ]
    assert json.loads(text) == {
        "files": ["main.py", "a.py"],
        "frames": [[None, 0, 1], [None, 1, 2], ["load", 0, 1]],
        "paths": [[0, 1], [2]],
        "captures": [
            {
                "label": "before",
                "taken_at": 1.5e9,
                "pid": 42,
                "python": "3.12.1",
                "frame_limit": 25,
                "traced_bytes": 4000,
                "tracing_bytes": 100,
                "traces": [[0, 3000, 3], [1, 500, 1]],
            }
        ],
    }


def test_truncated_file_is_an_error_that_names_the_file(path):
    save_traces(path, [EXAMPLE])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotFileError, match=r"store\.traces"):
            load_traces(path)


def test_file_with_a_changed_byte_is_an_error(path):
    save_traces(path, [EXAMPLE])
    whole = path.read_bytes()
    for position in range(len(whole)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(SnapshotFileError):
                load_traces(path)


@given(st.data())
def test_file_with_inserted_removed_or_replaced_bytes_is_an_error(scratch, data):
    save_traces(scratch, [EXAMPLE])
    whole = scratch.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=30)) + whole[end:]
    scratch.write_bytes(damaged)
    if damaged == whole:
        assert load_traces(scratch) == (EXAMPLE,)
    else:
        with pytest.raises(SnapshotFileError):
            load_traces(scratch)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"MEMLENS\0" + bytes(60),
        pickle.dumps({"a": 1}),
        b"memlens-tracer 1 2 3 4\n",
        b"memlens-traces",
        b"memlens-traces \n",
        b"memlens-traces 1 1 1 1 1\n",
        b"memlens-traces -1 5 5 5\n",
        b"memlens-traces 0 0 0 e3b0\n",
        b"memlens-traces " + b"1" * 5000,
        "memlens-traces ² 5 5 5\n".encode(),
    ],
)
def test_file_of_another_kind_is_an_error(path, content):
    path.write_bytes(content)
    with pytest.raises(SnapshotFileError):
        load_traces(path)


def test_newer_format_is_an_error_that_says_what_to_install(path):
    path.write_bytes(b"memlens-traces 2 and whatever comes then\nrest")
    with pytest.raises(SnapshotFileError, match=r"format 2.*install a newer memlens"):
        load_traces(path)


def write_document(path, document):
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    payload = zlib.compress(text)
    digest = hashlib.sha256(payload).hexdigest()
    path.write_bytes(f"memlens-traces 1 {len(text)} {len(payload)} {digest}\n".encode() + payload)


def replaced(document, route, value):
    *front, last = route
    inner = document
    for step in front:
        inner = inner[step]
    if value is Ellipsis:
        del inner[last]
    else:
        inner[last] = value
    return document


@pytest.mark.parametrize(
    ("route", "value"),
    [
        (["files"], ...),
        (["files"], None),
        (["files", 0], 5),
        (["frames", 0], [None, 0]),
        (["frames", 0], [None, 9, 1]),
        (["frames", 0], [None, -1, 1]),
        (["frames", 0], [7, 0, 1]),
        (["frames", 0], [None, 0, True]),
        (["paths", 0], []),
        (["paths", 0], [99]),
        (["paths", 0], "01"),
        (["captures"], {}),
        (["captures", 0], []),
        (["captures", 0, "pid"], "42"),
        (["captures", 0, "traced_bytes"], -1),
        (["captures", 0, "label"], 5),
        (["captures", 0, "taken_at"], float("nan")),
        (["captures", 0, "taken_at"], 1e300),
        (["captures", 0, "frame_limit"], 0),
        (["captures", 0, "another"], 0),
        (["captures", 0, "traces"], ...),
        (["captures", 0, "traces", 0], [0, 1 << 63, 1]),
        (["another"], []),
        (["captures", 0, "traces", 0], [0, 1]),
        (["captures", 0, "traces", 0], [0, -1, 1]),
        (["captures", 0, "traces", 0], [0, 1.5, 1]),
        (["captures", 0, "traces", 0], [2, 1, 1]),
    ],
)
def test_content_of_the_wrong_shape_is_an_error(path, route, value):
    document = trace_file._document([EXAMPLE])
    write_document(path, document)
    assert load_traces(path) == (EXAMPLE,)
    write_document(path, replaced(document, route, value))
    with pytest.raises(SnapshotFileError, match="not what memlens writes"):
        load_traces(path)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000])
def test_text_that_is_not_our_json_is_an_error(path, text):
    write_document(path, text)
    with pytest.raises(SnapshotFileError, match="not what memlens writes"):
        load_traces(path)


def test_small_file_that_expands_beyond_its_limit_is_refused(path):
    payload = zlib.compress(bytes(10_000_000))
    digest = hashlib.sha256(payload).hexdigest()
    path.write_bytes(f"memlens-traces 1 100 {len(payload)} {digest}\n".encode() + payload)
    with pytest.raises(SnapshotFileError, match="not 100 bytes long"):
        load_traces(path)
    path.write_bytes(f"memlens-traces 1 {1 << 40} {len(payload)} {digest}\n".encode() + payload)
    with pytest.raises(SnapshotFileError, match="the maximum is"):
        load_traces(path)


def test_large_file_of_another_kind_is_not_read_completely(path):
    path.write_bytes(b"memlens-traces 1 10 10 " + b"0" * 64 + b"\n")
    os.truncate(path, 1 << 40)  # sparse: nothing could hold it in memory
    with pytest.raises(SnapshotFileError, match="followed by other data"):
        load_traces(path)
    path.write_bytes(b"something else")
    os.truncate(path, 1 << 40)
    with pytest.raises(SnapshotFileError, match="not a file of memlens traces"):
        load_traces(path)


def test_missing_file_and_folder_are_snapshot_file_errors(tmp_path):
    for path in (tmp_path / "missing.traces", tmp_path):
        with pytest.raises(SnapshotFileError, match="cannot read"):
            load_traces(path)


def test_file_is_readable_by_its_owner_only(path):
    save_traces(path, [])
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_traces(path) == ()


def test_failed_write_leaves_the_old_file_and_no_temporary_file(path, monkeypatch):
    save_traces(path, [EXAMPLE])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trace_file.os, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        save_traces(path, [])
    assert load_traces(path) == (EXAMPLE,)
    assert os.listdir(path.parent) == [path.name]


def test_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        save_traces(tmp_path / "missing" / "store.traces", [])
