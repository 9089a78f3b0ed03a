"""Decompressors of lzma, compared with what tracemalloc sees."""

from __future__ import annotations

import ctypes
import lzma
import os
import sys
import tracemalloc

import pytest

from memlens.heap.native.libraries import lzma as adapter
from tests.heap.native.measuring import rows_of

DATA = os.urandom(200_000)

pytestmark = pytest.mark.skipif(
    adapter._find_memusage() is None, reason="liblzma is a part of the interpreter, which hides it"
)


def traced(data, **limit):
    """A decompressor that has read some data, and what it took."""
    tracemalloc.start()
    try:
        stream = lzma.LZMADecompressor()
        stream.decompress(data, **limit)
        return stream, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("preset", [0, 3, 6, 9])
@pytest.mark.parametrize("container", [lzma.FORMAT_XZ, lzma.FORMAT_ALONE], ids=["xz", "lzma"])
def test_a_decompressor_takes_what_its_preset_says(preset, container):
    stream, expected = traced(lzma.compress(DATA, preset=preset, format=container)[:50_000])
    ((_, address, size, device, library),) = rows_of(stream)
    assert (address, device, library) == (0, "cpu", "lzma")
    assert abs(size - expected) <= 0.02 * expected


def test_input_that_waits_counts():
    data = lzma.compress(DATA, preset=0)
    stream, expected = traced(data, max_length=10)
    assert not stream.needs_input
    ((*_, size, _, _),) = rows_of(stream)
    assert size > len(data)
    assert abs(size - expected) <= 0.02 * expected


def test_one_that_has_read_nothing_has_no_block():
    assert (
        rows_of(lzma.LZMADecompressor(), lzma.LZMADecompressor.__new__(lzma.LZMADecompressor)) == []
    )


def test_another_structure_is_not_read(monkeypatch):
    stream, _ = traced(lzma.compress(DATA, preset=0)[:50_000])
    monkeypatch.setattr(adapter, "_ALLOCATOR", adapter._ALLOCATOR + 1)
    assert rows_of(stream) == []


@pytest.mark.parametrize("path", ["/nowhere", None])
def test_a_library_that_cannot_be_reached_tells_nothing(monkeypatch, path):
    """``None``: a part of the interpreter, where only what all programs may call would be found."""
    stream, _ = traced(lzma.compress(DATA, preset=0)[:50_000])
    monkeypatch.setattr(sys.modules["_lzma"], "__file__", path)
    asked = []
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: asked.append(name) or ctypes.CDLL(name))
    assert adapter._find_memusage() is None
    assert rows_of(stream) == []
    assert {*asked} == {path} - {None}


def test_without_ctypes_nothing_is_told(monkeypatch):
    stream, _ = traced(lzma.compress(DATA, preset=0)[:50_000])
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert rows_of(stream) == []
