"""pyarrow: all that the memory pool has allocated is attributed, shared buffers once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.heap.native.measuring import addresses, distinct_bytes, rows_of

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

WORDS = [f"a word with the number {number}" for number in range(1000)]
STRUCTS = [{"a": number, "b": WORDS[number]} for number in range(1000)]
COLUMNS = {
    "integers": lambda: pa.array(range(1000)),
    "nulls": lambda: pa.array([1.5, None] * 500),
    "booleans": lambda: pa.array([True, False, None] * 3000),
    "strings": lambda: pa.array(WORDS),
    "string views": lambda: pa.array(WORDS, pa.string_view()),
    "large strings": lambda: pa.array(WORDS, pa.large_string()),
    "binary": lambda: pa.array([b"x" * 20] * 1000, pa.binary(20)),
    "decimals": lambda: pa.array(range(1000)).cast(pa.decimal128(30, 2)),
    "timestamps": lambda: pa.array(range(1000), pa.timestamp("us", "UTC")),
    "dictionary": lambda: pa.array(WORDS).dictionary_encode(),
    "lists": lambda: pa.array([WORDS[:5]] * 200),
    "fixed lists": lambda: pa.array([[1, 2, 3]] * 500, pa.list_(pa.int64(), 3)),
    "structs": lambda: pa.array(STRUCTS),
    "maps": lambda: pa.array([[(word, 1)] for word in WORDS], pa.map_(pa.string(), pa.int64())),
    "lists of dictionaries": lambda: pa.ListArray.from_arrays(
        pa.array([0, 400, 1000], pa.int32()), pa.array(WORDS).dictionary_encode()
    ),
    "structs of dictionaries": lambda: pa.StructArray.from_arrays(
        [pa.array(WORDS).dictionary_encode(), pa.array(range(1000))], ["a", "b"]
    ),
    "maps to dictionaries": lambda: pa.MapArray.from_arrays(
        pa.array([0, 400, 1000], pa.int32()), pa.array(WORDS), pa.array(WORDS).dictionary_encode()
    ),
    "unions": lambda: pa.UnionArray.from_sparse(
        pa.array([0, 1] * 500, pa.int8()), [pa.array(WORDS), pa.array(WORDS).dictionary_encode()]
    ),
    "runs": lambda: pa.RunEndEncodedArray.from_arrays(
        pa.array(range(1, 1001), pa.int32()), pa.array(WORDS)
    ),
    "unique ids": lambda: pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([bytes(16)] * 1000, pa.binary(16))
    ),
}


def as_table(array):
    return pa.table({"x": array})


def as_batch(array):
    return pa.record_batch({"x": array})


def as_chunks(array):
    return pa.chunked_array([array.slice(0, 10), array.slice(10)])


@pytest.mark.parametrize("wrap", [lambda array: array, as_table, as_batch, as_chunks])
@pytest.mark.parametrize("make", COLUMNS.values(), ids=COLUMNS)
def test_all_that_the_pool_allocated_is_attributed(make, wrap):
    before = pa.total_allocated_bytes()
    owner = wrap(make())
    allocated = pa.total_allocated_bytes() - before  # in steps of 64 bytes a buffer
    found = distinct_bytes(owner)
    assert allocated - 64 * 12 <= found <= allocated
    assert found >= 0.9 * allocated


def test_large_arrays_are_attributed_by_95_percent():
    before = pa.total_allocated_bytes()
    table = pa.table({"n": pa.array(range(100_000)), "s": pa.array(WORDS * 100)})
    allocated = pa.total_allocated_bytes() - before
    assert 0.95 * allocated <= distinct_bytes(table) <= allocated


def test_slices_and_columns_share_the_buffers_of_their_table():
    table = pa.table({"n": pa.array(range(1000)), "s": pa.array(WORDS)})
    column = table.column("s")
    array = column.chunk(0)
    parts = [table.slice(10, 5), column, column.slice(3, 2), array, array.slice(100, 1)]
    assert distinct_bytes(table, *parts) == distinct_bytes(table)
    assert addresses(*parts) == addresses(table)
    assert distinct_bytes(array.slice(100, 1)) == distinct_bytes(array)


def test_a_part_of_a_buffer_keeps_all_of_it():
    buffer = pa.allocate_buffer(1000)
    part = buffer.slice(100, 50).slice(10)
    assert rows_of(part) == [(0, buffer.address, 1000, "cpu", "pyarrow")]


def test_a_buffer_over_bytes_has_the_address_of_the_bytes():
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    data = numpy.arange(1000)
    (row,) = rows_of(pa.array(data))
    assert (row.address, row.size) == (data.ctypes.data, data.nbytes)


def test_a_mapped_file_has_the_device_mapped(tmp_path):
    table = pa.table({"n": pa.array(range(1000))})
    path = str(tmp_path / "table.arrow")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pa.memory_map(path) as source:
        mapped = pa.ipc.open_file(source).read_all()
        devices = {row.device for row in rows_of(mapped)}
    assert devices == {"mapped"}


class Label(pa.ExtensionType):
    def __init__(self):
        super().__init__(pa.int64(), "memlens.label")

    def __arrow_ext_serialize__(self):
        return b""


class LabelArray(pa.ExtensionArray):
    def buffers(self):
        raise AssertionError("code of the program ran")


def test_a_subclass_of_the_program_is_not_measured():
    from memlens.heap.native.registry import active_types

    Label.__arrow_ext_class__ = lambda self: LabelArray
    array = pa.ExtensionArray.from_storage(Label(), pa.array([1, 2]))
    assert type(array) is LabelArray
    assert LabelArray not in dict(active_types())
    assert distinct_bytes(pa.table({"x": array})) == 16


@st.composite
def sharing_owners(draw):
    """Return owners of a few arrays, and which arrays each of them keeps alive."""
    arrays = [pa.array(range(100 * (number + 1))) for number in range(draw(st.integers(1, 4)))]
    owners = []
    for _ in range(draw(st.integers(0, 10))):
        chosen = draw(st.sets(st.sampled_from(range(len(arrays))), min_size=1))
        start = draw(st.integers(0, 99))
        sliced = [arrays[number].slice(start, 1) for number in chosen]
        owners.append((pa.chunked_array(sliced), chosen))
    return arrays, owners


@given(sharing_owners())
def test_owners_share_blocks_as_they_share_arrays(drawn):
    arrays, owners = drawn
    kept = set().union(*(chosen for _, chosen in owners))
    assert distinct_bytes(*(owner for owner, _ in owners)) == sum(arrays[n].nbytes for n in kept)
    for owner, chosen in owners:
        assert addresses(owner) == {arrays[number].buffers()[1].address for number in chosen}
