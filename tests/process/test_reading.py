from __future__ import annotations

import gc
import json
import mmap
import os
import subprocess
import sys
import threading
import time
from dataclasses import FrozenInstanceError, fields, replace
from math import nan

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memlens
from memlens.errors import ReadingError
from memlens.process import MemoryReading, read_memory
from memlens.process.limits import LIMIT_SOURCES
from memlens.process.reading import READING_COLUMNS

counts = st.integers(0, 2**53)
told = st.none() | counts
generations = st.tuples(counts, counts, counts)
seconds = st.floats(0, 1e9)
readings = st.builds(
    MemoryReading,
    timestamp=seconds,
    monotonic_seconds=seconds,
    pid=counts,
    rss_bytes=counts,
    own_bytes=counts,
    vms_bytes=counts,
    shared_bytes=told,
    uss_bytes=told,
    minor_page_faults=told,
    major_page_faults=told,
    num_threads=told,
    num_children=told,
    children_rss_bytes=told,
    allocated_blocks=counts,
    gc_counts=generations,
    gc_collections=generations,
    gc_collected=generations,
    gc_uncollectable=generations,
    gc_pauses=told,
    gc_pause_seconds=st.none() | seconds,
    gc_longest_pause_seconds=st.none() | seconds,
    limit_bytes=told,
    limit_source=st.sampled_from(LIMIT_SOURCES),
)


def test_reading_agrees_with_psutil_and_the_interpreter():
    before = time.time(), time.monotonic()
    reading = read_memory(uss=True, children=True)
    memory = psutil.Process().memory_full_info()
    assert before[0] <= reading.timestamp <= time.time()
    assert before[1] <= reading.monotonic_seconds <= time.monotonic()
    assert reading.pid == os.getpid()
    assert reading.rss_bytes == pytest.approx(memory.rss, rel=0.05)
    assert reading.vms_bytes == pytest.approx(memory.vms, rel=0.05)
    assert reading.uss_bytes == pytest.approx(memory.uss, rel=0.1)
    assert reading.num_threads == psutil.Process().num_threads()
    assert reading.minor_page_faults > 0
    assert reading.gc_uncollectable == tuple(entry["uncollectable"] for entry in gc.get_stats())
    assert reading.num_children == len(psutil.Process().children(recursive=True))


def test_numbers_that_were_not_requested_are_none():
    reading = read_memory()
    assert reading.uss_bytes is reading.num_children is reading.children_rss_bytes is None
    assert reading.gc_pauses is reading.gc_pause_seconds is None


def test_reading_follows_the_memory_in_use():
    before = read_memory()
    ballast = mmap.mmap(-1, 64 << 20)  # new pages: malloc may have 64 MiB left from other tests
    ballast.write(b"x" * len(ballast))
    blocks = [object() for _ in range(50_000)]
    after = read_memory()
    assert after.rss_bytes - before.rss_bytes > 60 << 20
    assert after.minor_page_faults > before.minor_page_faults
    assert after.allocated_blocks - before.allocated_blocks >= len(blocks)
    ballast.close()


def test_reading_counts_threads_and_collections():
    before = read_memory()
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    gc.collect()
    after = read_memory()
    leave.set()
    thread.join()
    assert after.num_threads == before.num_threads + 1
    assert after.gc_collections[2] == before.gc_collections[2] + 1


def test_children_are_counted_with_their_memory():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        reading = read_memory(children=True)
        assert reading.num_children >= 1
        assert reading.children_rss_bytes > 0
    finally:
        child.communicate(b"\n")


def test_reading_does_not_count_the_frozen_objects(monkeypatch):
    """The collector walks all of them to count them: a second for tens of millions."""

    def refuse():
        raise AssertionError("counted")

    monkeypatch.setattr(gc, "get_freeze_count", refuse)
    assert read_memory().rss_bytes > 0
    memlens.take_heap_snapshot(mode="inline")


def test_forked_child_reads_its_own_memory():
    script = """
import os
from memlens.process import read_memory
parent = read_memory()
pid = os.fork()
if pid == 0:
    ballast = b"x" * (64 << 20)
    reading = read_memory()
    grown = reading.rss_bytes - parent.rss_bytes
    os._exit(0 if reading.pid == os.getpid() != parent.pid and grown > 50 << 20 else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this platform")
    subprocess.run([sys.executable, "-c", script], check=True)


def test_reading_prints_as_one_line_and_converts_to_json_ready_values():
    reading = read_memory()
    line = str(reading)
    assert "\n" not in line
    assert f"pid {os.getpid()}: RSS " in line
    assert f"({reading.limit_source})" in line
    values = json.loads(json.dumps(reading.to_dict()))
    assert list(values) == [field.name for field in fields(MemoryReading)]
    assert values["rss_bytes"] == reading.rss_bytes
    assert values["gc_collections"] == list(reading.gc_collections)


def test_line_includes_the_requested_numbers():
    reading = replace(
        read_memory(),
        timestamp=0.0,
        pid=7,
        rss_bytes=5 << 20,
        uss_bytes=3 << 20,
        allocated_blocks=1234,
        num_threads=1,
        num_children=2,
        children_rss_bytes=1 << 20,
        gc_collections=(1000, 200, 34),
        limit_bytes=None,
    )
    assert str(reading) == (
        "1970-01-01T00:00:00Z pid 7: RSS 5.00 MiB, USS 3.00 MiB, 1,234 blocks, 1 thread,"
        " 2 children with 1.00 MiB, 1,234 collections"
    )


def test_missing_proc_is_an_error_that_says_what_to_do(monkeypatch):
    import psutil

    def fail(process):
        raise FileNotFoundError(2, "No such file or directory", "/proc/1/statm")

    monkeypatch.setattr(psutil.Process, "memory_info", fail)
    with pytest.raises(ReadingError, match=r"does not report the memory of .*mount /proc"):
        read_memory()


def test_reading_is_immutable():
    with pytest.raises(FrozenInstanceError):
        read_memory().pid = 1


@given(readings)
def test_reading_can_be_restored_from_its_row(reading):
    row = reading.to_row()
    assert len(row) == len(READING_COLUMNS)
    assert MemoryReading.from_row(row) == reading
    in_the_series = [nan if number is None else float(number) for number in row]
    assert MemoryReading.from_row(in_the_series) == reading


def test_column_names_are_unique():
    assert len(set(READING_COLUMNS)) == len(READING_COLUMNS)
    assert {"rss_bytes", "gc_counts_0", "gc_collections_2", "limit_source"} <= set(READING_COLUMNS)
