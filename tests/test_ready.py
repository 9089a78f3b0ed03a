"""Waiting for descriptors, also where an event loop has taken ``select.poll`` away."""

import os
import select
import subprocess
import sys
import threading

import pytest

from memlens._ready import wait_until_ready


@pytest.fixture(params=["poll", "select"])
def _way(request, monkeypatch):
    if request.param == "select":
        monkeypatch.delattr(select, "poll")


@pytest.fixture
def pipe(_way):
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_what_is_ready_ends_the_wait(pipe):
    reader, writer = pipe
    wait_until_ready([], [writer], 60.0)
    wait_until_ready([reader], [writer])
    os.write(writer, b"x")
    wait_until_ready([reader])
    assert os.read(reader, 10) == b"x"


def test_data_that_another_thread_sends_ends_the_wait(pipe):
    reader, writer = pipe
    timer = threading.Timer(0.05, os.write, [writer, b"x"])
    timer.start()
    wait_until_ready([reader], (), 60.0)
    assert os.read(reader, 10) == b"x"
    timer.join()


def test_the_wait_ends_after_its_time_and_without_descriptors(pipe):
    wait_until_ready([pipe[0]], (), 0.01)
    wait_until_ready([], [], 0.0)


@pytest.mark.usefixtures("_way")
def test_a_closed_descriptor_ends_the_wait():
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    wait_until_ready([reader], (), 60.0)


@pytest.mark.skipif(sys.platform != "linux", reason="captures fork on Linux only")
def test_a_profiler_works_where_there_is_no_poll(tmp_path):
    script = """if True:
        import select
        del select.poll  # as eventlet does
        import json, socket
        import memlens
        from memlens.profiler.registry import own_socket_path
        with memlens.MemoryProfiler("out", allocations=None) as profiler:
            assert profiler.take_snapshot().object_count > 1000
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(own_socket_path())
                client.sendall(b'{"command": "none"}')
                client.sendall(b"\\n")
                print(client.makefile().readline())
            assert profiler.health()["failures"] == 0, profiler.health()
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "XDG_RUNTIME_DIR": os.fspath(tmp_path / "run")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "unknown command" in done.stdout
