"""The memory of compressors and decompressors, compared with what malloc and tracemalloc see."""

from __future__ import annotations

import bz2
import ctypes
import functools
import os
import sys
import tracemalloc
import zlib

import pytest

from .conftest import IMPLEMENTATIONS
from .heaps import PLANT, take
from .test_capture_native import native_blocks

if "C" not in IMPLEMENTATIONS:
    pytest.skip("only the C core reads the states", allow_module_level=True)
if not zlib.ZLIB_RUNTIME_VERSION.startswith(("1.2.", "1.3.")):
    pytest.skip("another zlib than the known ones", allow_module_level=True)
core = IMPLEMENTATIONS["C"]

pytestmark = pytest.mark.small_process

DATA = os.urandom(300_000)


def blocks_of(obj):
    """The native blocks of an object, as (bytes, library)."""
    PLANT.stream = obj
    heap = take(core)
    del PLANT.stream
    return [
        (block.size, block.library)
        for blocks in native_blocks(heap).values()
        for block in blocks
        if id(obj) in block.owners
    ]


def traced(make):
    """What a function makes, and the bytes that Python's allocators gave meanwhile."""
    tracemalloc.start()
    try:
        made = make()
        return made, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def decompressing(new, data, **limit):
    """A decompressor that has read a part of some data."""
    stream = new()
    stream.decompress(data, **limit)
    return stream


@pytest.mark.parametrize(
    "make",
    [
        *(
            pytest.param(
                functools.partial(zlib.compressobj, 6, zlib.DEFLATED, bits, level),
                id=f"deflate {bits}",
            )
            for bits, level in ((15, 8), (-9, 1), (12, 9))
        ),
        pytest.param(zlib.decompressobj, id="inflate nothing yet"),
        pytest.param(
            functools.partial(decompressing, zlib.decompressobj, zlib.compress(DATA)[:50_000]),
            id="inflate",
        ),
        pytest.param(
            functools.partial(
                decompressing,
                functools.partial(zlib.decompressobj, -10),
                zlib.compress(DATA, wbits=-10)[:50_000],
            ),
            id="inflate with a small window",
        ),
    ],
)
def test_what_zlib_keeps(make):
    stream, expected = traced(make)
    ((size, library),) = blocks_of(stream)
    assert library == "zlib"
    assert abs(size - expected) <= 0.05 * expected + 600


@pytest.mark.skipif(not hasattr(zlib, "_ZlibDecompressor"), reason="from 3.12 on")
def test_what_gzip_reads_with_and_has_not_read_yet():
    data = zlib.compress(DATA, wbits=31)
    new = functools.partial(zlib._ZlibDecompressor, 31)
    stream, expected = traced(lambda: decompressing(new, data, max_length=10))
    ((size, library),) = blocks_of(stream)
    assert library == "zlib"
    assert size > 250_000
    assert abs(size - expected) <= 0.05 * expected


@pytest.mark.parametrize("level", [1, 5, 9])
def test_what_bzip2_keeps_to_compress(level):
    stream, expected = traced(lambda: bz2.BZ2Compressor(level))
    assert [library for _, library in blocks_of(stream)] == ["bz2"]
    assert abs(blocks_of(stream)[0][0] - expected) <= 1000


class Malloc(ctypes.Structure):
    """What mallinfo2() returns."""

    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]


def malloc_bytes():
    read = ctypes.CDLL(None).mallinfo2
    read.restype = Malloc
    found = read()
    return found.uordblks + found.hblkhd


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs mallinfo2")
@pytest.mark.parametrize("level", [1, 9])
def test_what_bzip2_keeps_to_decompress(level):
    data = bz2.compress(DATA, level)[:20_000]  # less than a block: nothing has come out
    bz2.BZ2Decompressor().decompress(data)
    before = malloc_bytes()
    if not before:
        pytest.skip("malloc is not that of glibc")
    fresh = bz2.BZ2Decompressor()
    between = malloc_bytes()
    reading = decompressing(bz2.BZ2Decompressor, data)
    after = malloc_bytes()
    assert abs(blocks_of(fresh)[0][0] - (between - before)) <= 3000
    assert abs(blocks_of(reading)[0][0] - (after - between)) <= 10_000


def test_input_that_waits_counts():
    data = bz2.compress(DATA, 1)  # three blocks, of which one is read for the first bytes
    whole = decompressing(bz2.BZ2Decompressor, data[:-1])
    stream = decompressing(bz2.BZ2Decompressor, data, max_length=10)
    assert blocks_of(whole) == [(64_144 + 400_000, "bz2")]
    ((size, _),) = blocks_of(stream)
    waiting = size - (64_144 + 400_000)
    assert 0.6 * len(data) < waiting < 0.7 * len(data)


@pytest.mark.parametrize(
    "make",
    [lambda: zlib.compressobj(), lambda: decompressing(zlib.decompressobj, zlib.compress(DATA))],
)
def test_what_zlib_has_freed_is_no_block(make):
    stream = make()
    stream.flush()
    assert blocks_of(stream) == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="is initialized as soon as it is made")
def test_what_was_never_initialized_is_no_block():
    assert blocks_of(bz2.BZ2Compressor.__new__(bz2.BZ2Compressor)) == []


def waiting_for_room():
    """A decompressor that has more input than it may read."""
    return decompressing(bz2.BZ2Decompressor, bz2.compress(DATA, 1), max_length=10)


def test_input_of_a_size_that_is_not_possible_does_not_count():
    stream = waiting_for_room()
    ((size, _),) = blocks_of(stream)
    number = ctypes.c_ssize_t.from_address(id(stream) + object.__basicsize__ + 112)
    assert size == 64_144 + 400_000 + number.value
    before, number.value = number.value, -5
    try:
        assert blocks_of(stream) == [(64_144 + 400_000, "bz2")]
    finally:
        number.value = before


def test_a_state_that_is_not_as_it_is_known_is_not_read():
    """As of another library: its numbers are not possible, or it does not refer back."""
    word = ctypes.sizeof(ctypes.c_void_p)
    for stream, state_at, changes in (
        (zlib.compressobj(), 56, (0, 72)),  # the stream, the window
        (zlib.decompressobj(), 56, (0, 8)),  # the stream, the mode
        (bz2.BZ2Compressor(), 48, (0, 8, 112)),
        (bz2.BZ2Decompressor(), 48, (0, 8)),
        (waiting_for_room(), 48, (0, 8)),  # it has input, too
    ):
        assert blocks_of(stream)
        state = ctypes.c_void_p.from_address(id(stream) + 2 * word + state_at).value
        for offset in changes:
            number = ctypes.c_uint32.from_address(state + offset)
            before, number.value = number.value, number.value ^ 0x5555
            try:
                assert blocks_of(stream) == []
            finally:
                number.value = before
        assert blocks_of(stream)
