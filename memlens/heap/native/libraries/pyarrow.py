"""pyarrow: the buffers of arrays, chunked arrays, tables, record batches and tensors.

A buffer that is part of another one keeps all of that alive, so the outermost buffer is reported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import Block
from memlens.heap.native.libraries._arrow_stream import Stream

__all__ = ("ADAPTERS",)

_MAX_DEPTH = 64  # of buffers within buffers


def _buffer_block(buffer: Any) -> Block:
    parent = buffer.parent
    for _ in range(_MAX_DEPTH):
        if parent is None:
            break
        buffer, parent = parent, parent.parent
    if buffer.is_cpu:
        return buffer.address, buffer.size, "cpu"
    device = buffer.device
    kind = buffer.device_type.name.lower()
    name = kind if device.device_id < 0 else f"{kind}:{device.device_id}"
    return buffer.address, buffer.size, name


def _blocks_of_buffer(buffer: Any) -> tuple[Block, ...]:
    return (_buffer_block(buffer),)


def _blocks_of_array(array: Any) -> list[Block]:
    data_type = array.type
    if _is_plain(data_type):
        return _blocks_of_buffers(array)
    lib = vars(sys.modules["pyarrow.lib"])
    if type(data_type) is lib["DictionaryType"]:
        return _blocks_of_buffers(array) + _blocks_of_array(array.dictionary)
    return _blocks_of_stream(lib["chunked_array"]([array]))


def _blocks_of_buffers(array: Any) -> list[Block]:
    return [
        (buffer.address, buffer.size, "cpu")
        if buffer.is_cpu and buffer.parent is None
        else _buffer_block(buffer)
        for buffer in array.buffers()
        if buffer is not None
    ]


def _is_plain(data_type: Any) -> bool:
    """Say whether ``buffers()`` of an array of a type tells all: it leaves out dictionaries.

    The arrays of an extension type of the program may have a class of the program, so none is made.
    """
    kind = type(data_type)
    lib = vars(sys.modules["pyarrow.lib"])
    if kind is lib["DataType"]:  # numbers and strings
        return True
    if issubclass(kind, lib["BaseExtensionType"]):
        return lib.get(kind.__name__) is kind and _is_plain(data_type.storage_type)
    if kind is lib["DictionaryType"]:
        return False
    if kind is lib["ListType"] or kind is lib["LargeListType"]:
        return _is_plain(data_type.value_type)
    fields = range(data_type.num_fields)
    return all(_is_plain(data_type.field(number).type) for number in fields)


def _blocks_of_stream(chunked: Any) -> list[Block]:
    capsule = chunked.__arrow_c_stream__(None)
    stream = Stream(capsule)
    return stream.blocks(stream.schema())


def _blocks_of_chunked_array(chunked: Any) -> list[Block]:
    data_type = chunked.type
    if _is_plain(data_type):
        of_chunk = _blocks_of_buffers
    elif type(data_type) is vars(sys.modules["pyarrow.lib"])["DictionaryType"]:
        of_chunk = _blocks_of_array
    else:
        return _blocks_of_stream(chunked)
    blocks: list[Block] = []
    for number in range(chunked.num_chunks):
        blocks += of_chunk(chunked.chunk(number))
    return blocks


def _blocks_of_table(table: Any) -> Iterator[Block]:
    for number in range(table.num_columns):
        yield from _blocks_of_chunked_array(table.column(number))


def _blocks_of_batch(batch: Any) -> Iterator[Block]:
    table = vars(sys.modules["pyarrow.lib"])["Table"]
    yield from _blocks_of_table(table.from_batches([batch]))


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
