"""lzma: the memory of decompressors, which liblzma itself tells.

``lzma_memusage`` reads a number that the decoder keeps: the size of the dictionary and of its state,
beyond a fixed share. A compressor tells nothing, and its structure is private to each version of
liblzma, so compressors are left out. A decoder may be in use without the GIL, so it is asked late.
Many programs have lzma imported, few of them use it, and ctypes need not exist: it is imported when
there is a decompressor to measure.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import NativeBlock

__all__ = ("ADAPTERS",)

_FIXED_BYTES = 1 << 15  # LZMA_MEMUSAGE_BASE, which stands for small blocks that there need not be
# Decompressor of Modules/_lzmamodule.c: the head, the allocator, lzma_stream, the state and the input.
_DECOMPRESSOR = struct.Struct("=2Q 3Q 17Q 6Q")
_ALLOCATOR, _STREAM, _STREAM_ALLOCATOR, _STREAM_STATE = 2, 5, 11, 12
_INPUT, _INPUT_BYTES = 25, 26
_WORD_BYTES = 8


def _find_memusage() -> Callable[[int], int] | None:
    """Return ``lzma_memusage`` of the library that ``_lzma`` uses; None where it cannot be reached.

    That is so where ``_lzma`` is a part of the interpreter, and in an interpreter without ctypes.
    """
    path = vars(sys.modules.get("_lzma", sys)).get("__file__")
    if path is None:
        return None
    try:
        import ctypes

        found = ctypes.PyDLL(path).lzma_memusage
    except (ImportError, AttributeError, OSError):
        return None
    found.restype, found.argtypes = ctypes.c_uint64, [ctypes.c_void_p]
    return found


def _no_blocks(stream: Any) -> tuple[()]:
    return ()


def _make_blocks_of() -> Callable[[Any], tuple[NativeBlock, ...]]:
    return partial(_blocks_of_decompressor, cache(_find_memusage))


def _blocks_of_decompressor(
    find_memusage: Callable[[], Callable[[int], int] | None], stream: Any
) -> tuple[NativeBlock, ...]:
    memusage = find_memusage()
    if memusage is None or type(stream).__basicsize__ != _DECOMPRESSOR.size:
        return ()
    import ctypes

    words = _DECOMPRESSOR.unpack(ctypes.string_at(id(stream), _DECOMPRESSOR.size))
    if words[_STREAM_ALLOCATOR] != id(stream) + _ALLOCATOR * _WORD_BYTES:
        return ()  # not initialized, or another structure
    size = words[_INPUT_BYTES] if words[_INPUT] else 0
    if words[_STREAM_STATE]:
        size += max(memusage(id(stream) + _STREAM * _WORD_BYTES) - _FIXED_BYTES, 0)
    return (NativeBlock(0, size),)


ADAPTERS = LibraryAdapters(
    "lzma",
    {"_lzma.LZMADecompressor": _no_blocks},
    later={"_lzma.LZMADecompressor": _make_blocks_of},
)
