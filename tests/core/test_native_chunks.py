"""Chunks carry rows, names and a note, and a damaged one is refused."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memlens._core.native_chunks import Row, decode_chunk, encode_chunk

NUMBERS = st.integers(0, 2**64 - 1)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def chunks(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=5))
    index = st.integers(0, len(names) - 1)
    rows = draw(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, index, index), max_size=20))
    note = draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(), max_size=3))
    return names, rows, note


@given(chunks())
def test_a_chunk_reads_back_as_it_was_written(parts):
    names, rows, note = parts
    chunk = decode_chunk(encode_chunk([number for row in rows for number in row], names, note))
    assert chunk.rows == tuple(Row(*row[:3], names[row[3]], names[row[4]]) for row in rows)
    assert chunk.note == note


@given(chunks(), st.data())
def test_a_chunk_that_was_cut_is_refused(parts, data):
    names, rows, note = parts
    chunk = encode_chunk([number for row in rows for number in row], names, note)
    with pytest.raises(ValueError):  # noqa: PT011 - the message depends on where it was cut
        decode_chunk(chunk[: data.draw(st.integers(0, len(chunk) - 1))])


def test_the_layout_is_the_documented_one():
    chunk = encode_chunk((7, 4096, 10, 1, 0), ("torch", "cpu"), {"a": "line\nbreak"})
    note = json.dumps({"a": "line\nbreak"}).encode()
    assert b"\n" not in note
    assert chunk == (
        struct.pack("=III", 2, 1, len(note))
        + struct.pack("=5Q", 7, 4096, 10, 1, 0)
        + struct.pack("=I5sI3s", 5, b"torch", 3, b"cpu")
        + note
    )


def test_wrong_contents_are_refused():
    with pytest.raises(ValueError, match="five numbers for each row"):
        encode_chunk((1, 2, 3), ("x",))
    with pytest.raises(ValueError, match="damaged"):
        decode_chunk(encode_chunk((1, 2, 3, 0, 5), ("x",)))
