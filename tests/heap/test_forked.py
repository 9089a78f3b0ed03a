"""A snapshot by a forked child, as a program asks for it."""

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import psutil
import pytest

import memlens
import memlens.errors
from memlens import _core
from memlens.errors import CaptureError, CaptureTimeoutError, OptionError, OutputError
from memlens.heap.capture import child_process

needs_native = pytest.mark.skipif(
    _core.fork_capture is None, reason="only the native core can capture in a forked child"
)


class Planted:
    def __init__(self):
        self.content = bytearray(10_000)


SHELF = {}


@pytest.fixture(autouse=True)
def empty_shelf():
    SHELF.clear()
    yield
    SHELF.clear()


@pytest.fixture
def children():
    """The children of this process that other tests have not left behind."""
    before = set(psutil.Process().children())
    return lambda: [child for child in psutil.Process().children() if child not in before]


@needs_native
def test_forked_and_inline_snapshots_agree(children):
    SHELF["a"] = Planted()
    for mode in ("fork", "inline"):
        snapshot = memlens.take_heap_snapshot(mode=mode, reason="test")
        node = snapshot.node_of(SHELF["a"])
        assert str(snapshot.path_to(node)) == "tests.heap.test_forked.SHELF[<str>]"
        assert node.retained_bytes == node.shallow_bytes + sys.getsizeof(SHELF["a"].content)
        assert snapshot.facts["mode"] == mode
        assert snapshot.reason == "test"
    assert children() == []


@needs_native
def test_snapshot_without_a_path_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    snapshot = memlens.take_heap_snapshot(mode="fork")
    assert list(tmp_path.iterdir()) == []
    assert snapshot.object_count > 10_000
    snapshot.graph.sections.verify()


@needs_native
def test_snapshot_with_a_path_writes_a_private_file(tmp_path):
    path = tmp_path / "heap.memlens"
    snapshot = memlens.take_heap_snapshot(path, mode="fork")
    assert [entry.name for entry in tmp_path.iterdir()] == ["heap.memlens"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert memlens.load(path).object_count == snapshot.object_count


@needs_native
def test_task_reports_progress_and_caches_its_result():
    task = memlens.start_heap_snapshot(reason="background")
    snapshot = task.result(timeout=60)
    assert task.done()
    assert task.progress.stage == "done"
    assert task.progress.object_count == snapshot.object_count
    assert task.result() is snapshot
    assert snapshot.pause_seconds > 0


@needs_native
def test_result_can_be_called_again_after_a_timeout():
    task = memlens.start_heap_snapshot()
    with pytest.raises(CaptureTimeoutError, match="not ended within 0"):
        task.result(timeout=0)
    assert task.result(timeout=60).object_count > 0


@needs_native
def test_garbage_is_marked_and_left_out_of_views():
    gc.disable()
    try:
        cycle = [Planted()]
        cycle.append(cycle)
        del cycle
        snapshot = memlens.take_heap_snapshot(mode="fork")
    finally:
        gc.enable()
    name = f"{__name__}.Planted"
    assert name not in {row.name for row in snapshot.summary()}
    assert name in {row.name for row in snapshot.garbage()}
    collected = memlens.take_heap_snapshot(mode="fork", collect=True)
    assert name not in {row.name for row in collected.garbage()}
    assert collected.facts["collected"]["rounds"] >= 1


@needs_native
def test_killed_child_raises_capture_error_and_leaves_no_file(tmp_path, children):
    task = memlens.start_heap_snapshot(tmp_path / "heap.memlens")
    task.cancel()
    with pytest.raises(CaptureError, match="SIGKILL"):
        task.result()
    assert list(tmp_path.iterdir()) == []
    assert children() == []


@needs_native
def test_child_killed_by_a_signal_without_a_name_raises_capture_error():
    task = memlens.start_heap_snapshot()
    os.kill(task._child.pid, signal.SIGRTMIN + 3)
    with pytest.raises(CaptureError, match=f"signal {signal.SIGRTMIN + 3} "):
        task.result()
    assert task.done()


@needs_native
def test_deleted_task_leaves_no_child_and_no_file(tmp_path, children):
    task = memlens.start_heap_snapshot(tmp_path / "heap.memlens")
    del task
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    # A finalizer does not wait for the end of the child that it has killed; the next task reaps it.
    while child_process._left:
        child_process.reap_left()
    assert children() == []


@needs_native
def test_task_that_could_not_be_given_up_at_once_is_given_up_later(tmp_path, children, monkeypatch):
    def kill(child):
        monkeypatch.undo()
        raise MemoryError

    task = memlens.start_heap_snapshot(tmp_path / "heap.memlens")
    monkeypatch.setattr(child_process.ChildProcess, "kill", kill)
    with pytest.raises(MemoryError):
        task._abandon()
    task._abandon()
    assert children() == []
    assert list(tmp_path.iterdir()) == []


@needs_native
def test_missing_folder_raises_output_error(tmp_path):
    with pytest.raises(OutputError, match="choose another folder"):
        memlens.take_heap_snapshot(tmp_path / "missing" / "x.memlens", mode="fork")


@needs_native
def test_full_disk_raises_output_error_and_leaves_no_file(tmp_path):
    script = f"""
        import resource, signal, memlens
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            memlens.take_heap_snapshot({str(tmp_path / "x.memlens")!r}, mode="fork")
        except memlens.errors.OutputError as error:
            print("told:", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("told:"), done.stderr
    assert list(tmp_path.iterdir()) == []


@needs_native
def test_variables_of_other_threads_show_the_thread_name():
    ready, leave = threading.Event(), threading.Event()
    seen = []

    def work():
        mine = Planted()
        seen.append(id(mine))
        ready.set()
        leave.wait()

    thread = threading.Thread(target=work, name="the worker")
    thread.start()
    ready.wait()
    try:
        snapshot = memlens.take_heap_snapshot(mode="fork")
    finally:
        leave.set()
        thread.join()
    index = snapshot.graph.find_address(seen[0])
    path = snapshot.path_to(index)
    assert "thread 'the worker' frame" in path.root
    assert str(path).endswith("local 'mine'")


@needs_native
def test_facts_larger_than_a_pipe_are_complete():
    facts = {"note": "x" * 500_000}
    assert memlens.take_heap_snapshot(mode="fork", facts=facts).facts["note"] == facts["note"]


@pytest.mark.parametrize(
    "option",
    [{"facts": 5}, {"reason": 5}, {"values": "no"}, {"collect": 1}],
)
@pytest.mark.parametrize("mode", ["inline", "auto"])
def test_bad_options_are_refused_by_name(mode, option):
    with pytest.raises(OptionError, match=next(iter(option))):
        memlens.take_heap_snapshot(mode=mode, **option)


@needs_native
def test_bad_timeout_is_refused():
    task = memlens.start_heap_snapshot()
    for timeout in ("5", -1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="timeout"):
            task.result(timeout=timeout)
    assert task.result(timeout=60).object_count > 0


def test_unknown_mode_is_refused():
    with pytest.raises(OptionError, match="sideways"):
        memlens.take_heap_snapshot(mode="sideways")


def test_fork_mode_without_the_native_core_is_refused(monkeypatch):
    monkeypatch.setattr(_core, "fork_capture", None)
    with pytest.raises(CaptureError, match="native core"):
        memlens.take_heap_snapshot(mode="fork")
    with pytest.raises(CaptureError, match="native core"):
        memlens.start_heap_snapshot()
    assert memlens.take_heap_snapshot(mode="auto").facts["mode"] == "inline"


def test_facts_are_json_and_identify_the_process():
    facts = memlens.take_heap_snapshot(facts={"build": "1.2.3"}).facts
    assert facts["pid"] == os.getpid()
    assert facts["build"] == "1.2.3"
    assert json.loads(json.dumps(facts)) == facts
