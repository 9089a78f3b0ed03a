"""Memory mappings: where each lies, which part is resident, and that nothing counts twice."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing.shared_memory
import os
import sys
from types import SimpleNamespace

import pytest

from .conftest import IMPLEMENTATIONS
from .heaps import PLANT, take
from .test_capture_native import Blob, native_blocks, of_blobs

pytestmark = [
    pytest.mark.small_process,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists mappings"),
]

PAGE = mmap.PAGESIZE
MIB = 1 << 20


@pytest.fixture
def plant():
    """What a capture sees; mappings are closed at the end."""
    PLANT.mappings = SimpleNamespace()
    yield PLANT.mappings
    kept = [*vars(PLANT.mappings).values()]
    del PLANT.mappings
    for one in kept:
        if isinstance(one, mmap.mmap):
            one.close()


def block_of(heap, owner):
    """Address, size, device and library of the one block of an object."""
    found = [
        (address, *block[:3])
        for address, blocks in native_blocks(heap).items()
        for block in blocks
        if id(owner) in block.owners
    ]
    assert len(found) == 1
    return found[0]


def resident(heap, owner):
    """The resident bytes of the one block of an object; None if they are not in the snapshot."""
    (node,) = [to for _, name, to in heap.edges_of_node(heap.node(owner)) if name == "buffer"]
    rows = dict(zip(heap.sections["resident_node"], heap.sections["resident_bytes"], strict=True))
    return rows.get(node)


def address_of(mapping):
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


def small_pages(length):
    """An anonymous mapping whose pages come one by one."""
    mapping = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping.madvise(mmap.MADV_NOHUGEPAGE)
    return mapping


def test_the_size_of_a_mapping_is_its_length_and_the_resident_part_is_told_beside_it(core, plant):
    plant.anonymous = small_pages(100 * PAGE)
    for number in (0, 50, 99):
        plant.anonymous[number * PAGE] = 1
    heap = take(core)
    address = address_of(plant.anonymous)
    assert block_of(heap, plant.anonymous) == (address, 100 * PAGE, "cpu", "mmap")
    assert resident(heap, plant.anonymous) == 3 * PAGE


def test_of_the_last_page_only_the_mapped_part_counts(core, plant, tmp_path):
    path = tmp_path / "data"
    with path.open("w+b") as file:
        file.truncate(2 * PAGE + 100)
        plant.mapped = mmap.mmap(file.fileno(), 0)
    assert resident(take(core), plant.mapped) == 0
    plant.mapped[2 * PAGE] = 1  # to read would map the pages around it, too
    heap = take(core)
    assert block_of(heap, plant.mapped)[1:] == (2 * PAGE + 100, "mapped", "mmap")
    assert resident(heap, plant.mapped) == 100


@pytest.mark.parametrize(("written", "device"), [(6, "cpu"), (5, "mapped")])
def test_a_private_mapping_that_was_mostly_written_is_no_file(
    core, plant, tmp_path, written, device
):
    """The system can neither drop its pages nor write them to the file."""
    with (tmp_path / "data").open("w+b") as file:
        file.truncate(10 * PAGE)
        plant.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        plant.shared = mmap.mmap(file.fileno(), 0)
    for number in range(written):
        plant.mapped[number * PAGE] = 1
    plant.shared[:] = b"x" * (10 * PAGE)
    heap = take(core)
    assert block_of(heap, plant.mapped)[1:] == (10 * PAGE, device, "mmap")
    assert resident(heap, plant.mapped) >= written * PAGE
    assert block_of(heap, plant.shared)[1:] == (10 * PAGE, "mapped", "mmap")


def test_a_file_of_40_mb_counts_with_its_size_and_is_resident_once_it_was_read(
    core, plant, tmp_path
):
    path = tmp_path / "data"
    with path.open("wb") as file:
        file.truncate(40_000_000)
    with path.open("rb") as file:
        plant.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    sum(plant.mapped[::PAGE])
    heap = take(core)
    assert block_of(heap, plant.mapped)[1:] == (40_000_000, "mapped", "mmap")
    assert 0.95 * 40_000_000 <= resident(heap, plant.mapped) <= 40_000_000


def test_shared_memory_is_no_file_and_its_buffer_is_the_same_block(core):
    shared = multiprocessing.shared_memory.SharedMemory(create=True, size=100 * PAGE)
    try:
        shared.buf[: 3 * PAGE] = b"x" * (3 * PAGE)
        PLANT.shared = [shared, shared.buf]
        heap = take(core)
        found = [
            (block.size, block.device, block.library)
            for blocks in native_blocks(heap).values()
            for block in blocks
            if block.device == "shared"
        ]
        assert found == [(100 * PAGE, "shared", "mmap")]
        assert resident(heap, shared._mmap) == 3 * PAGE
    finally:
        PLANT.__dict__.pop("shared", None)
        shared.close()
        shared.unlink()


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create")
def test_memory_behind_a_descriptor_is_shared_memory(core, plant):
    fd = os.memfd_create("planted")
    os.truncate(fd, 10 * PAGE)
    plant.mapped = mmap.mmap(fd, 0)
    os.close(fd)
    assert block_of(take(core), plant.mapped)[1:] == (10 * PAGE, "shared", "mmap")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="mmap has no trackfd")
def test_a_mapping_that_has_not_kept_its_descriptor_is_of_a_file_all_the_same(
    core, plant, tmp_path
):
    path = tmp_path / "data"
    path.write_bytes(bytes(10 * PAGE))
    with path.open("r+b") as file:
        plant.mapped = mmap.mmap(file.fileno(), 0, trackfd=False)
    assert block_of(take(core), plant.mapped)[1:] == (10 * PAGE, "mapped", "mmap")


def test_what_an_adapter_tells_of_a_mapping_is_the_same_block(core, plant):
    plant.anonymous = small_pages(10 * PAGE)
    address = address_of(plant.anonymous)
    whole, part = Blob((address, 10 * PAGE)), Blob((address + PAGE, 100))
    heap, found = of_blobs(core, whole, part)
    owners = frozenset(map(id, (plant.anonymous, whole, part)))
    assert [block[:4] for block in found.pop(address)] == [(10 * PAGE, "cpu", "vendor", owners)]
    assert not found
    assert resident(heap, plant.anonymous) == 0


def test_a_block_that_an_adapter_finds_in_a_file_has_a_resident_part(core, tmp_path):
    libc = ctypes.CDLL(None)  # whose mapping belongs to no Python object
    libc.mmap.restype = ctypes.c_void_p
    with (tmp_path / "data").open("w+b") as file:
        file.truncate(8 * PAGE)
        how = (mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file.fileno())
        address = libc.mmap(None, ctypes.c_size_t(8 * PAGE), *how, ctypes.c_long(0))
    ctypes.memset(address + 2 * PAGE, 1, 1)
    try:
        blob = Blob((address + PAGE, 2 * PAGE), device="mapped")
        other = Blob((1 << 20, 4096))
        heap, _ = of_blobs(core, blob, other)
    finally:
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(8 * PAGE))
    assert resident(heap, blob) == PAGE
    assert resident(heap, other) is None  # no mapping


def test_of_the_first_page_only_the_part_of_the_block_counts(core, tmp_path):
    libc = ctypes.CDLL(None)  # whose mapping belongs to no Python object
    libc.mmap.restype = ctypes.c_void_p
    with (tmp_path / "data").open("w+b") as file:
        file.truncate(8 * PAGE)
        how = (mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file.fileno())
        address = libc.mmap(None, ctypes.c_size_t(8 * PAGE), *how, ctypes.c_long(0))
    ctypes.memset(address + 2 * PAGE, 1, 1)
    try:
        across, within = (address + 2 * PAGE + 100, PAGE), (address + 2 * PAGE + 20, 30)
        resident_bytes = []
        for block in (across, within):
            blob = Blob(block)
            resident_bytes.append(resident(of_blobs(core, blob)[0], blob))
    finally:
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(8 * PAGE))
    assert resident_bytes == [PAGE - 100, 30]


def test_of_more_than_16_gib_the_resident_part_is_not_told(core, plant, tmp_path):
    with (tmp_path / "data").open("w+b") as file:
        file.truncate(9 << 30)  # without a block on the disk
        plant.first, plant.second = (mmap.mmap(file.fileno(), 0) for _ in range(2))
    heap = take(core)
    found = [resident(heap, one) for one in vars(plant).values()]
    assert sorted(found, key=str) == [0, None]


def test_a_mapping_within_a_larger_block_makes_that_a_mapping(core, plant):
    plant.anonymous = small_pages(10 * PAGE)
    larger = Blob((address_of(plant.anonymous) - 8, 10 * PAGE + 16))
    heap, _ = of_blobs(core, larger)
    assert block_of(heap, plant.anonymous)[1] == 10 * PAGE + 16
    assert resident(heap, larger) is not None
    alone = Blob((1 << 20, 4096))
    assert resident(of_blobs(core, alone)[0], alone) is None


def test_memory_of_system_v_is_shared_memory(core):
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, ctypes.c_size_t(4 * PAGE), 0o1600)  # IPC_PRIVATE, IPC_CREAT
    if number < 0:
        pytest.skip("the system gives no memory of System V")
    address = libc.shmat(number, None, 0)
    libc.shmctl(number, 0, None)  # IPC_RMID: it goes with the last user
    try:
        blob = Blob((address, 4 * PAGE))
        heap, _ = of_blobs(core, blob)
    finally:
        libc.shmdt(ctypes.c_void_p(address))
    assert block_of(heap, blob)[2] == "shared"


def test_anonymous_memory_that_is_shared_has_the_path_of_a_device_and_is_no_file(core, plant):
    plant.anonymous = mmap.mmap(-1, 4 * PAGE)
    blob = Blob((address_of(plant.anonymous) + PAGE, PAGE))
    heap, _ = of_blobs(core, blob)
    assert block_of(heap, plant.anonymous)[1:] == (4 * PAGE, "cpu", "vendor")


def test_where_a_block_lies_is_found_by_its_address(core):
    """A library need not know that its memory is shared."""
    fd = os.memfd_create("planted")
    os.truncate(fd, 10 * PAGE)
    libc = ctypes.CDLL(None)  # whose mapping belongs to no Python object
    libc.mmap.restype = ctypes.c_void_p
    how = (mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd)
    address = libc.mmap(None, ctypes.c_size_t(10 * PAGE), *how, ctypes.c_long(0))
    os.close(fd)
    kept = ctypes.create_string_buffer(1000)
    try:
        blob, device = Blob((address, 10 * PAGE)), Blob((address, 10 * PAGE), device="cuda:0")
        other = Blob((ctypes.addressof(kept) + 1, 10), (8192, 10))
        heap, _ = of_blobs(core, blob, device, other)
    finally:
        libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(10 * PAGE))
    assert block_of(heap, blob)[2] == "shared"
    assert block_of(heap, device)[2] == "cuda:0"
    blocks = [b for found in native_blocks(heap).values() for b in found if id(other) in b.owners]
    assert [block.device for block in blocks] == ["cpu", "cpu"]


def test_numpy_over_a_mapping_is_the_same_block(core, plant):
    numpy = pytest.importorskip("numpy")
    plant.anonymous = small_pages(10 * PAGE)
    array = numpy.frombuffer(plant.anonymous, dtype="u1")
    PLANT.array = [array, array[PAGE:], memoryview(plant.anonymous)[5:]]
    try:
        sizes = [
            block.size
            for blocks in native_blocks(take(core)).values()
            for block in blocks
            if block.library in ("mmap", "numpy", "buffer") and block.size >= 9 * PAGE - 5
        ]
    finally:
        del PLANT.array, array
    assert sizes.count(10 * PAGE) == 1
    assert not {9 * PAGE, 10 * PAGE - 5} & {*sizes}


def test_both_cores_tell_the_same_of_mappings(plant, tmp_path):
    if len(IMPLEMENTATIONS) < 2:
        pytest.skip("the C core is not built")
    path = tmp_path / "data"
    path.write_bytes(bytes(5 * PAGE))
    with path.open("r+b") as file:
        plant.mapped = mmap.mmap(file.fileno(), 0)
    plant.anonymous, plant.other = small_pages(7 * PAGE), mmap.mmap(-1, 3 * PAGE)
    plant.anonymous[PAGE], plant.other[0] = 1, 1
    told = [
        [(block_of(heap, one), resident(heap, one)) for one in vars(plant).values()]
        for heap in (take(one) for one in IMPLEMENTATIONS.values())
    ]
    assert told[0] == told[1]
