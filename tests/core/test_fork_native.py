"""A forked capture asks the adapters in a process of its own, which may hang or crash."""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import os
import signal
import sys
import threading

import pytest

from memlens._core.layout import OPTIONAL_SECTIONS, SECTIONS
from memlens._core.native_chunks import encode_chunk
from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND
from memlens.heap.graph.native_blocks import parse_notes
from memlens.heap.graph.snapshot_file import SectionFile

from . import forked
from .conftest import IMPLEMENTATIONS
from .heaps import OWN_PREFIX, PLANT, Heap
from .test_capture_native import Blob, measure, native_blocks

if "C" not in IMPLEMENTATIONS:
    pytest.skip("the C core is not built", allow_module_level=True)
core = IMPLEMENTATIONS["C"]

pytestmark = pytest.mark.small_process


@pytest.fixture
def path(tmp_path):
    return os.fspath(tmp_path / "heap.memlens")


@pytest.fixture
def blobs():
    PLANT.blobs = [Blob((4096, 1000)), Blob((4096, 1000), (1 << 20, 50))]
    yield PLANT.blobs
    del PLANT.blobs
    gc.collect()  # a capture finds garbage, too


def capture(path, ask, **options):
    """Capture with these adapters; return the heap."""
    outcome = forked.fork_capture(
        core, path, own_prefix=OWN_PREFIX, native_types=(Blob,), measure=ask, **options
    )
    assert (outcome.status, outcome.last[0]) == (0, forked.DONE)
    file = SectionFile(path)
    file.verify()
    kept = SECTIONS | OPTIONAL_SECTIONS
    return Heap({name: file[name] for name in file if name in kept})


def notes_of(heap):
    return [json.loads(line) for line in bytes(heap.sections["native_notes"]).splitlines()]


def of_vendor(heap):
    return {
        address: blocks[0][:4]
        for address, blocks in native_blocks(heap).items()
        if blocks[0].library == "vendor"
    }


def test_the_blocks_are_in_the_file(path, blobs):
    heap = capture(path, measure)
    assert of_vendor(heap) == {
        4096: (1000, "cpu", "vendor", frozenset(map(id, blobs))),
        1 << 20: (50, "cpu", "vendor", frozenset([id(blobs[1])])),
    }
    assert notes_of(heap) == [{"library": "vendor", "state": "done", "objects": 2}]


def test_with_values_as_well(path, blobs):
    assert len(of_vendor(capture(path, measure, values=True))) == 2


def first_then(action):
    """Adapters that tell of the first object, and then do something else."""

    def ask(objects, send):
        measure(objects[:1], send)
        action()

    return ask


@pytest.mark.parametrize(
    "action",
    [
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        lambda: ctypes.string_at(8),  # crashes
        lambda: os._exit(3),
        lambda: 1 / 0,
        sys.exit,
    ],
    ids=["killed", "crash", "exit", "error", "SystemExit"],
)
def test_what_was_sent_before_an_end_counts(path, blobs, action):
    heap = capture(path, first_then(action))
    assert [*of_vendor(heap)] == [4096]
    assert "all adapters" in [note["library"] for note in notes_of(heap)]
    notes = parse_notes(bytes(heap.sections["native_notes"]))
    assert not all(note.is_complete for note in notes if note.library == "all adapters")


def test_a_lock_of_another_thread_is_never_released_there(path, blobs):
    """As a library's own lock may be: the process that waits for it is killed."""
    held, release, lock = threading.Event(), threading.Event(), threading.Lock()

    def hold():
        with lock:
            held.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        heap = capture(path, first_then(lock.acquire), measure_milliseconds=300)
    finally:
        release.set()
        thread.join()
    assert [*of_vendor(heap)] == [4096]
    assert {"library": "all adapters", "state": "did not end"} in notes_of(heap)


def test_threads_that_want_the_gil_do_not_stop_it(path, blobs):
    """A request to release the GIL, at the moment of the fork, would never be answered."""
    stop = threading.Event()

    def spin():
        while not stop.is_set():
            sum(range(100))

    threads = [threading.Thread(target=spin) for _ in range(3)]
    for thread in threads:
        thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # a request is there nearly always
    try:
        found = [len(of_vendor(capture(path, long_measure))) for _ in range(6)]
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        for thread in threads:
            thread.join()
    assert found == [2] * 6


def long_measure(objects, send):
    for number in range(200_000):  # many chances for the evaluation loop to look at requests
        str(number)
    measure(objects, send)


def test_a_library_may_release_the_gil(path, blobs):
    def ask(objects, send):
        ctypes.CDLL(None).usleep(1000)  # releases it and takes it again
        measure(objects, send)

    assert len(of_vendor(capture(path, ask))) == 2


def test_nothing_is_printed_or_traced(path, blobs, capfd):
    seen = []

    def ask(objects, send):
        print("from an adapter", flush=True)
        measure(objects, send)

    sys.settrace(lambda *event: seen.append(event))
    try:
        heap = capture(path, measure)
    finally:
        sys.settrace(None)
    assert len(of_vendor(heap)) == 2
    capture(path, ask)
    assert "from an adapter" not in capfd.readouterr().out


def test_a_damaged_chunk_is_noted(path, blobs):
    def ask(objects, send):
        send(b"\xff" * 20)
        send(encode_chunk((0, 64, 8, 0, 5), ("cpu",)))  # no fifth name
        send(encode_chunk((99, 64, 8, 0, 0), ("cpu",)))  # no such object
        measure(objects, send)

    heap = capture(path, ask)
    assert len(of_vendor(heap)) == 2
    assert {"library": "all adapters", "state": "unreadable"} in notes_of(heap)


def test_output_of_an_adapter_is_not_taken_for_a_chunk(path, blobs):
    chunk = encode_chunk((0, 1 << 30, 8, 0, 0), ("cpu",), {"library": "forged", "state": "done"})

    def ask(objects, send):
        for fd in (0, 1, 2):
            os.write(fd, len(chunk).to_bytes(4, sys.byteorder) + chunk)
        files = [int(name) for name in os.listdir("/proc/self/fd")]
        measure(objects, send)
        send(encode_chunk((), (), {"library": "files", "state": str(len(files))}))

    heap = capture(path, ask)
    assert len(of_vendor(heap)) == 2
    notes = notes_of(heap)
    assert [note["library"] for note in notes] == ["vendor", "files"]
    assert notes[1]["state"] == "5"  # three of nothing, the pipe, and the folder that was listed


def test_many_rows_go_through_the_pipe(path):
    gc.collect()  # blobs of the test before
    PLANT.blobs = [
        Blob(*(((i << 20) + (j << 8) + (1 << 40), 100) for j in range(100))) for i in range(500)
    ]
    try:
        assert len(of_vendor(capture(path, measure))) == 50_000
    finally:
        del PLANT.blobs


def test_no_process_is_left_behind(path, blobs):
    capture(path, first_then(os.abort))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG | WAIT_FOR_ANY_KIND)


def test_the_resident_part_is_that_of_the_program(path, tmp_path):
    """The child has no page table for what it shares with its parent: it reads the parent's."""
    page = mmap.PAGESIZE
    with (tmp_path / "data").open("w+b") as file:
        file.truncate(50 * page)
        PLANT.mapped = mmap.mmap(file.fileno(), 0)
    PLANT.mapped[3 * page] = PLANT.mapped[20 * page] = 1
    try:
        heap = capture(path, measure)
        ((_, _, node),) = [
            edge for edge in heap.edges_of_node(heap.node(PLANT.mapped)) if edge[1] == "buffer"
        ]
    finally:
        PLANT.mapped.close()
        del PLANT.mapped
    rows = dict(zip(heap.sections["resident_node"], heap.sections["resident_bytes"], strict=True))
    assert rows.get(node) == (2 * page if sys.platform == "linux" else None)


def test_an_adapter_that_sends_without_end_is_stopped(path, blobs):
    def ask(objects, send):
        measure(objects, send)
        while True:
            measure(objects[:1], send)

    heap = capture(path, ask, measure_bytes=100_000)
    assert len(of_vendor(heap)) == 2
    assert {"library": "all adapters", "state": "sent too much"} in notes_of(heap)
    (note,) = [
        note
        for note in parse_notes(bytes(heap.sections["native_notes"]))
        if note.library == "all adapters"
    ]
    assert str(note) == "all adapters: they sent too much"


def test_what_is_just_within_the_limit_is_read(path, blobs):
    heap = capture(path, measure, measure_bytes=100_000)
    assert [note["library"] for note in notes_of(heap)] == ["vendor"]


def test_what_just_fills_the_limit_is_not_too_much(path, blobs):
    chunk = encode_chunk((), (), {"library": "vendor", "state": "done"})

    def ask(objects, send):
        send(chunk)

    heap = capture(path, ask, measure_bytes=len(chunk) + 4)  # with its length before it
    assert [note["library"] for note in notes_of(heap)] == ["vendor"]
    heap = capture(path, measure, measure_bytes=0)
    assert [note["state"] for note in notes_of(heap)] == ["sent too much"]


def test_a_negative_limit_is_refused(path):
    with pytest.raises(ValueError, match="measure_bytes must not be negative, not -1"):
        capture(path, measure, measure_bytes=-1)
