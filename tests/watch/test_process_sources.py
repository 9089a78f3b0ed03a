"""Running processes as sources: their memory, the snapshots of a profiler in them, programs."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import memlens
from memlens.errors import OptionError
from memlens.profiler import registry
from memlens.watch.process_source import NO_PROFILER, ProcessReader, ProcessSource
from memlens.watch.program_source import ProgramSource
from memlens.watch.snapshot_files import SnapshotFile
from tests.clock import FakeClock

ROOT = str(Path(memlens.__file__).resolve().parent.parent)
PROFILED = """
import sys, memlens
profiler = memlens.MemoryProfiler(sys.argv[1], sample_interval=3600.0, allocations=None)
if len(sys.argv) > 2:
    profiler.start()
print("ready", flush=True)
for line in sys.stdin:
    profiler.take_snapshot() if line == "snapshot\\n" else profiler.stop()
    print("done", flush=True)
"""
WAITING = """
import sys
print("started", *sys.argv[1:], flush=True)
KEPT = [bytearray(100) for _ in range(1000)]
import threading; threading.Event().wait()
"""


class Child:
    """A process with a profiler that does what it is told."""

    def __init__(self, folder, *arguments, **environment):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROFILED, str(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ROOT, **environment},
        )
        assert self.process.stdout.readline() == "ready\n"

    def tell(self, what):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    """The folder in which profilers of these tests are registered."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", ROOT)
    return folder


def wait_for(condition, seconds=100):
    """Ask again and again: what is waited for happens in another process."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.05)
    return found


def test_process_without_a_profiler_gives_readings_and_says_how_to_get_holders(tmp_path):
    clock = FakeClock(500.0)
    with Child(tmp_path / "out") as child:
        source = ProcessSource(child.process.pid, clock=clock)
        state = source.poll()
        (reading,) = state.readings
        assert reading.timestamp == 500.0
        assert reading.rss_bytes > 1 << 20
        assert reading.uss_bytes is None or 0 < reading.uss_bytes <= reading.rss_bytes * 2
        assert reading.limit_bytes is None or reading.limit_bytes > 0
        assert (state.files, state.note, state.is_ended) == ((), NO_PROFILER, False)
        assert source.title.startswith(
            f"process {child.process.pid}: {os.path.basename(sys.executable)} -c"
        )
        with pytest.raises(OptionError, match="did not start"):
            source.take_snapshot()
    state = source.poll()
    assert (state.readings, state.is_ended) == ((), True)


def test_snapshots_of_the_profiler_in_a_process_are_found(tmp_path):
    out = tmp_path / "out"
    with Child(out, "start") as child:
        source = ProcessSource(child.process.pid)
        assert [Path(path).parent for path in source.poll().files] == [out]
        child.tell("snapshot")
        state = source.poll()
        assert (len(state.files), state.note) == (2, "")


def test_missing_process_is_refused():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(OptionError, match=f"there is no process {process.pid}"):
        ProcessSource(process.pid)


def test_profiler_is_registered_from_its_first_snapshot_until_it_stops(tmp_path, runtime):
    with Child(tmp_path / "out", "start") as child:
        pid = child.process.pid
        assert registry.folder_of(pid) == str(tmp_path / "out")
        (file,) = (runtime / "memlens").glob("*.json")
        assert file.stat().st_mode & 0o777 == 0o600
        child.tell("stop")
        assert registry.folder_of(pid) is None
        assert list(runtime.iterdir()) == []


def test_file_of_a_killed_process_is_not_believed_and_is_deleted_by_the_next(tmp_path, runtime):
    with Child(tmp_path / "out", "start") as child:
        killed = child.process.pid
    assert {file.name.split("-")[0] for file in (runtime / "memlens").iterdir()} == {str(killed)}
    assert registry.folder_of(killed) is None
    with Child(tmp_path / "out", "start") as child:
        (file,) = (runtime / "memlens").glob("*.json")
        assert file.name.startswith(f"{child.process.pid}-")


def test_folder_that_others_can_write_to_is_not_believed(tmp_path, runtime):
    with Child(tmp_path / "out", "start") as child:
        (runtime / "memlens").chmod(0o777)
        assert registry.folder_of(child.process.pid) is None


def test_runtime_folder_that_cannot_be_written_does_not_disturb_the_profiler(tmp_path):
    (tmp_path / "file").write_text("")
    with Child(tmp_path / "out", "start", XDG_RUNTIME_DIR=str(tmp_path / "file")) as child:
        child.tell("snapshot")
        assert registry.folder_of(child.process.pid) is None


@pytest.fixture
def waiting(tmp_path):
    path = tmp_path / "waiting.py"
    path.write_text(WAITING)
    source = ProgramSource([str(path), "--flag", "x"], output_dir=str(tmp_path / "out"))
    yield source
    source.close()


def test_program_is_started_with_its_arguments_and_watched(waiting):
    wait_for(lambda: "started" in waiting.output_tail())
    assert waiting.output_tail().endswith("started --flag x\n")
    state = wait_for(lambda: next((s for s in [waiting.poll()] if s.files), None))
    assert state.readings[0].rss_bytes > 1 << 20
    assert not state.is_ended
    assert state.program_ended_at is None


def test_readings_begin_with_the_first_snapshot_and_stop_with_the_last(waiting, monkeypatch):
    """Before and after it the process works for memlens."""
    read = []
    monkeypatch.setattr(waiting._reader, "read", lambda own_bytes: read.append(own_bytes))
    files = waiting._files
    monkeypatch.setattr(files, "refresh", list)
    assert waiting.poll().readings == ()
    assert read == []
    file = SnapshotFile("a", 1, (1, None), 5.0, None)
    monkeypatch.setattr(files, "refresh", lambda: [file])
    files.own_bytes = 7
    waiting.poll()
    assert read == [7]
    files.ended_at = 5.0
    assert waiting.poll().program_ended_at == 5.0
    assert read == [7]


def test_own_memory_of_memlens_is_subtracted(tmp_path):
    with Child(tmp_path / "out") as child:
        reader = ProcessReader(child.process.pid)
        assert reader.read(1 << 50).rss_bytes == 0
        assert reader.read(1).rss_bytes > 1 << 20


def test_requested_snapshot_appears_among_the_files(waiting):
    wait_for(lambda: "started" in waiting.output_tail())
    waiting.take_snapshot()
    wait_for(lambda: any("heap-request-" in path for path in waiting.poll().files))


def test_end_of_the_source_ends_the_program_which_writes_its_report(waiting, tmp_path):
    wait_for(lambda: "started" in waiting.output_tail())
    waiting.close()
    assert waiting.title.endswith(f"(ended, signal {int(signal.SIGTERM)})")
    assert "report.txt" in os.listdir(tmp_path / "out")
    assert waiting.output_tail() is None
    with pytest.raises(OptionError, match="has ended"):
        waiting.take_snapshot()
    waiting.close()  # may be repeated


def test_module_is_run_and_its_failure_is_shown(tmp_path, monkeypatch):
    (tmp_path / "tool.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    source = ProgramSource(["-m", "tool"])
    try:
        state = wait_for(lambda: next((s for s in [source.poll()] if s.is_ended), None))
        assert "exit code 7: press o" in state.note
    finally:
        source.close()


def test_temporary_files_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "quick.py").write_text("")
    source = ProgramSource([str(tmp_path / "quick.py")])
    assert [name for name in os.listdir(tmp_path) if name.startswith("memlens-watch-")]
    source.close()
    assert not [name for name in os.listdir(tmp_path) if name.startswith("memlens-watch-")]


def test_program_must_be_given():
    with pytest.raises(OptionError, match="no program given"):
        ProgramSource([])
