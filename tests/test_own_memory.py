"""Open snapshots are not counted as memory of the program."""

from __future__ import annotations

import mmap
import os
import sys

import psutil
import pytest

import memlens
from memlens._own_memory import hold_mapping, own_memory
from memlens.heap.graph.snapshot_file import SectionFile, write_sections
from memlens.process import breakdown

SIZE = 32 << 20
PAGE = mmap.PAGESIZE
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def path(tmp_path):
    """A file in the format of snapshots with one section of 32 MiB."""
    assert own_memory().total_bytes == 0
    write_sections(tmp_path / "s.memlens", {"zeros": ("B", bytes(SIZE))}, {})
    yield tmp_path / "s.memlens"
    assert own_memory().total_bytes == 0


def mapped(path):
    """Open a file as those above the limit of copies are."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return SectionFile.from_descriptor(descriptor)
    finally:
        os.close(descriptor)


def test_copied_file_is_own_memory_and_not_that_of_the_program(path):
    before = breakdown()
    file = SectionFile(path)
    after, reading = breakdown(), memlens.read_memory()
    assert after.own.size_bytes == reading.own_bytes == path.stat().st_size
    assert reading.rss_bytes + reading.own_bytes == pytest.approx(
        psutil.Process().memory_info().rss, rel=0.05
    )
    assert "32.0 MiB of open snapshots" in str(reading)
    if before.malloc_in_use.size_bytes is not None:
        assert abs(after.malloc_in_use.size_bytes - before.malloc_in_use.size_bytes) < SIZE / 4
    del file


@linux
def test_resident_pages_of_a_mapped_file_are_own_memory(path):
    before, reading_before = breakdown(), memlens.read_memory()
    file = mapped(path)
    assert sum(file["zeros"]) == 0  # reads every page
    after, reading = breakdown(), memlens.read_memory()
    assert SIZE <= after.own.size_bytes == reading.own_bytes <= path.stat().st_size + PAGE
    assert abs(after.file_mappings.size_bytes - before.file_mappings.size_bytes) < SIZE / 4
    assert abs(reading.rss_bytes - reading_before.rss_bytes) < SIZE / 4
    assert after.rss.size_bytes - before.rss.size_bytes > SIZE * 3 / 4  # the total is the kernel's
    del file


@linux
def test_pages_that_were_never_read_are_not_resident(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        mapping.madvise(mmap.MADV_RANDOM)  # without reading ahead
        hold_mapping(mapping)
        touched = mapping[SIZE // 2]
        resident = own_memory().mapped_bytes
    assert touched == 0
    assert PAGE <= resident < SIZE / 4


def test_closed_mapping_counts_nothing(path):
    with open(path, "rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    hold_mapping(mapping)
    mapping.close()
    assert own_memory().total_bytes == 0


def test_parts_name_the_open_snapshots(path):
    file = SectionFile(path)
    assert "memlens: open snapshots" in str(breakdown())
    assert breakdown().to_dict()["own_bytes"] == path.stat().st_size
    del file
