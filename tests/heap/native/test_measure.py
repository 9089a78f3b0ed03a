"""Measuring never fails, keeps its time limit, and notes what went wrong."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
import threading

import psutil
import pytest

from memlens._core.native_chunks import decode_chunk
from memlens.heap.graph.native_blocks import parse_notes
from memlens.heap.native import measure
from memlens.heap.native.adapter import Adapter
from memlens.heap.native.blocks import NativeBlock
from memlens.heap.native.mappings import FileMappings
from memlens.heap.native.measure import make_measure
from tests.clock import FakeClock


class Tensor:
    def __init__(self, *blocks):
        self.blocks = blocks


class Frame(Tensor):
    pass


class Failing:
    def __init__(self, error):
        self.error = error


WRONG_DEVICE = "expected the name of a device of 1 to 100 printable characters"


def blocks_of(tensor):
    return iter(tensor.blocks)


def failing(owner):
    yield NativeBlock(1, 1)
    raise owner.error


ADAPTERS = {
    Tensor: Adapter("torch", blocks_of),
    Frame: Adapter("polars", blocks_of),
    Failing: Adapter("torch", failing),
}


def measured(objects, adapters=ADAPTERS, limit_seconds=3.0, clock=None, forked=True):
    """Measure, and return all rows and notes that were sent."""
    chunks = []
    measure = make_measure(
        adapters.items(), forked=forked, limit_seconds=limit_seconds, clock=clock or FakeClock()
    )
    measure(objects, lambda chunk: chunks.append(decode_chunk(chunk)))
    return [row for c in chunks for row in c.rows], [c.note for c in chunks if c.note]


def test_rows_say_owner_address_bytes_device_and_library():
    rows, notes = measured(
        [
            Tensor(NativeBlock(4096, 10), NativeBlock(8192, 20, "cuda:0")),
            Frame((64, 5)),
            Tensor(NativeBlock(0, 0)),  # holds nothing: no row
            Tensor(NativeBlock(0, 3, "meta")),
        ]
    )
    assert rows == [
        (0, 4096, 10, "cpu", "torch"),
        (0, 8192, 20, "cuda:0", "torch"),
        (3, 0, 3, "meta", "torch"),
        (1, 64, 5, "cpu", "polars"),
    ]
    done = {"failed": 0, "skipped": 0, "seconds": 0.0, "state": "done"}
    assert notes == [
        {"library": "torch", "state": "started", "objects": 3},
        {"library": "torch", "objects": 3, "blocks": 3, **done},
        {"library": "polars", "state": "started", "objects": 1},
        {"library": "polars", "objects": 1, "blocks": 1, **done},
    ]


def test_no_objects_send_nothing():
    assert measured([]) == ([], [])


class PanicError(BaseException):
    """What a library written in Rust raises is no Exception."""


@pytest.mark.parametrize("error", [TypeError("no  storage\nhere"), PanicError("x"), SystemExit(3)])
def test_what_an_adapter_raises_is_counted_and_its_rows_are_dropped(error):
    rows, notes = measured([Failing(error), Tensor(NativeBlock(1, 2)), Frame(NativeBlock(3, 4))])
    assert [row.position for row in rows] == [1, 2]
    assert notes[1]["failed"] == 1
    assert notes[1]["blocks"] == 1
    assert notes[1]["error"] == type(error).__name__
    assert "error" not in notes[3]


def test_the_message_of_an_error_may_be_data_and_is_not_kept():
    notes = measured([Failing(ValueError("secret")), Failing(TypeError())])[1]
    assert notes[-1]["error"] == "ValueError"
    assert "secret" not in str(notes)


def test_what_a_signal_handler_of_the_program_raises_reaches_it():
    """In the program itself: in a child no handler runs."""
    with pytest.raises(SystemExit):
        measured([Failing(SystemExit(3))], forked=False)
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    assert measured([Failing(panic())], forked=False)[1][1]["failed"] == 1


def test_an_object_that_gets_another_class_meanwhile_is_left_out():
    class Other:
        pass

    class Turncoat:
        pass

    def turn(obj):
        for each in owners:
            each.__class__ = Other
        return [NativeBlock(1, 1)]

    owners = [Turncoat(), Turncoat(), Turncoat()]
    owners[2].__class__ = Other  # before it was asked at all
    adapters = {Turncoat: Adapter("vendor", turn)}
    rows, notes = measured(owners, adapters)
    assert [row.position for row in rows] == [0]
    assert notes[1]["failed"] == 0


def test_blocks_of_no_bytes_end_as_well():
    adapters = {Tensor: Adapter("torch", lambda tensor: iter(lambda: NativeBlock(0, 0), None))}
    assert "more than 1,000,000" in measured([Tensor()], adapters)[1][1]["error"]


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_what_concerns_the_program_reaches_the_caller(error):
    with pytest.raises(type(error)):
        measured([Failing(error)])


def test_a_library_that_fails_more_than_ten_times_is_switched_off():
    owners = [Failing(TypeError("bad")) for _ in range(14)]
    rows, notes = measured([*owners, Tensor(NativeBlock(1, 1)), Frame(NativeBlock(2, 2))])
    assert rows == [(15, 2, 2, "cpu", "polars")]
    assert (notes[1]["failed"], notes[1]["skipped"]) == (11, 4)
    assert notes[3]["skipped"] == 0


def test_ten_failures_are_allowed():
    owners = [Failing(TypeError("bad")) for _ in range(10)]
    rows, notes = measured([*owners, Tensor(NativeBlock(1, 1))])
    assert len(rows) == 1
    assert (notes[1]["failed"], notes[1]["skipped"]) == (10, 0)


def test_a_slow_library_is_switched_off_and_others_have_their_own_time():
    clock = FakeClock()

    def slow(tensor):
        clock.advance(1.0)
        return tensor.blocks

    adapters = {Tensor: Adapter("torch", slow), Frame: Adapter("polars", slow)}
    owners = [Tensor(NativeBlock(number + 1, 1)) for number in range(5)]
    frames = [Frame(NativeBlock(10, 1)), Frame(NativeBlock(11, 1))]
    rows, notes = measured([*owners, *frames], adapters, 3.0, clock)
    assert [row.address for row in rows] == [1, 2, 3, 10, 11]
    assert (notes[1]["skipped"], notes[1]["seconds"]) == (2, 3.0)
    assert (notes[3]["skipped"], notes[3]["seconds"]) == (0, 2.0)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (None, "expected a NativeBlock, got NoneType"),
        ((1,), "expected a NativeBlock, got tuple"),
        ((1, 2, "cpu", 3), "expected a NativeBlock, got tuple"),
        ((1, 2.0, "cpu"), "expected a block of (int, int, str), got (int, float, str)"),
        ((True, 2), "expected a block of (int, int, str), got (bool, int)"),
        ((1, 2, None), "expected a block of (int, int, str), got (int, int, NoneType)"),
        ((-1, 2), "expected an address and a size from 0 to 2**64 - 1, got -1, 2"),
        ((2**64 - 4, 100), f"expected a block that ends below 2**64, got {2**64 - 4}, 100"),
        ((1, 2**64), f"expected an address and a size from 0 to 2**64 - 1, got 1, {2**64}"),
        ((1, 2, ""), WRONG_DEVICE),
        ((1, 2, "a\n"), WRONG_DEVICE),
        ((1, 2, "a" * 101), WRONG_DEVICE),
    ],
)  # fmt: skip
def test_a_wrong_block_is_a_failure(block, message):
    rows, notes = measured([Tensor(NativeBlock(1, 1), block)])
    assert rows == []
    assert notes[1]["error"] == message


def test_a_device_without_utf8_does_not_fail_the_capture():
    rows, notes = measured([Tensor((1, 1, "\udc80"))])
    assert rows == []
    assert notes[1]["failed"] == 1


def test_what_is_no_iterable_is_a_failure():
    adapters = {Tensor: Adapter("torch", lambda tensor: None)}
    assert measured([Tensor()], adapters)[1][1]["error"] == "TypeError"


def test_many_rows_are_sent_in_several_chunks():
    sizes = []
    owners = [Tensor(*(NativeBlock(n + 1, 1) for n in range(40_000))), Tensor(NativeBlock(1, 1))]
    measure = make_measure(ADAPTERS.items(), forked=True, clock=FakeClock())
    measure(owners, lambda c: sizes.append(len(c)))
    assert max(sizes) < 1_000_000
    rows, notes = measured(owners)
    assert len(rows) == 40_001
    assert notes[1]["blocks"] == 40_001


def test_an_adapter_that_yields_forever_is_stopped():
    def endless(tensor):
        while True:
            yield (1, 1)

    rows, notes = measured([Tensor()], {Tensor: Adapter("torch", endless)})
    assert rows == []
    assert "more than 1,000,000 blocks" in notes[1]["error"]


class Loss(Tensor):
    pass


LATER = {**ADAPTERS, Loss: Adapter("torch", lambda loss: (), lambda: blocks_of)}


def test_what_is_told_later_follows_all_libraries_and_has_notes_of_its_own():
    owners = [Loss(NativeBlock(1, 1)), Tensor(NativeBlock(2, 2)), Frame(NativeBlock(3, 3))]
    rows, notes = measured(owners, LATER)
    assert [row.address for row in rows] == [2, 3, 1]
    assert [(n["library"], n["state"], n.get("part"), n["objects"]) for n in notes] == [
        ("torch", "started", None, 2),
        ("torch", "done", None, 2),
        ("polars", "started", None, 1),
        ("polars", "done", None, 1),
        ("torch", "started", "later", 1),
        ("torch", "done", "later", 1),
    ]


def test_nothing_is_noted_of_what_is_told_later_of_no_objects(monkeypatch):
    monkeypatch.setattr(measure, "_is_single_threaded", lambda: False)
    assert [n["state"] for n in measured([Tensor()], LATER, forked=False)[1]] == ["started", "done"]


def test_what_is_told_later_is_not_asked_for_beside_other_threads():
    owners = [Loss(NativeBlock(1, 1))]
    stop, running = threading.Event(), threading.Event()

    def run():
        running.set()
        stop.wait()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert running.wait(30)
        rows, notes = measured(owners, LATER, forked=False)
    finally:
        stop.set()
        thread.join()
    assert rows == []
    assert notes[1:] == [
        {"library": "torch", "objects": 1, "blocks": 0, "failed": 0, "skipped": 0,
         "seconds": 0.0, "state": "done"},
        {"library": "torch", "state": "not asked", "part": "later", "objects": 1},
    ]  # fmt: skip
    lines = "\n".join(map(json.dumps, notes))
    (note,) = parse_notes(lines.encode())
    assert not note.is_complete
    what = "the blocks of 1 objects are not complete"
    assert str(note) == f"torch: {what}: other threads may be using them"


@pytest.mark.skipif(sys.platform != "linux", reason="threads of glibc")
def test_a_thread_that_python_does_not_know_is_another_thread():
    libc, thread = ctypes.CDLL(None), ctypes.c_ulong()
    before = threading.active_count()
    assert libc.pthread_create(ctypes.byref(thread), None, libc.sleep, ctypes.c_void_p(1000)) == 0
    try:
        assert not measure._is_single_threaded()
        assert threading.active_count() == before
    finally:
        libc.pthread_cancel(thread)
        libc.pthread_join(thread, None)


@pytest.mark.parametrize("count", [1, 2])
def test_without_a_list_of_threads_the_system_is_asked_for_their_number(monkeypatch, count):
    def fails(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "listdir", fails)
    monkeypatch.setattr(psutil.Process, "num_threads", lambda self: count)
    assert measure._is_single_threaded() == (count == 1)


def test_a_block_in_a_mapped_file_has_the_device_mapped(tmp_path):
    if not os.path.exists("/proc/self/maps"):
        pytest.skip("the system does not list what is mapped")
    path = tmp_path / "data"
    path.write_bytes(bytes(4096))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as mapping:
        view = (ctypes.c_char * 4096).from_buffer(mapping)
        address = ctypes.addressof(view)
        heap = ctypes.create_string_buffer(4096)
        rows, _ = measured(
            [Tensor((address + 8, 5), (address, 5, "cuda:0"), (ctypes.addressof(heap), 4096))]
        )
        del view
    assert [row.device for row in rows] == ["mapped", "cuda:0", "cpu"]


def test_file_mappings_are_files_and_not_shared_memory():
    mappings = FileMappings(
        [
            "7f0000004000-7f0000005000 rw-s 00000000 00:1a 9 /dev/shm/torch_1",
            "7f0000002000-7f0000003000 r--p 00000000 fe:01 9 /data/a file.arrow (deleted)",
            "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ",
            "7f0000001000-7f0000002000 rw-p 00000000 00:00 0 [heap]",
            "7f0000006000-7f0000007000 rw-s 00000000 00:01 9 /memfd:x (deleted)",
        ]
    )
    inside = [0x7F0000002000, 0x7F0000002FFF]
    outside = [0, 0x7F0000000800, 0x7F0000001800, 0x7F0000003000, 0x7F0000004800, 0x7F0000006000]
    assert all(address in mappings for address in inside)
    assert not any(address in mappings for address in outside)
