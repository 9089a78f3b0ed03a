"""What lies at an address, and which part of a range is resident."""

from __future__ import annotations

import mmap
import os
import sys

import pytest

from memlens._core.mappings import Mappings, device_of_path, read_mappings, resident_parts
from memlens.heap.native.mappings import read_file_mappings

LINES = [
    "7f0000004000-7f0000005000 rw-s 00000000 00:1a 9 /dev/shm/torch_1",
    "7f0000002000-7f0000003000 r--p 00000000 fe:01 9 /data/a file.arrow (deleted)",
    "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ",
    "7f0000001000-7f0000002000 rw-p 00000000 00:00 0 [heap]",
    "7f0000006000-7f0000007000 rw-s 00000000 00:01 9 /memfd:x (deleted)",
    "7f0000008000-7f0000009000 rw-s 00000000 00:01 9 /dev/zero (deleted)",
]


@pytest.mark.parametrize(
    ("address", "device"),
    [
        (0, None),
        (0x7F0000000800, "cpu"),
        (0x7F0000001800, "cpu"),
        (0x7F0000002000, "mapped"),
        (0x7F0000002FFF, "mapped"),
        (0x7F0000003000, None),
        (0x7F0000004800, "shared"),
        (0x7F0000005000, None),
        (0x7F0000006000, "shared"),
        (0x7F0000008000, "cpu"),
        (0x7F0000009000, None),
    ],
)
def test_an_address_lies_in_a_file_in_shared_memory_or_in_neither(address, device):
    assert Mappings(LINES).device_at(address) == device


@pytest.mark.parametrize(
    ("path", "device"),
    [("/SYSV00000000 (deleted)", "shared"), ("/anon_hugepage (deleted)", "cpu"), ("/a", "mapped")],
)
def test_a_path_need_not_be_one_of_a_file(path, device):
    assert device_of_path(path) == device


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which pages are resident")
def test_a_range_is_resident_where_pages_were_touched():
    import ctypes

    page = mmap.PAGESIZE
    with mmap.mmap(-1, 64 * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapping:
        mapping.madvise(mmap.MADV_NOHUGEPAGE)
        view = (ctypes.c_char * len(mapping)).from_buffer(mapping)
        start = ctypes.addressof(view)
        del view
        for number in (3, 4, 10):
            mapping[number * page] = 1
        ranges = [
            (start, start + 64 * page),
            (start + 3 * page + 100, start + 4 * page + 50),  # the ends lie within pages
            (start + 3 * page + 100, start + 3 * page + 150),
            (start + 5 * page, start + 10 * page),
        ]
        expected = [3 * page, page - 100 + 50, 50, 0]
        assert resident_parts(ranges) == [(size, size) for size in expected]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which pages are resident")
def test_a_range_that_is_too_long_is_not_asked_about():
    page = mmap.PAGESIZE
    assert resident_parts([(page, 1 << 40), (page, 2 * page)]) == [None, (0, 0)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists mappings")
@pytest.mark.parametrize("name", ["a\rb c", "a\nb", "a\x0b\x1c\x85\u2028 b", b"\xff \r x"])
def test_a_path_may_have_any_character(name, tmp_path):
    import ctypes

    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    with open(path, "w+b") as file:
        file.truncate(mmap.PAGESIZE)
        mapping = mmap.mmap(file.fileno(), 0)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    assert read_mappings().device_at(address) == "mapped"
    assert address in read_file_mappings()
    mapping.close()
    assert address not in read_file_mappings()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which pages are resident")
def test_pages_of_a_file_are_told_from_private_ones(tmp_path):
    import ctypes

    page = mmap.PAGESIZE
    with (tmp_path / "data").open("w+b") as file:
        file.truncate(8 * page)
        private = mmap.mmap(file.fileno(), 8 * page, access=mmap.ACCESS_COPY)
        shared = mmap.mmap(file.fileno(), 8 * page)
    starts = [ctypes.addressof(ctypes.c_char.from_buffer(one)) for one in (private, shared)]
    sum(shared[::page])
    sum(private[::page])
    private[2 * page] = private[3 * page] = shared[5 * page] = 1
    ranges = [(start + page, start + 3 * page + 100) for start in starts]
    assert resident_parts(ranges) == [(2 * page + 100, page + 100), (2 * page + 100, 0)]
