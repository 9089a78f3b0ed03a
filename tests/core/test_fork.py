"""The forked capture: only the C core has it."""

from __future__ import annotations

import errno
import itertools
import operator
import os
import signal
import subprocess
import sys
import threading
from array import array

import pytest

from memlens._core import pure
from memlens._core.layout import (
    DERIVED_SECTIONS,
    LABEL_BITS,
    LARGEST_STORED,
    OPTIONAL_SECTIONS,
    SECTIONS,
    NodeFlag,
)
from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND
from memlens.heap.graph.snapshot_file import SectionFile

from . import forked
from .conftest import IMPLEMENTATIONS
from .heaps import Heap

if "C" not in IMPLEMENTATIONS:
    pytest.skip("the C core is not built", allow_module_level=True)
core = IMPLEMENTATIONS["C"]

pytestmark = pytest.mark.small_process


class Planted:
    def __init__(self, value):
        self.value = value


@pytest.fixture
def path(tmp_path):
    return os.fspath(tmp_path / "heap.memlens")


def test_the_file_is_complete_and_has_all_sections(path):
    outcome = forked.fork_capture(core, path, facts=forked.facts_of(reason="test", pid=7))
    assert (outcome.status, outcome.last[0]) == (0, forked.DONE)
    file = SectionFile(path)
    file.verify()
    assert {*SECTIONS, *OPTIONAL_SECTIONS, *DERIVED_SECTIONS, "facts"} == {*file}
    assert all(file[name].format == code for name, code in SECTIONS.items())
    assert file.facts() == {"reason": "test", "pid": 7}
    assert outcome.last[1:4] == (
        len(file["node_type"]) - 1,
        len(file["edge_target"]),
        os.path.getsize(path),
    )


def test_sections_that_the_caller_adds_are_written_as_they_are(path):
    more = (("site_weight", "d", array("d", [0.5, 2.0]).tobytes()), ("odd", "B", b""))
    assert forked.fork_capture(core, path, more=more).status == 0
    file = SectionFile(path)
    file.verify()
    assert file["site_weight"].tolist() == [0.5, 2.0]
    assert file["odd"].tolist() == []
    captured = {*SECTIONS, *OPTIONAL_SECTIONS, *DERIVED_SECTIONS, "facts"}
    assert captured | {"odd", "site_weight"} == {*file}


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ([("a", "B", b"")], TypeError),
        ((("a", "B"),), TypeError),
        ((("a", "BB", b""),), TypeError),
        ((("a", "B", b""),) * 17, ValueError),
    ],
)
def test_invalid_sections_are_refused_before_the_fork(path, more, error):
    with pytest.raises(error):
        forked.fork_capture(core, path, more=more)


def test_the_child_sees_what_the_parent_had(path):
    planted = Planted(["needle"])
    outcome = forked.fork_capture(core, path)
    assert outcome.status == 0
    heap = Heap(SectionFile(path))
    assert heap.type_name(planted) == f"{__name__}.Planted"
    named = [kind_and_name for *kind_and_name, _ in heap.referrers(id(planted.value))]
    assert ["ATTRIBUTE", "value"] in named


def test_dominators_in_the_file_are_those_of_the_core(path):
    assert forked.fork_capture(core, path).status == 0
    file = SectionFile(path)
    columns = [file[name] for name in ("edge_offset", "edge_target", "edge_label", "node_size")]
    dominator, retained = core.dominator_tree(*columns)
    assert file["node_dominator"] == memoryview(dominator)
    own = [
        flag & NodeFlag.OWN
        for flag in core.spread_flags(dominator, file["node_flags"], NodeFlag.OWN)
    ]
    sizes = array(
        "Q", [0 if is_own else size for is_own, size in zip(own, columns[3], strict=True)]
    )
    of_program = core.subtree_sums(dominator, sizes)
    rows = zip(own, retained, of_program, strict=True)
    assert any(own)
    assert file["node_retained"].tolist() == [
        whole if is_own else without for is_own, whole, without in rows
    ]


def test_the_largest_nodes_exclude_garbage_and_objects_of_memlens(path):
    assert forked.fork_capture(core, path).status == 0
    file = SectionFile(path)
    flags = pure.spread_flags(file["node_dominator"], file["node_flags"], int(NodeFlag.OWN))
    hidden = int(NodeFlag.OWN | NodeFlag.GARBAGE)
    largest = pure.largest_nodes(file["node_retained"], flags, LARGEST_STORED, hidden)
    assert file["node_largest"].tolist() == largest.tolist()
    assert len(largest) == LARGEST_STORED


def test_the_child_compares_strings_too(path):
    kept = ["equal " * 20, b"equal " * 20]
    copies = [one[:5] + one[5:] for one in kept]
    assert forked.fork_capture(core, path).status == 0
    file = SectionFile(path)
    heap = Heap(file)
    groups = dict(zip(file["equal_node"], file["equal_group"], strict=True))
    texts, raw = (
        [groups[heap.node(one)] for one in pair] for pair in zip(kept, copies, strict=True)
    )
    assert texts[0] == texts[1] != raw[0] == raw[1]


def test_values_are_in_the_file_when_requested(path):
    kept = ["needle in " + "a haystack", 1 << 70, 2.5e300]
    assert forked.fork_capture(core, path, values=True).status == 0
    file = SectionFile(path)
    heap = Heap(file)
    texts = dict(zip(file["value_node"], file["value_text"], strict=True))
    shown = [heap.string(texts[heap.node(value)]) for value in kept]
    assert shown == [kept[0], *map(repr, kept[1:])]


def test_locals_of_other_threads_are_in_the_snapshot(path):
    ready, leave = threading.Event(), threading.Event()
    seen = []

    def work(given):
        mine = Planted(given)
        seen.append(id(mine))
        ready.set()
        leave.wait()

    thread = threading.Thread(target=work, args=(41,))
    thread.start()
    try:
        assert ready.wait(30)
        assert forked.fork_capture(core, path).status == 0
    finally:
        leave.set()
        thread.join()
    heap = Heap(SectionFile(path))
    holders = [
        (kind, name, heap.type_name_of_node(source))
        for kind, name, source in heap.referrers(seen[0])
    ]
    assert ("LOCAL", "mine", "frame") in holders
    functions = {heap.string(number) for number in heap.sections["frame_function"]}
    assert any(name.endswith("work") for name in functions)


def test_no_reference_count_changes(path):
    planted = [Planted(number) for number in range(50)]
    before = [sys.getrefcount(one) for one in planted]
    assert forked.fork_capture(core, path).status == 0
    assert [sys.getrefcount(one) for one in planted] == before


def test_no_fork_handler_runs(path):
    # In a process of its own: a handler cannot be taken back.
    code = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from tests.core import forked
from tests.core.conftest import IMPLEMENTATIONS
ran = []
os.register_at_fork(before=lambda: ran.append(1), after_in_parent=lambda: ran.append(2),
                    after_in_child=lambda: os._exit(77))
outcome = forked.fork_capture(IMPLEMENTATIONS["C"], {path!r})
assert outcome.status == 0, outcome
assert not ran, ran
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_full_disk_is_an_error_with_its_number(path):
    progress, progress_end = os.pipe()
    facts_end, send = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    pid = core.fork_capture(full, progress_end, facts_end)
    for end in (progress_end, facts_end, full):
        os.close(end)
    os.write(send, b"\2\0\0\0{}")
    os.close(send)
    records = [*forked.RECORD.iter_unpack(forked.read_all(progress, 60))]
    os.close(progress)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, WAIT_FOR_ANY_KIND)[1]) == 1
    assert (records[-1][0], records[-1][5]) == (forked.FAILED, errno.ENOSPC)


def test_a_child_that_gets_no_facts_fails(path):
    outcome = forked.fork_capture(core, path, facts=None)
    assert os.waitstatus_to_exitcode(outcome.status) == 1
    assert (outcome.last[0], outcome.last[5]) == (forked.FAILED, errno.EPIPE)


def test_a_killed_child_is_reported_by_its_status(path):
    progress, progress_end = os.pipe()
    facts_end, send = os.pipe()
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    pid = core.fork_capture(file, progress_end, facts_end)
    for end in (progress_end, facts_end, file):
        os.close(end)
    os.kill(pid, signal.SIGKILL)  # it waits for its facts
    assert forked.read_all(progress, 60) == b""
    assert os.WTERMSIG(os.waitpid(pid, WAIT_FOR_ANY_KIND)[1]) == signal.SIGKILL
    os.close(progress)
    os.close(send)


def test_python_signal_handlers_do_not_run_in_the_child(path):
    # A handler of Python's would only note the signal: the child would go on waiting.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        progress, progress_end = os.pipe()
        facts_end, send = os.pipe()
        pid = core.fork_capture(progress_end, progress_end, facts_end)
        for end in (progress_end, facts_end):
            os.close(end)
        os.kill(pid, signal.SIGTERM)
        assert os.WTERMSIG(os.waitpid(pid, WAIT_FOR_ANY_KIND)[1]) == signal.SIGTERM
        os.close(progress)
        os.close(send)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_child_closes_inherited_descriptors(path):
    # The read end sees the end of the pipe although the child, waiting for facts, lives on.
    reader, writer = os.pipe()
    progress, progress_end = os.pipe()
    facts_end, send = os.pipe()
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    pid = core.fork_capture(file, progress_end, facts_end)
    os.close(writer)
    assert forked.read_all(reader, 60) == b""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, WAIT_FOR_ANY_KIND)
    for end in (reader, progress, progress_end, facts_end, send, file):
        os.close(end)


def test_garbage_is_flagged_and_a_root_is_not(path):
    cycle = Planted(None)
    cycle.value = cycle
    address = id(cycle)
    import gc

    gc.disable()
    try:
        del cycle
        assert forked.fork_capture(core, path).status == 0
    finally:
        gc.enable()
    heap = Heap(SectionFile(path))
    assert heap.flags_of_node(heap.node_of[address]) & NodeFlag.GARBAGE
    module = sys.modules[__name__]
    assert not heap.flags(module) & NodeFlag.GARBAGE
    assert ("MODULE", __name__, 0) in heap.roots(module)


@pytest.mark.parametrize("forks", [5, pytest.param(150, marks=pytest.mark.slow)])
def test_forks_beside_busy_threads_succeed(path, forks):
    leave = threading.Event()

    def work():
        while not leave.is_set():
            sum([Planted([number]).value[0] for number in range(50)])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        statuses = [forked.fork_capture(core, path).status for _ in range(forks)]
    finally:
        leave.set()
        for thread in threads:
            thread.join()
    assert statuses == [0] * forks
    assert LABEL_BITS  # the file of the last one is readable
    SectionFile(path).verify()


def test_wait_with_the_gil_tells_whether_a_descriptor_can_be_read():
    read, write = os.pipe()
    try:
        assert core.wait_with_gil(read, 1) is False
        os.write(write, b"x")
        assert core.wait_with_gil(read, 1000) is True
    finally:
        os.close(read)
        os.close(write)
    for milliseconds in (-1, 1001):
        with pytest.raises(ValueError, match="0 to 1000"):
            core.wait_with_gil(0, milliseconds)


def test_no_other_thread_runs_during_a_wait_with_the_gil():
    counter, leave = itertools.count(), threading.Event()

    def work():
        while not leave.is_set():
            next(counter)

    read, write = os.pipe()
    thread = threading.Thread(target=work)
    thread.start()
    try:
        # In C, where nothing between the calls lets another thread run.
        calls = [(repr, counter), (core.wait_with_gil, read, 100), (repr, counter)]
        before, _, after = list(itertools.starmap(operator.call, calls))
    finally:
        leave.set()
        thread.join()
        os.close(read)
        os.close(write)
    assert before == after


PROGRAM = """
import asyncio, gc, sys, threading
from memlens._core import _capture
from tests.core import forked
from tests.core.heaps import Heap
from memlens.heap.graph.snapshot_file import SectionFile

class Held:
    pass

in_thread, in_task, in_array = Held(), Held(), Held()
ready, leave = threading.Event(), threading.Event()

def work():
    mine = in_thread
    ready.set()
    while not leave.wait(0.0001):
        [object() for _ in range(100)]

async def wait(mine):
    await asyncio.Event().wait()

async def main(path, array):
    task = asyncio.create_task(wait(in_task))
    await asyncio.sleep(0)
    gc.disable()
    gc.freeze()
    outcome = forked.fork_capture(_capture, path)
    assert outcome.status == 0, outcome
    heap = Heap(SectionFile(path))
    for held in (in_thread, in_task, array[0]):
        assert heap.type_name(held) == "__main__.Held"
    assert any(target == id(in_array) for _, _, target in heap.edges(array))
    task.cancel()

try:
    import numpy
    array = numpy.array([in_array], dtype=object)
except ImportError:
    array = [in_array]
thread = threading.Thread(target=work)
thread.start()
ready.wait()
asyncio.run(main(sys.argv[1], array))
leave.set()
thread.join()
print("done")
"""


def test_a_frozen_program_with_tasks_threads_and_arrays_under_a_debugging_allocator(path):
    environment = {"PYTHONMALLOC": "debug", "PYTHONPATH": ":".join(sys.path)}
    options = ["-X", "tracemalloc=3"]
    done = subprocess.run(
        [sys.executable, *options, "-W", "error", "-c", PROGRAM, path],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
