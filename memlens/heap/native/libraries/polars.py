"""polars: the buffers of series and frames, by their addresses, so that clones and slices share them.

The buffers are read from the Arrow C stream that polars offers without a copy. Two types would be
copied, and the type of the stream shows them first: the codes of a categorical are found by another
way, except within lists, and columns of Python objects are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from memlens.heap.native.adapter import LibraryAdapters
from memlens.heap.native.blocks import Block
from memlens.heap.native.libraries._arrow_stream import Schema, Stream

__all__ = ("ADAPTERS",)

_CODE_BYTES = {"C": 1, "S": 2, "I": 4}


def _blocks_of_series(series: Any) -> Iterable[Block]:
    capsule = series.__arrow_c_stream__(None)
    stream = Stream(capsule)
    schema = stream.schema()
    if not _is_copied(schema):
        return stream.blocks(schema, series.n_chunks())
    if schema.dictionary is not None:
        return _blocks_of_codes(series, _CODE_BYTES[schema.format])
    if schema.format == "+s":
        return _blocks_of_frame(series.struct_unnest())
    return ()


def _is_copied(schema: Schema) -> bool:
    """Say whether polars makes a new array: of categoricals, unlike enums, and of Python objects."""
    if schema.dictionary is None and not schema.children:
        return schema.format.startswith("w:")
    categorical = schema.dictionary is not None and not schema.is_ordered
    return categorical or any(map(_is_copied, schema.children))


def _blocks_of_codes(series: Any, code_bytes: int) -> Iterator[Block]:
    # A series of a single chunk is not changed by this, and has a pointer without a copy.
    chunks = [series.clone()]
    if series.n_chunks() > 1:
        chunks = [chunk._s for chunk in series.get_chunks()]
    for chunk in chunks:
        length = chunk.len()
        if length:
            yield chunk.as_single_ptr(), length * code_bytes, "cpu"


def _blocks_of_frame(frame: Any) -> Iterator[Block]:
    for series in frame.get_columns():
        yield from _blocks_of_series(series)


_TYPES = {"PySeries": _blocks_of_series, "PyDataFrame": _blocks_of_frame}

ADAPTERS = LibraryAdapters(
    "polars",
    {
        f"{module}.{name}": blocks_of
        for module in ("polars._plr", "polars.polars")  # the second in versions before 1.33
        for name, blocks_of in _TYPES.items()
    },
)
