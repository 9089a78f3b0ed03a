"""lzma: the memory of decompressors, which liblzma itself tells.

``lzma_memusage`` reads a number that the decoder keeps: the size of the dictionary and of its state,
beyond a fixed share. A compressor tells nothing, and its structure is private to each version of
liblzma, so compressors are left out. A decoder may be in use without the GIL, so it is asked late.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable
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
    """Return ``lzma_memusage`` of the library that ``_lzma`` uses; None where it cannot be reached."""
    module = sys.modules.get("_lzma")
    if module is None:
        return None
    try:
        found = ctypes.PyDLL(vars(module).get("__file__")).lzma_memusage
    except (AttributeError, OSError):
        return None
    found.restype, found.argtypes = ctypes.c_uint64, [ctypes.c_void_p]
    return found


_memusage = _find_memusage()


def _no_blocks(stream: Any) -> tuple[()]:
    return ()


def _blocks_of_decompressor(stream: Any) -> tuple[NativeBlock, ...]:
    if _memusage is None or type(stream).__basicsize__ != _DECOMPRESSOR.size:
        return ()
    words = _DECOMPRESSOR.unpack(ctypes.string_at(id(stream), _DECOMPRESSOR.size))
    if words[_STREAM_ALLOCATOR] != id(stream) + _ALLOCATOR * _WORD_BYTES:
        return ()  # not initialized, or another structure
    size = words[_INPUT_BYTES] if words[_INPUT] else 0
    if words[_STREAM_STATE]:
        size += max(_memusage(id(stream) + _STREAM * _WORD_BYTES) - _FIXED_BYTES, 0)
    return (NativeBlock(0, size),)


ADAPTERS = LibraryAdapters(
    "lzma",
    {"_lzma.LZMADecompressor": _no_blocks},
    later={"_lzma.LZMADecompressor": lambda: _blocks_of_decompressor},
)
