"""pyarrow: the buffers of arrays, chunked arrays, tables, record batches and tensors.

A buffer that is part of another one keeps all of that alive, so the outermost buffer is reported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import NativeBlock

__all__ = ("ADAPTERS",)

_MAX_DEPTH = 64  # of types within types, and of buffers within buffers


def _buffer_block(buffer: Any) -> NativeBlock:
    parent = buffer.parent
    for _ in range(_MAX_DEPTH):
        if parent is None:
            break
        buffer, parent = parent, parent.parent
    if buffer.is_cpu:
        return NativeBlock(buffer.address, buffer.size)
    device = buffer.device
    kind = buffer.device_type.name.lower()
    name = kind if device.device_id < 0 else f"{kind}:{device.device_id}"
    return NativeBlock(buffer.address, buffer.size, name)


def _blocks_of_buffer(buffer: Any) -> tuple[NativeBlock, ...]:
    return (_buffer_block(buffer),)


def _blocks_of_array(array: Any) -> Iterator[NativeBlock]:
    for buffer in array.buffers():
        if buffer is not None:
            yield _buffer_block(buffer)
    yield from _blocks_of_dictionaries(array, _MAX_DEPTH)


def _blocks_of_dictionaries(array: Any, depth: int) -> Iterator[NativeBlock]:
    """Yield the blocks of dictionaries, which ``buffers()`` leaves out."""
    lib = vars(sys.modules["pyarrow.lib"])
    kind = type(array)
    if kind is lib["DictionaryArray"]:
        yield from _blocks_of_array(array.dictionary)
    elif depth and _may_hold_dictionaries(kind, array, lib):
        for child in _children(kind, array, lib):
            yield from _blocks_of_dictionaries(child, depth - 1)


def _may_hold_dictionaries(kind: Any, array: Any, lib: Any) -> bool:
    return issubclass(kind, lib["ExtensionArray"]) or array.type.num_fields > 0


def _children(kind: Any, array: Any, lib: Any) -> Iterable[Any]:
    if kind is lib["StructArray"] or kind is lib["UnionArray"]:
        return [array.field(number) for number in range(array.type.num_fields)]
    if kind is lib["MapArray"]:
        return (array.keys, array.items)
    if issubclass(kind, lib["ExtensionArray"]):
        return (array.storage,)
    # Lists of all kinds and run-end encoded arrays.
    return (array.values,)


def _blocks_of_chunked_array(chunked: Any) -> Iterator[NativeBlock]:
    for number in range(chunked.num_chunks):
        yield from _blocks_of_array(chunked.chunk(number))


def _blocks_of_table(table: Any) -> Iterator[NativeBlock]:
    for number in range(table.num_columns):
        yield from _blocks_of_chunked_array(table.column(number))


def _blocks_of_batch(batch: Any) -> Iterator[NativeBlock]:
    for number in range(batch.num_columns):
        yield from _blocks_of_array(batch.column(number))


ADAPTERS = LibraryAdapters(
    "pyarrow",
    {
        "pyarrow.lib.Buffer": _blocks_of_buffer,
        "pyarrow.lib.ResizableBuffer": _blocks_of_buffer,
        "pyarrow.lib.ChunkedArray": _blocks_of_chunked_array,
        "pyarrow.lib.RecordBatch": _blocks_of_batch,
        "pyarrow.lib.Table": _blocks_of_table,
    },
    families={"pyarrow.lib.Array": _blocks_of_array},
)
