"""polars: the buffers of frames and series, without a copy, and without polars' threads."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from memlens.heap.native.measure import make_measure
from memlens.heap.native.registry import active_types
from tests.heap.native.measuring import addresses, distinct_bytes, rows_of

pl = pytest.importorskip("polars", reason="polars is not installed")

COUNT = 2000
WORDS = [f"a word with the number {number}" for number in range(COUNT)]
CODES = pl.Series([f"category {number % 7}" for number in range(COUNT)])
SERIES = {
    "integers": pl.Series(range(COUNT)),
    "nulls": pl.Series([1.5, None] * (COUNT // 2)),
    "booleans": pl.Series([True, None] * COUNT),
    "strings": pl.Series(WORDS),
    "short strings": pl.Series(["a"] * COUNT),
    "binary": pl.Series([b"x" * 30] * COUNT),
    "categories": CODES.cast(pl.Categorical),
    "small categories": CODES.cast(pl.Categorical(pl.Categories("memlens", "", pl.UInt8))),
    "enum": CODES.cast(pl.Enum(CODES.unique())),
    "lists": pl.Series([[1, 2]] * COUNT),
    "arrays": pl.Series([[1, 2]] * COUNT, dtype=pl.Array(pl.Int64, 2)),
    "structs": pl.DataFrame({"a": range(COUNT), "b": WORDS}).to_struct(),
    "structs of categories": pl.DataFrame({"a": CODES.cast(pl.Categorical)}).to_struct(),
    "decimals": pl.Series(range(COUNT)).cast(pl.Decimal(20, 2)),
    "wide integers": pl.Series(range(COUNT), dtype=pl.Int128),
    "dates": pl.Series(range(COUNT)).cast(pl.Date),
    "datetimes": pl.Series(range(COUNT)).cast(pl.Datetime("us", "UTC")),
    "durations": pl.Series(range(COUNT)).cast(pl.Duration("ns")),
    "times": pl.Series(range(COUNT)).cast(pl.Time),
    "chunks": pl.concat([pl.Series([1] * COUNT), pl.Series([2] * COUNT)], rechunk=False),
    "chunks of categories": pl.concat(
        [CODES.cast(pl.Categorical), CODES.cast(pl.Categorical)], rechunk=False
    ),
}


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_at_least_the_estimated_size_is_attributed(series):
    found = distinct_bytes(series._s)
    # polars leaves the 16 bytes of each string's view out where the string is short.
    views = (
        16 * series.len() if "Str" in repr(series.dtype) or "Binary" in repr(series.dtype) else 0
    )
    assert 0.95 * series.estimated_size() <= found <= series.estimated_size() + views + 500


@pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)
def test_clones_and_frames_share_the_buffers(series):
    found = addresses(series._s)
    assert found
    frame = pl.DataFrame({"x": series})
    assert addresses(series.clone()._s) == addresses(frame._df) == found
    owners = [series._s, series.clone()._s, frame._df, frame.clone()._df, series[10:20]._s]
    assert distinct_bytes(*owners) == distinct_bytes(series._s)


@pytest.mark.parametrize("name", ["integers", "nulls", "strings", "lists", "enum"])
def test_a_slice_begins_where_its_series_does(name):
    assert addresses(SERIES[name][10:20]._s) <= addresses(SERIES[name]._s)


def test_the_bytes_of_a_frame_are_those_of_its_columns():
    frame = pl.DataFrame({str(n): series for n, series in enumerate(SERIES.values())
                          if series.len() == COUNT})  # fmt: skip
    columns = [frame.to_series(number)._s for number in range(frame.width)]
    assert distinct_bytes(frame._df) == distinct_bytes(*columns)
    assert len(rows_of(frame._df)) >= frame.width


def test_what_would_be_copied_is_left_out():
    objects = pl.Series([object()] * 10, dtype=pl.Object)
    nested = pl.Series([["a", "b"]] * 10, dtype=pl.List(pl.Categorical))
    assert rows_of(objects._s, nested._s) == []
    assert rows_of(pl.Series([], dtype=pl.Categorical)._s, pl.Series([None] * 9)._s) == []


def test_measuring_leaves_the_data_as_it_was():
    frame = pl.DataFrame({str(n): series for n, series in enumerate(SERIES.values())
                          if series.len() == COUNT})  # fmt: skip
    chunks = SERIES["chunks of categories"].clone()
    before = frame.clone()
    for _ in range(3):
        rows_of(frame._df, chunks._s)
    assert frame.equals(before)
    assert chunks.n_chunks() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork.*:RuntimeWarning")
def test_a_forked_child_measures_while_threads_use_polars():
    frame = pl.DataFrame({"a": range(100_000), "b": ["x", "y"] * 50_000})
    frame = frame.with_columns(pl.col("b").cast(pl.Categorical).alias("c"))
    stop = threading.Event()

    def use():
        while not stop.is_set():
            frame.group_by("b").agg(pl.col("a").sum())

    threads = [threading.Thread(target=use) for _ in range(2)]
    adapters = active_types()
    for thread in threads:
        thread.start()
    try:
        exit_codes = [_exit_code_of_child(adapters, frame) for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert exit_codes == [0] * 10


def _exit_code_of_child(adapters, frame):
    child = os.fork()
    if not child:
        try:
            signal.alarm(60)  # ends the child if it hangs
            sent = []
            make_measure(adapters, forked=True)([frame._df], sent.append)
            os._exit(0 if len(sent) == 3 else 3)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
