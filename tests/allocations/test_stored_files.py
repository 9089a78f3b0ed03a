"""Files with arbitrary changes: they are refused, or every view and export of them works."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memlens._frame import Frame
from memlens.allocations import AllocationProfile, AllocationRow, ProfileFacts, TraceStore
from memlens.allocations.profile.profile_file import profile_to_dict
from memlens.allocations.profile.rows import MEASURES
from memlens.allocations.tracing import trace_file
from memlens.errors import OptionError, SnapshotFileError
from memlens.files import export, load
from tests.allocations.test_trace_file import EXAMPLE, write_document

PATH = (Frame("main", "/app/main.py", 3), Frame(None, "/app/load.py", 9))
PROFILE_PARTS = (
    [
        AllocationRow(PATH, 5e6, 1.5, 3, 0.5, 9e6, 2.0, 7, 0.1, 2, 6, 2.5, 1.0, "main", "mem"),
        AllocationRow(PATH[:1], 10, 0, 1, 0, None, None, None, None, 1, None),
    ],
    ProfileFacts("sampling", 512, 1000.5, 2.5, 42, "3.12.1", 10_000_000),
)
PROFILE = json.loads(json.dumps(profile_to_dict(*PROFILE_PARTS)))
TRACES = json.loads(json.dumps(trace_file._document([EXAMPLE, EXAMPLE._replace(label="after")])))
HUGE = 10**400
EDGES = (1.5, -0.5, 1e20, 1e308, float("nan"), float("inf"), float("-inf"))

texts = st.sampled_from(["", "\x1b[31m\x07", "a\nb", "\udc80", "caf\u00e9", "x" * 300])
numbers = st.sampled_from(
    [-1, 0, 1, 2, 3, True, 1 << 62, (1 << 63) - 1, 1 << 63, HUGE, *EDGES],
)
values = st.recursive(
    st.none() | texts | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


SIMILAR: dict[type, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.sampled_from([0, 1, 2, 3, 1 << 62, (1 << 63) - 1, 1 << 63, HUGE]),
    float: st.sampled_from([0, 0.0, 5e-324, 1e-9, 0.5, 1e12, 1e20, 1e21, (1 << 63) - 1]),
    bool: st.booleans(),
    type(None): st.none() | texts | numbers,
}


def places(value: Any, route: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the routes to all values in a document."""
    found = [route]
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    else:
        keys = list(range(len(value))) if isinstance(value, list) else []
    for key in keys:
        found += places(value[key], (*route, key))
    return found


def value_at(document: Any, route: tuple[Any, ...]) -> Any:
    for step in route:
        document = document[step]
    return document


def changed(document: Any, route: tuple[Any, ...], how: str, value: Any) -> Any:
    """Return the document with the value at a route replaced, deleted or repeated."""
    if not route:
        return value if how == "replace" else document
    inner = document
    for step in route[:-1]:
        inner = inner[step]
    if how == "replace":
        inner[route[-1]] = value
    elif how == "delete":
        del inner[route[-1]]
    elif isinstance(inner, list):
        inner.insert(route[-1], copy.deepcopy(inner[route[-1]]))
    else:
        inner["another"] = value
    return document


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """Draw a document with one to three changes."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        routes = places(document)
        how = draw(
            st.sampled_from(["similar", "similar", "similar", "replace", "delete", "repeat"])
        )
        if how == "similar":  # a value of the same type, which is often accepted
            leaves = [route for route in routes if type(value_at(document, route)) in SIMILAR]
            route = draw(st.sampled_from(leaves or routes))
            similar = SIMILAR.get(type(value_at(document, route)), values)
            document = changed(document, route, "replace", draw(similar))
        else:
            document = changed(document, draw(st.sampled_from(routes)), how, draw(values))
    return document


def use_profile(profile: AllocationProfile, folder: Path) -> None:
    """Call every view and every export of a profile."""
    texts = [str(profile), repr(profile), profile.headline(), *map(str, profile.rows)]
    texts += [repr(profile.rows[:2]), str(profile.compare(profile))]
    for by in MEASURES:
        texts += [profile.table(by=by), profile.line_table(by=by), profile.text(by=by)]
        texts += [profile.tree_text(by), profile.tree_text(by, min_percent=0)]
        profile.top(None, by)
    comparison = AllocationProfile([], profile.facts).compare(profile)
    texts += [str(comparison), repr(comparison), *map(str, comparison), *map(repr, comparison)]
    for difference in comparison:
        assert all(difference.is_significant(by) in (True, False) for by in MEASURES)
    profile.by_thread(), profile.by_module(), profile.by_site(), profile.filter(file="*/a.py")
    json.dumps(profile.to_dict(), allow_nan=False)
    for suffix in (".pb.gz", ".speedscope.json", ".folded", ".heapprofile", ".json"):
        assert export(profile, folder / f"out{suffix}") > 0 or suffix == ".folded"
    assert AllocationProfile.load(folder / "out.json") == profile
    check_terminal_text(texts)


def use_traces(store: TraceStore, folder: Path) -> None:
    """Call every view of a store and write it."""
    texts = [repr(store)]
    for memory in store.captures:
        texts += [str(memory), repr(memory)]
        json.dumps([memory.top().to_dict(), memory.total_bytes, memory.total_count])
        memory.filter(include=("*.py",)).top()
        for group_by in ("line", "file", "traceback"):
            table = memory.top(None, group_by=group_by)  # type: ignore[arg-type]
            texts += [str(table), repr(table), *map(str, table), *map(repr, table)]
    for before, after in zip(store.captures, store.captures[1:], strict=False):
        changes = store.compare(before, after, "line", limit=None)
        texts += [str(changes), repr(changes), *map(str, changes), *map(repr, changes)]
        json.dumps(changes.to_dict())
    assert export(store, folder / "out.traces") > 0
    assert TraceStore.load(folder / "out.traces").captures == store.captures
    check_terminal_text(texts)


def check_terminal_text(texts: list[str]) -> None:
    """Check that texts can be encoded and contain no control characters but line breaks."""
    for text in texts:
        text.encode()
        assert all(line.isprintable() for line in text.split("\n"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored")


@settings(max_examples=300)
@given(mutated(PROFILE))
@example(PROFILE)
def test_changed_profile_is_refused_or_all_its_views_work(folder: Path, document: Any) -> None:
    path = folder / "profile.json"
    path.write_text(json.dumps(document))
    try:
        profile = AllocationProfile.load(path)
    except SnapshotFileError as error:
        assert len(str(error)) < 600
        assert document != PROFILE
    else:
        use_profile(profile, folder)


@settings(max_examples=300)
@given(mutated(TRACES))
@example(TRACES)
def test_changed_traces_are_refused_or_all_their_views_work(folder: Path, document: Any) -> None:
    path = folder / "store.traces"
    write_document(path, document)
    try:
        store = TraceStore.load(path)
    except SnapshotFileError as error:
        assert len(str(error)) < 600
        assert document != TRACES
    else:
        use_traces(store, folder)


@pytest.mark.parametrize(
    ("route", "value"),
    [
        (("rows", 0, 1), float("inf")),
        (("rows", 0, 1), -1.0),
        (("rows", 0, 1), True),
        (("rows", 0, 1), HUGE),
        (("rows", 0, 9), None),
        (("rows", 0, 9), 1.5),
        (("rows", 0, 13), 7),
        (("rows", 0, 0, 0), True),
        (("rows", 0, 0, 0), 0.0),
        (("rows", 0, 15, 0), float("nan")),
        (("frames", 0, 2), -3),
        (("frames", 0, 2), "3"),
        (("facts", "source"), "magic"),
        (("facts", "source"), []),
        (("facts", "started_at"), 1e300),
        (("facts", "duration_seconds"), "long"),
        (("facts", "interval_bytes"), 0),
        (("facts", "hooks_bypassed"), 1),
        (("facts", "pid"), None),
        (("fields", 0), "size"),
        (("version",), True),
        (("version",), HUGE),
    ],
)
def test_profile_with_a_value_out_of_range_is_refused(
    folder: Path, route: tuple[Any, ...], value: Any
) -> None:
    path = folder / "bad.json"
    document = changed(copy.deepcopy(PROFILE), route, "replace", value)
    path.write_text(json.dumps(document))
    with pytest.raises(SnapshotFileError, match=r"bad\.json: "):
        AllocationProfile.load(path)


def test_deep_call_path_can_be_exported_in_every_format(folder: Path) -> None:
    document = copy.deepcopy(PROFILE)
    document["rows"][0][0] = [0] * 5000
    path = folder / "deep.json"
    path.write_text(json.dumps(document))
    profile = AllocationProfile.load(path)
    use_profile(profile, folder)
    text = (folder / "out.heapprofile").read_text()
    assert text.count('"functionName"') == 1 + 5000  # the short path is part of the long one


def test_text_that_expands_too_much_is_refused_before_it_is_read(folder: Path) -> None:
    path = folder / "bomb.traces"
    paths = [[0] * 60_000] * 100
    document = {**TRACES, "paths": paths}
    write_document(path, document)
    assert path.stat().st_size < 20_000
    with pytest.raises(SnapshotFileError, match="the maximum is 1048576"):
        TraceStore.load(path)
    path.unlink()


def test_repetitive_captures_are_stored_without_compression_and_can_be_read(folder: Path) -> None:
    frames = (Frame(None, "/app/deep.py", 1), Frame("f", "/app/deep.py", 2))
    paths = tuple((frames[0], *frames[1:] * depth) for depth in range(1, 1200))
    memory = EXAMPLE._replace(
        paths=paths, sizes_bytes=(1,) * len(paths), counts=(1,) * len(paths), frame_limit=1200
    )
    path = folder / "deep.traces"
    size = trace_file.save_traces(path, [memory])
    assert size > 1 << 20
    assert trace_file.load_traces(path) == (memory,)


def test_data_after_the_compressed_text_is_refused(folder: Path) -> None:
    path = folder / "tail.traces"
    text = json.dumps(TRACES).encode()
    payload = zlib.compress(text) + b"tail"
    digest = hashlib.sha256(payload).hexdigest()
    path.write_bytes(f"memlens-traces 1 {len(text)} {len(payload)} {digest}\n".encode() + payload)
    with pytest.raises(SnapshotFileError, match="as its header says"):
        TraceStore.load(path)


@pytest.mark.parametrize("path", [b"/tmp/x", "a\0b", "", 5, None])
def test_bad_path_is_an_option_error(path: Any) -> None:
    profile = AllocationProfile([], PROFILE_PARTS[1])
    assert asdict(profile.facts) == PROFILE["facts"]
    calls = (profile.save, AllocationProfile.load, TraceStore().save, TraceStore.load)
    for call in calls:
        with pytest.raises(OptionError, match="path must be"):
            call(path)


@pytest.mark.parametrize("kind", [AllocationProfile, TraceStore])
def test_a_pipe_without_a_writer_is_refused_without_waiting_for_one(
    kind: Any, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SnapshotFileError):
        kind.load(tmp_path / "pipe")


def test_control_characters_of_a_file_do_not_reach_the_terminal(folder: Path) -> None:
    document = json.loads(json.dumps(TRACES).replace("main.py", "\\u001b[2J\\u0007.py"))
    document["captures"][0]["label"] = "\x1b]0;title\x07"
    path = folder / "escape.traces"
    write_document(path, document)
    store = load(path)
    assert isinstance(store, TraceStore)
    text = "\n".join(map(str, store.captures)) + str(store.top(group_by="traceback"))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b[2J\\x07.py" in text
