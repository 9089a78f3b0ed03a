import tracemalloc
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._frame import Frame
from memlens.allocations.tracing import traces
from memlens.allocations.tracing.traces import (
    TracedMemory,
    compare_traces,
    read_traces,
    sum_by_path,
)
from memlens.errors import ComparisonError, OptionError, TracingError

WAYS = {"line": "lineno", "file": "filename", "traceback": "traceback"}

frames = st.tuples(st.sampled_from(["a.py", "b.py", "lib/c.py"]), st.integers(0, 4))
raw_traces = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 5000),
        st.lists(frames, min_size=1, max_size=4).map(tuple),
        st.integers(1, 9),
    ),
    max_size=40,
)


def memory_of(raw, **changes):
    paths, sizes, counts = sum_by_path(raw, lambda file: True)
    values = {
        "label": "",
        "taken_at": 0.0,
        "pid": 1,
        "python": "3.12.0",
        "frame_limit": 4,
        "traced_bytes": sum(sizes),
        "tracing_bytes": 0,
        "paths": paths,
        "sizes_bytes": sizes,
        "counts": counts,
    }
    return TracedMemory(**(values | changes))


def key_of(traceback, way):
    if way == "filename":
        return (Frame(None, traceback[0].filename, 0),)
    return tuple(Frame(None, frame.filename, frame.lineno) for frame in traceback)


@given(raw_traces)
@pytest.mark.parametrize("group_by", WAYS)
def test_groups_equal_those_of_tracemalloc(group_by, raw):
    way = WAYS[group_by]
    expected = {
        key_of(row.traceback, way): (row.size, row.count)
        for row in tracemalloc.Snapshot(raw, 4).statistics(way)
    }
    assert memory_of(raw).group(group_by) == expected


@given(raw_traces, raw_traces)
@pytest.mark.parametrize("group_by", WAYS)
def test_comparisons_equal_those_of_tracemalloc(group_by, before, after):
    way = WAYS[group_by]
    oracle = tracemalloc.Snapshot(after, 4).compare_to(tracemalloc.Snapshot(before, 4), way)
    expected = {
        key_of(row.traceback, way): (row.size_diff, row.size, row.count_diff, row.count)
        for row in oracle
        if row.size_diff or row.count_diff
    }
    table = compare_traces(memory_of(before), memory_of(after), group_by, limit=None)
    found = {
        row.call_path: (
            row.difference_bytes,
            row.after_bytes,
            row.difference_count,
            row.after_count,
        )
        for row in table
    }
    assert found == expected
    assert len(table) == len(expected)
    assert table.difference_bytes == sum(row.size_diff for row in oracle)
    assert table.difference_count == sum(row.count_diff for row in oracle)


@given(raw_traces, raw_traces, st.integers(0, 5))
def test_rows_are_sorted_by_size_and_omitted_rows_are_counted(before, after, limit):
    full = compare_traces(memory_of(before), memory_of(after), limit=None)
    sizes = [abs(row.difference_bytes) for row in full]
    assert sizes == sorted(sizes, reverse=True)
    short = compare_traces(memory_of(before), memory_of(after), limit=limit)
    assert short.rows == full.rows[:limit]
    assert short.omitted == max(0, len(full) - limit)
    ranked = memory_of(after).top(None)
    assert [row.size_bytes for row in ranked] == sorted(
        (row.size_bytes for row in ranked), reverse=True
    )
    assert ranked.total_bytes == sum(size for _, size, _, _ in after)
    assert ranked.total_count == len(after)


@given(raw_traces)
def test_row_order_does_not_depend_on_trace_order(raw):
    assert memory_of(raw).top(None).rows == memory_of(raw[::-1]).top(None).rows


@given(raw_traces)
def test_filters_equal_those_of_tracemalloc(raw):
    oracle = tracemalloc.Snapshot(raw, 4).filter_traces(
        [tracemalloc.Filter(True, "*.py"), tracemalloc.Filter(False, "lib/*")]
    )
    kept = memory_of(raw).filter(include=("*.py",), exclude=("lib/*",))
    assert kept.total_bytes == sum(trace.size for trace in oracle.traces)
    assert kept.total_count == len(oracle.traces)


@given(raw_traces, raw_traces)
@pytest.mark.parametrize("group_by", WAYS)
def test_tables_are_at_most_100_columns_wide(group_by, before, after):
    long = [
        (domain, size * 10**9, tuple((f"/{'deep/' * 30}{f}", 10**6 + n) for f, n in path), n)
        for domain, size, path, n in after
    ]
    table = compare_traces(memory_of(before), memory_of(long), group_by)
    texts = [table, memory_of(long).top(group_by=group_by), memory_of(long), *table]
    for text in texts:
        assert all(len(line) <= 100 for line in str(text).splitlines())


def test_traces_with_equal_tracebacks_are_one_path():
    shared = (("a.py", 1), ("b.py", 2))
    equal = (*shared[:1], ("b.py", 2))
    assert shared is not equal
    paths, sizes, counts = sum_by_path(
        [(0, 10, shared, 2), (0, 20, shared, 2), (0, 30, equal, 5)], lambda file: True
    )
    assert paths == ((Frame(None, "b.py", 2), Frame(None, "a.py", 1)),)
    assert (sizes, counts) == ((60,), (3,))


def test_table_shows_sizes_counts_and_callers():
    before = memory_of([(0, 1024, (("/app/a.py", 1), ("/app/main.py", 9)), 2)])
    after = memory_of([(0, 4096, (("/app/a.py", 1), ("/app/main.py", 9)), 2)] * 2)
    assert str(compare_traces(before, after, "traceback")).splitlines() == [
        "+7.00 KiB traced, +1 block",
        "     growth      size  new blocks  blocks  where",
        "  +7.00 KiB  8.00 KiB          +1       2  /app/a.py:1",
        "                                             from /app/main.py:9",
    ]
    assert str(after.top(1)).splitlines() == [
        "8.00 KiB traced, 2 blocks",
        "      size  blocks  where",
        "  8.00 KiB       2  /app/a.py:1",
    ]
    assert str(after.top(1)[0]) == "8.00 KiB in 2 blocks  /app/a.py:1"
    assert str(compare_traces(before, after)[0]) == "+7.00 KiB in +1 block  /app/a.py:1"
    assert str(compare_traces(after, after)) == "0 B traced, 0 blocks"
    assert str(after.top(0)) == "8.00 KiB traced, 2 blocks\n  ... and 1 more"


def test_rows_and_tables_convert_to_plain_values():
    after = memory_of([(0, 4096, (("a.py", 1),), 2)])
    frame = {"function": None, "file": "a.py", "line": 1}
    assert after.top().to_dict() == {
        "total_bytes": 4096,
        "total_count": 1,
        "omitted": 0,
        "rows": [{"call_path": [frame], "size_bytes": 4096, "block_count": 1}],
    }
    assert compare_traces(memory_of([]), after).to_dict() == {
        "difference_bytes": 4096,
        "difference_count": 1,
        "omitted": 0,
        "rows": [
            {
                "call_path": [frame],
                "before_bytes": 0,
                "after_bytes": 4096,
                "difference_bytes": 4096,
                "before_count": 0,
                "after_count": 1,
                "difference_count": 1,
            }
        ],
    }


def test_repr_is_short():
    raw = [(0, 1024, ((f"/app/{n}.py", n),), 1) for n in range(1000)]
    assert repr(memory_of(raw, label="x")) == "<TracedMemory 'x': 1000 call paths, 0.98 MiB>"


def test_unprintable_file_names_are_escaped():
    name = b"caf\xe9\n.py".decode("utf-8", "surrogateescape")
    text = str(memory_of([(0, 10, ((name, 3),), 1)], label="a\nb"))
    text.encode()
    assert "caf\\udce9\\n.py:3" in text
    assert text.startswith("traces a\\nb, tracing itself uses 0 B: 10 B traced, 1 block\n")
    assert str(Frame("load", "café.py", 3)) == "load (café.py:3)"


def test_tracebacks_of_different_depths_cannot_be_compared():
    shallow, deep = memory_of([], frame_limit=1), memory_of([], frame_limit=25)
    with pytest.raises(ComparisonError, match="keep 1 and 25 frames"):
        compare_traces(shallow, deep, "traceback")
    assert len(compare_traces(shallow, deep, "line")) == 0


@pytest.mark.parametrize("group_by", ["lineno", "", None, 1, ["line"]])
def test_unknown_grouping_is_an_option_error(group_by):
    with pytest.raises(OptionError, match="group_by must be one of 'line', 'file', 'traceback'"):
        memory_of([]).top(group_by=group_by)
    with pytest.raises(OptionError, match="group_by"):
        compare_traces(memory_of([]), memory_of([]), group_by)


@pytest.mark.parametrize("limit", [-1, 2.0, "5", True])
def test_bad_limit_is_an_option_error(limit):
    with pytest.raises(OptionError, match="limit must be a whole number, 0 or more"):
        memory_of([]).top(limit)
    with pytest.raises(OptionError, match="limit must be a whole number, 0 or more"):
        compare_traces(memory_of([]), memory_of([]), limit=limit)


def test_reading_traces_while_tracing_is_off_is_a_tracing_error():
    with pytest.raises(TracingError, match="tracing is off"):
        read_traces()


def test_public_and_private_ways_to_read_traces_agree(monkeypatch):
    tracemalloc.start(5)
    data = [bytearray(100 + i) for i in range(20)]
    snapshot = tracemalloc.take_snapshot()
    tracemalloc.stop()
    monkeypatch.setattr(tracemalloc, "take_snapshot", lambda: snapshot)
    quick = sum_by_path(traces.read_traces(), lambda file: True)

    public = types.SimpleNamespace(traces=list(snapshot.traces))
    monkeypatch.setattr(tracemalloc, "take_snapshot", lambda: public)
    assert sum_by_path(traces.read_traces(), lambda file: True) == quick
    assert len(data) == 20
