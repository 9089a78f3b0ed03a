"""Each way to a process, whatever the process does."""

import pytest

from memlens.attach.request import Request
from memlens.attach.target import Target
from memlens.attach.ways import ask
from memlens.heap.snapshot import HeapSnapshot
from tests.attach.programs import COMING_BACK, HAS_GDB, HAS_REMOTE, PROGRAMS, running, state_of

needs_gdb = pytest.mark.skipif(not HAS_GDB, reason="needs gdb")
needs_remote = pytest.mark.skipif(not HAS_REMOTE, reason="needs Python 3.14")
GDB = [
    pytest.param("gdb", name, marks=needs_gdb)
    for name in PROGRAMS
    if name not in ("gil", "profiler")
]
REMOTE = [pytest.param("remote", name, marks=needs_remote) for name in COMING_BACK]


@pytest.mark.parametrize(("way", "name"), [*GDB, *REMOTE])
def test_a_process_dumps_its_heap_and_goes_on(way, name, tmp_path):
    path = tmp_path / "heap.memlens"
    with running(name) as process:
        answer = ask(Target(process.pid), Request("dump"), snapshot_path=str(path), way=way)
        assert process.poll() is None
        assert state_of(process.pid) not in "Tt"
    snapshot = HeapSnapshot.load(path)
    assert answer.way == way
    assert answer.size_bytes == path.stat().st_size
    assert snapshot.pid == process.pid
    assert snapshot.select("__main__.Held").count == 1234
    assert [entry.name for entry in tmp_path.iterdir()] == ["heap.memlens"]


@pytest.mark.skipif(not HAS_GDB and not HAS_REMOTE, reason="needs gdb or Python 3.14")
def test_a_process_with_the_pure_core_captures_inline(tmp_path):
    path = tmp_path / "heap.memlens"
    with running("busy", env={"MEMLENS_PURE": "1"}) as process:
        ask(Target(process.pid), Request("dump"), snapshot_path=str(path))
        assert process.poll() is None
    snapshot = HeapSnapshot.load(path)
    assert snapshot.facts["mode"] == "inline"
    assert snapshot.select("__main__.Held").count == 1234
