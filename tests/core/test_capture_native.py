"""Native memory as nodes of the graph, on both cores."""

from __future__ import annotations

import ctypes
import gc
import io
import json
import mmap
import sys
import tempfile
from array import array
from typing import NamedTuple

import pytest

from memlens._core.layout import NONE, NodeFlag
from memlens._core.native_chunks import HELD_OBJECT, encode_chunk

from .conftest import IMPLEMENTATIONS
from .heaps import PLANT, take

pytestmark = pytest.mark.small_process


class Blob:
    """An object of a library: what it holds is known to the adapter only."""

    def __init__(self, *blocks, device="cpu", library="vendor"):
        self.held = [(*block, device, library) for block in blocks]


class Block(NamedTuple):
    size: int
    device: str
    library: str
    owners: frozenset
    is_garbage: bool


def measure(objects, send):
    """Tell of all blocks of all blobs, as the adapters would."""
    for position, blob in enumerate(objects):
        assert type(blob) is Blob
        for address, size, device, library in blob.held:
            send(encode_chunk((position, address, size, 0, 1), (device, library)))
    send(encode_chunk((), (), {"library": "vendor", "state": "done", "objects": len(objects)}))


def native_blocks(heap):
    """The native blocks of a heap, by address; a list of those without one."""
    rows = zip(
        *(
            memoryview(heap.sections[f"native_{name}"]).tolist()
            for name in ("node", "device", "library")
        ),
        strict=True,
    )
    owners = heap.owners_of([*memoryview(heap.sections["native_node"])], "buffer")
    found = {}
    for node, device, library in rows:
        flags = heap.flags_of_node(node)
        assert flags & NodeFlag.NATIVE
        assert heap.edges_of_node(node) == []
        row = heap.sections["node_type"][node]
        assert heap.sections["type_node"][row] == NONE
        assert heap.type_name_of_node(node) == f"native memory ({heap.string(library)})"
        block = Block(
            heap.sections["node_size"][node],
            heap.string(device),
            heap.string(library),
            frozenset(heap.sections["node_address"][owner] for owner in owners[node]),
            bool(flags & NodeFlag.GARBAGE),
        )
        found.setdefault(heap.sections["node_address"][node], []).append(block)
    return found


def of_blobs(core, *blobs, **options):
    """The blocks that blobs hold, by address."""
    PLANT.blobs = blobs
    heap = take(core, native_types=(Blob,), measure=measure, **options)
    del PLANT.blobs
    ids = {*map(id, blobs)}
    return heap, {
        address: blocks
        for address, blocks in native_blocks(heap).items()
        if any(block.owners & ids for block in blocks)
    }


def test_memory_of_ctypes_is_a_block_where_the_object_owns_it(core):
    PLANT.large, PLANT.small = ctypes.create_string_buffer(100_000), ctypes.c_char()
    PLANT.inside = (ctypes.c_char * 8)()
    PLANT.view = (ctypes.c_char * 1000).from_buffer(PLANT.large)
    heap = take(core)
    found = native_blocks(heap)[ctypes.addressof(PLANT.large)]
    assert found == [Block(100_000, "cpu", "ctypes", frozenset([id(PLANT.large)]), False)]
    for obj in (PLANT.small, PLANT.inside, PLANT.view):
        assert not any(name == "buffer" for _, name, _ in heap.edges(obj))
    for name in ("large", "small", "inside", "view"):
        delattr(PLANT, name)


def test_structures_and_unions_count_too(core):
    class Structure(ctypes.Structure):
        _fields_ = [("text", ctypes.c_char * 3000)]

    class Union(ctypes.Union):
        _fields_ = [("text", ctypes.c_char * 4000)]

    PLANT.kept = [Structure(), Union(), (Structure * 3)()]
    blocks = native_blocks(take(core))
    sizes = [blocks[ctypes.addressof(obj)][0].size for obj in PLANT.kept]
    del PLANT.kept
    assert sizes == [3000, 4000, 9000]


def test_a_mapping_is_anonymous_or_of_a_file(core):
    with tempfile.TemporaryFile() as file:
        file.truncate(300_000)
        PLANT.mapped = mmap.mmap(file.fileno(), 0)
    PLANT.anonymous, PLANT.closed = mmap.mmap(-1, 200_000), mmap.mmap(-1, 4096)
    PLANT.closed.close()
    heap = take(core)
    found = {
        owner: block
        for blocks in native_blocks(heap).values()
        for block in blocks
        for owner in block.owners
    }
    assert found[id(PLANT.mapped)][:3] == (300_000, "mapped", "mmap")
    assert found[id(PLANT.anonymous)][:3] == (200_000, "cpu", "mmap")
    assert id(PLANT.closed) not in found
    PLANT.mapped.close()
    del PLANT.mapped, PLANT.anonymous, PLANT.closed


def test_what_a_memoryview_shows_is_memory_of_the_mapping(core):
    mapping = mmap.mmap(-1, 100_000)
    PLANT.kept = [mapping, memoryview(mapping)[10:20]]
    blocks = [
        block
        for blocks in native_blocks(take(core)).values()
        for block in blocks
        if id(mapping) in block.owners
    ]
    del PLANT.kept
    assert [block.size for block in blocks] == [100_000]


def test_blobs_that_share_memory_have_one_block(core):
    one, two = Blob((4096, 1000)), Blob((4096, 1000))
    part = Blob((4196, 100))
    _, found = of_blobs(core, one, two, part)
    owners = frozenset(map(id, (one, two, part)))
    assert found == {4096: [Block(1000, "cpu", "vendor", owners, False)]}


def test_equal_addresses_on_two_devices_are_two_blocks(core):
    here, there = Blob((4096, 1000)), Blob((4096, 2000), device="cuda:0")
    _, found = of_blobs(core, here, there)
    assert sorted((block.size, block.device) for block in found[4096]) == [
        (1000, "cpu"),
        (2000, "cuda:0"),
    ]


def test_without_an_address_a_block_is_of_its_owner_alone(core):
    one, two = Blob((0, 1000), (0, 1000)), Blob((0, 1000))
    _, found = of_blobs(core, one, two)
    assert sorted(len(block.owners) for block in found[0]) == [1, 1, 1]


def test_a_block_of_unknown_address_is_not_near_another(core):
    large, other = Blob((0, 1 << 40)), Blob((4096, 1000))
    _, found = of_blobs(core, large, other)
    assert [block.size for block in found[0]] == [1 << 40]
    assert [block.size for block in found[4096]] == [1000]


def test_several_parts_of_an_object_explain_one_reference(core):
    data = bytes(range(250)) * 20
    address = id(data) + bytes.__basicsize__ - 1
    PLANT.data = data
    before = take(core).external(data)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(data))  # the library's, and another one
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(data))
    try:
        heap, _ = of_blobs(core, Blob((address, 10)), Blob((address + 50, 10)))
        assert heap.external(data) == before + 1
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(data))
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(data))
        del PLANT.data


def test_the_program_sets_the_collector_while_adapters_run(core):
    if core is not IMPLEMENTATIONS.get("C"):
        pytest.skip("the pure core asks within its walk")
    seen = []

    def ask(objects, send):
        seen.append(gc.isenabled())
        gc.disable()

    PLANT.blob = Blob((1, 1))
    try:
        core.capture(native_types=(Blob,), measure=ask)
        assert seen == [True]
        assert not gc.isenabled()
    finally:
        gc.enable()
        del PLANT.blob


def test_nothing_is_no_block(core):
    blob = Blob((4096, 0), (8192, 5))
    assert [*of_blobs(core, blob)[1]] == [8192]


def test_memory_within_an_object_is_a_reference_to_it(core):
    """A library that uses the memory of bytes holds the bytes, without showing it."""
    data = bytes(5000)
    address = id(data) + bytes.__basicsize__ - 1
    one, two = Blob((address, 5000)), Blob((address + 100, 50))
    PLANT.data = data
    before = take(core)
    heap, found = of_blobs(core, one, two)
    del PLANT.data
    assert found == {}
    for blob in (one, two):
        assert ("INTERNAL", "buffer", id(data)) in heap.edges(blob)
    # The library's reference explains one, whatever leads to it.
    assert heap.external(data) == max(before.external(data) - 1, 0)


class Wrapper:
    """An object that only native code refers to."""


def held(obj, kind=None):
    return Blob((id(obj), id(kind or type(obj))), device=HELD_OBJECT)


def test_an_object_that_an_adapter_names_is_held_by_its_owners(core):
    wrapper = Wrapper()
    one, two = held(wrapper), held(wrapper)
    PLANT.wrapper = wrapper
    before = take(core)
    heap, found = of_blobs(core, one, two)
    del PLANT.wrapper
    assert found == {}
    for blob in (one, two):
        assert ("INTERNAL", "buffer", id(wrapper)) in heap.edges(blob)
    assert heap.external(wrapper) == max(before.external(wrapper) - 1, 0)


def test_an_object_that_only_a_library_holds_has_no_root(core):
    wrapper = Wrapper()
    address, blob = id(wrapper), held(wrapper)
    wrapper.blob = blob
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(wrapper))
    del wrapper
    try:
        heap, _ = of_blobs(core, blob)
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.cast(address, ctypes.py_object))
    assert heap.roots_of_node(heap.node_of[address]) == []


def test_what_is_no_such_object_is_neither_held_nor_a_block(core):
    wrapper = Wrapper()
    PLANT.wrapper = wrapper
    of_another_type, gone = held(wrapper, Blob), Blob((4096, id(Wrapper)), device=HELD_OBJECT)
    itself = Blob()
    itself.held = held(itself).held
    heap, found = of_blobs(core, of_another_type, gone, itself)
    del PLANT.wrapper
    assert found == {}
    for blob in (of_another_type, gone, itself):
        assert not [name for _, name, _ in heap.edges(blob) if name == "buffer"]


def test_numbers_of_an_array_are_its_own(core):
    numbers = array("d", range(1000))
    address, length = numbers.buffer_info()
    blob = Blob((address, length * 8))
    PLANT.numbers = numbers
    heap, found = of_blobs(core, blob)
    del PLANT.numbers
    assert found == {}
    assert ("INTERNAL", "buffer", id(numbers)) in heap.edges(blob)


def test_blocks_of_garbage_are_garbage(core):
    kept, lost = Blob((4096, 10), (65536, 10)), Blob((8192, 10), (65536, 10))
    lost.itself = lost
    address = id(lost)
    gc.collect()
    gc.disable()
    try:
        PLANT.blobs = [kept]
        del lost
        found = native_blocks(take(core, native_types=(Blob,), measure=measure))
    finally:
        gc.enable()
        del PLANT.blobs
    gc.collect()
    assert {place: found[place][0].is_garbage for place in (4096, 8192, 65536)} == {
        4096: False,
        8192: True,
        65536: False,
    }
    assert address in found[65536][0].owners


def test_notes_are_kept_as_they_are(core):
    heap, _ = of_blobs(core, Blob((4096, 1)))
    notes = bytes(memoryview(heap.sections["native_notes"]).cast("B")).decode().splitlines()
    assert [json.loads(note) for note in notes] == [
        {"library": "vendor", "state": "done", "objects": 1}
    ]


GOOD = encode_chunk((0, 4096, 10, 0, 1), ("cpu", "vendor"))
UNREADABLE = {"library": "all adapters", "state": "unreadable"}


@pytest.mark.parametrize(
    "chunk",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 20, id="noise"),
        pytest.param(GOOD[:-1], id="cut"),
        pytest.param(GOOD + b"x", id="with a rest"),
        pytest.param(
            encode_chunk((0, 64, 8, 0, 1, 0, 72, 8, 0, 5), ("cpu", "x")), id="no sixth name"
        ),
        pytest.param(encode_chunk((0, 64, 8, 1, 0), ("cpu",)), id="no second name"),
        pytest.param(GOOD.replace(b"vendor", b"v\xc3\xc3\xffor"), id="no UTF-8"),
        pytest.param(GOOD.replace(b"vendor", b"ven\xed\xa0\x80"), id="a surrogate"),
        pytest.param(GOOD.replace(b"vendor", b"vend\xc0\x80"), id="not the shortest form"),
        pytest.param(GOOD.replace(b"vendor", b"ve\xf4\x90\x80\x80"), id="beyond Unicode"),
        pytest.param(GOOD.replace(b"vendor", b"vendo\xe2"), id="UTF-8 that was cut"),
    ],
)
def test_a_damaged_chunk_is_noted_and_the_others_count(core, chunk):
    def ask(objects, send):
        send(chunk)
        send(GOOD)

    PLANT.blob = Blob()
    heap = take(core, native_types=(Blob,), measure=ask)
    address = id(PLANT.blob)
    del PLANT.blob
    found = {
        place: blocks[0][:4]
        for place, blocks in native_blocks(heap).items()
        if address in blocks[0].owners
    }
    assert found == {4096: (10, "cpu", "vendor", frozenset([address]))}
    notes = bytes(memoryview(heap.sections["native_notes"]).cast("B")).decode().splitlines()
    assert [json.loads(note) for note in notes] == [UNREADABLE]


@pytest.mark.parametrize("name", ["\x00", "é", "€", "\U0001f40d", "\ud7ff\ue000\U0010ffff"])
def test_names_of_libraries_may_have_any_characters(core, name):
    _, found = of_blobs(core, Blob((4096, 10), library=name))
    assert found[4096][0].library == name


def test_objects_that_were_measured_get_no_root_by_that(core):
    blob = Blob((4096, 1))
    plain = take(core)
    heap, _ = of_blobs(core, blob)
    assert heap.external(blob) <= plain.external(blob)


def test_a_measure_that_raises_fails_the_capture(core):
    def raises(objects, send):
        raise MemoryError("planted")

    PLANT.blob = Blob((1, 1))
    with pytest.raises(MemoryError, match="planted"):
        core.capture(native_types=(Blob,), measure=raises)
    del PLANT.blob


def test_without_objects_of_the_types_nothing_is_asked(core):
    class Other:
        pass

    def never(objects, send):
        raise AssertionError("asked")

    core.capture(native_types=(Other,), measure=never)


def buffered_files(path):
    """Files of each kind, with buffers of several sizes."""

    class OwnReader(io.BufferedReader):
        pass

    def raw(mode):
        return open(path, mode, buffering=0)

    return [
        io.BufferedReader(raw("rb"), 100_000),
        io.BufferedWriter(raw("ab"), 1 << 16),
        io.BufferedRandom(raw("r+b"), 30_001),
        io.BufferedReader(raw("rb"), 1),
        io.BufferedReader(raw("rb"), 2),
        OwnReader(raw("rb"), 4096),
        io.BufferedRWPair(raw("rb"), raw("ab"), 20_000),
        raw("rb"),
        io.TextIOWrapper(raw("rb")),
    ]


def test_the_buffer_of_a_file_is_part_of_its_size(core, tmp_path):
    (tmp_path / "data").write_bytes(b"x" * 10)
    PLANT.files = buffered_files(tmp_path / "data")
    heap = take(core)
    open_sizes = [heap.size(file) for file in PLANT.files]
    expected = [sys.getsizeof(file) for file in PLANT.files]
    for file in PLANT.files:
        file.close()
    heap = take(core)
    closed_sizes = [heap.size(file) for file in PLANT.files]
    closed_expected = [sys.getsizeof(file) for file in PLANT.files]
    del PLANT.files
    assert open_sizes == expected
    assert open_sizes[0] > 100_000
    assert closed_sizes == closed_expected
    assert max(closed_sizes) < 1000


def test_the_parts_of_a_text_file_that_wait_are_its_own(core, tmp_path):
    """Texts that were written and not encoded yet are objects, which the file refers to."""
    PLANT.file = (tmp_path / "data").open("w")
    PLANT.file.write("a text " * 500)
    heap = take(core)
    held = sum(
        heap.sections["node_size"][heap.node_of[target]]
        for kind, _, target in heap.edges(PLANT.file)
        if kind == "INTERNAL" and heap.type_name_of_node(heap.node_of[target]) in ("str", "bytes")
    )
    PLANT.file.close()
    del PLANT.file
    assert held >= 3500


def test_the_text_of_a_stringio_is_part_of_its_size():
    """Only the C core sees it; up to 3.11 what was written is in a list of pieces."""
    core = IMPLEMENTATIONS.get("C")
    if core is None or sys.version_info < (3, 12):
        pytest.skip("needs the C core, from 3.12 on")
    PLANT.written, PLANT.read, PLANT.empty = io.StringIO(), io.StringIO(), io.StringIO()
    PLANT.written.write("x" * 100_000)
    PLANT.read.write("x" * 100_000)
    PLANT.read.seek(5)
    PLANT.read.read(1)
    heap = take(core)
    sizes = [heap.size(obj) for obj in (PLANT.written, PLANT.read, PLANT.empty)]
    del PLANT.written, PLANT.read, PLANT.empty
    assert 100_000 <= sizes[0] < 101_000
    assert 400_000 <= sizes[1] < 500_000
    assert sizes[2] < 1000
