"""Measuring never fails, keeps its time limit, and notes what went wrong."""

from __future__ import annotations

import pytest

from memlens.heap.native.adapter import Adapter
from memlens.heap.native.blocks import NativeBlock
from memlens.heap.native.chunks import decode_chunk
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


WRONG_DEVICE = "ValueError: expected the name of a device of 1 to 100 printable characters"


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


def measured(objects, adapters=ADAPTERS, limit_seconds=3.0, clock=None):
    """Measure, and return all rows and notes that were sent."""
    chunks = []
    make_measure(adapters, limit_seconds, clock=clock or FakeClock())(
        objects, lambda chunk: chunks.append(decode_chunk(chunk))
    )
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
    assert notes[1]["error"] == f"{type(error).__name__}: {' '.join(str(error).split())}"
    assert "error" not in notes[3]


class SpeechlessError(Exception):
    def __str__(self):
        raise RuntimeError


def test_the_error_is_the_first_and_short():
    long = ValueError("x" * 10_000)
    assert len(measured([Failing(long), Failing(TypeError())])[1][-1]["error"]) == 200
    assert measured([Failing(SpeechlessError())])[1][-1]["error"] == "SpeechlessError: (no message)"


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
        (None, "TypeError: expected a NativeBlock, got NoneType"),
        ((1,), "TypeError: expected a NativeBlock, got tuple"),
        ((1, 2, "cpu", 3), "TypeError: expected a NativeBlock, got tuple"),
        ((1, 2.0, "cpu"), "TypeError: expected a block of (int, int, str), got (int, float, str)"),
        ((True, 2), "TypeError: expected a block of (int, int, str), got (bool, int)"),
        ((1, 2, None), "TypeError: expected a block of (int, int, str), got (int, int, NoneType)"),
        ((-1, 2), "ValueError: expected an address and a size from 0 to 2**64 - 1, got -1, 2"),
        ((1, 2**64), f"ValueError: expected an address and a size from 0 to 2**64 - 1, got 1, {2**64}"),
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
    assert measured([Tensor()], adapters)[1][1]["error"].startswith("TypeError: ")


def test_many_rows_are_sent_in_several_chunks():
    sizes = []
    owners = [Tensor(*(NativeBlock(n + 1, 1) for n in range(40_000))), Tensor(NativeBlock(1, 1))]
    make_measure(ADAPTERS, 3.0, clock=FakeClock())(owners, lambda c: sizes.append(len(c)))
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
