"""Forks while sampling: what the fork handlers of other libraries do must never wait for memlens.

A handler may run Python in the parent and in the child, before and after memlens's own handler, and
may wait for other threads. In each test a deadlock shows as a child process that does not end.
"""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.core.sampler_child import run
from tests.sampler import need_sampler

need_sampler()

LIMIT_SECONDS = 60  # a test that passes needs one or two

# Native fork handlers that run Python. `work()` allocates and frees blocks that are sampled.
HANDLERS = """
import ctypes, os, sys, threading, warnings
warnings.simplefilter("ignore")  # 3.12+ warns of forks in threaded programs: that is the test
libc = ctypes.CDLL(None)
HANDLER = ctypes.CFUNCTYPE(None)
calls = []
watched = []

def work(phase):
    calls.append(phase)
    watched.clear()  # frees sampled blocks
    watched.extend(bytearray(1000) for _ in range(50))
    tables = sampler.sample_tables(0)
    assert sampler.health()["samples"] > 0
    sampler.suppress(True)
    sampler.suppress(False)

def native_handlers(prepare=None, parent=None, child=None):
    handlers = [HANDLER(one) if one else HANDLER() for one in (prepare, parent, child)]
    kept.append(handlers)
    if sys.platform == "darwin":
        assert libc.pthread_atfork(*handlers) == 0
    else:
        assert libc.__register_atfork(*handlers, None) == 0

kept = []

def fork_and_check(count=3):
    for _ in range(count):
        calls.clear()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                before = sampler.health()["samples"]
                work("after")
                assert sampler.health()["samples"] > before
                assert sampler.health()["lost_tables"] == 0
                sampler.stop()
                sampler.start(10, 256, 0)
                work("again")
                code = 0 if calls == EXPECTED_CHILD + ["after", "again"] else 2
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert calls == EXPECTED_PARENT, calls
        before = sampler.health()["samples"]
        work("after")
        assert sampler.health()["samples"] > before
"""

NATIVE = """
native_handlers(
    lambda: work("prepare"), lambda: work("parent"), lambda: work("child")
)
"""
PYTHON = """
os.register_at_fork(
    before=lambda: work("prepare"),
    after_in_parent=lambda: work("parent"),
    after_in_child=lambda: work("child"),
)
"""
START = """
sampler.start(1, 1 << 15, 0)
"""


@pytest.mark.parametrize("handlers", [NATIVE, PYTHON], ids=["native", "python"])
@pytest.mark.parametrize("order", ["before ours", "after ours"])
def test_fork_handlers_that_run_python_find_the_sampler_free(handlers: str, order: str) -> None:
    steps = handlers + START if order == "before ours" else START + handlers
    run(
        HANDLERS
        + 'EXPECTED_PARENT, EXPECTED_CHILD = ["prepare", "parent"], ["prepare", "child"]\n'
        + steps
        + "fork_and_check()\nsampler.stop()\n",
        timeout=LIMIT_SECONDS,
    )


@pytest.mark.parametrize("order", ["before ours", "after ours"])
def test_a_fork_handler_may_wait_for_a_thread_that_allocates(order: str) -> None:
    """A handler of gRPC does so: it waits until its threads have come to rest."""
    handlers = """
def let_another_thread_allocate():
    asked.release()
    answered.acquire()  # lets go of the GIL
    calls.append("answered")
native_handlers(let_another_thread_allocate, let_another_thread_allocate)
"""
    steps = handlers + START if order == "before ours" else START + handlers
    run(
        HANDLERS
        + """
EXPECTED_PARENT, EXPECTED_CHILD = ["answered", "answered"], ["answered"]
asked, answered = threading.Semaphore(0), threading.Semaphore(0)
def serve():
    while asked.acquire():
        mine = [bytearray(1000) for _ in range(50)]
        del mine
        answered.release()
threading.Thread(target=serve, daemon=True).start()
"""
        + steps
        + "fork_and_check()\n",
        timeout=LIMIT_SECONDS,
    )


def test_a_fork_handler_may_fork() -> None:
    run(
        HANDLERS
        + """
EXPECTED_PARENT, EXPECTED_CHILD = ["prepare"], ["prepare"]
inside = []
def fork_too():
    if inside:
        return
    inside.append(1)
    work("prepare")
    pid = ctypes.PyDLL(None).fork()  # os.fork() within a fork waits for ever on 3.13
    if pid == 0:
        work("nested")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    inside.clear()
native_handlers(fork_too)
"""
        + START
        + "fork_and_check()\n",
        timeout=LIMIT_SECONDS,
    )


def test_a_child_forgets_the_suppression_of_threads_that_it_does_not_have() -> None:
    run(
        HANDLERS
        + START
        + """
ready, end = threading.Semaphore(0), threading.Event()
def suppressed():
    sampler.suppress(True)
    ready.release()
    end.wait()
threads = [threading.Thread(target=suppressed) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: ready.acquire()
assert not sampler.suppress(True)  # all places are taken
pid = os.fork()
if pid == 0:
    os._exit(0 if sampler.suppress(True) else 1)
end.set()
assert os.waitpid(pid, 0)[1] == 0
""",
        timeout=LIMIT_SECONDS,
    )


# Threads that allocate without the GIL, so that a fork may find one anywhere within the sampler.
ALLOCATING_THREAD = r"""
#include <pthread.h>
#include <stddef.h>
void *PyMem_Malloc(size_t size);
void PyMem_Free(void *block);
static volatile int ending;
enum { THREADS = 4 };
static pthread_t threads[THREADS];
static void *allocate(void *unused)
{
    while (!ending) {
        PyMem_Free(PyMem_Malloc(4000));
    }
    return unused;
}
int begin(void)
{
    int failed = 0;
    ending = 0;
    for (int i = 0; i < THREADS; i++) {
        failed |= pthread_create(&threads[i], NULL, allocate, NULL);
    }
    return failed;
}
int end(void)
{
    int failed = 0;
    ending = 1;
    for (int i = 0; i < THREADS; i++) {
        failed |= pthread_join(threads[i], NULL);
    }
    return failed;
}
"""


def compiled(source: str, folder: Path) -> Path:
    """Return the shared library made of C source; skip the test where there is no compiler."""
    library = folder / "library.so"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    if sys.platform == "darwin":
        options = ["-bundle", "-undefined", "dynamic_lookup"]
    else:
        options = ["-shared", "-fPIC"]
    command = [*compiler, *options, "-x", "c", "-", "-o", str(library), "-lpthread"]
    try:
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"no C compiler: {error}")
    assert done.returncode == 0, done.stderr
    return library


@pytest.mark.parametrize("handlers", ["", NATIVE], ids=["no handlers", "handlers before ours"])
def test_a_fork_amid_a_change_of_the_tables_leaves_the_child_with_empty_ones(
    handlers: str, tmp_path: Path
) -> None:
    out = run(
        HANDLERS
        + handlers
        + f"""
helper = ctypes.PyDLL({str(compiled(ALLOCATING_THREAD, tmp_path))!r})
sampler.start(1, 1 << 15, 0)
kept_since = [bytearray(1000) for _ in range(100)]
assert helper.begin() == 0
lost = forks = 0
while not lost and forks < 3000:  # many forks come at such a moment
    forks += 1
    pid = os.fork()
    if pid == 0:
        code = 100
        try:
            work("child")
            mine = [bytearray(2000) for _ in range(100)]
            blocks = columns(sampler.sample_tables(0))["sample_size"].tolist()
            assert blocks.count(2000 + BLOCK_EXTRA) == 100
            health = sampler.health()
            assert health["running"] and health["object_hook"] == "installed"
            kept_since.clear()
            mine.clear()
            blocks = columns(sampler.sample_tables(0))["sample_size"].tolist()
            assert blocks.count(2000 + BLOCK_EXTRA) == 0
            sampler.stop()
            sampler.start(1, 1 << 15, 0)
            work("again")
            code = health["lost_tables"]
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1), code
    lost += code
assert helper.end() == 0
assert sampler.health()["lost_tables"] == 0
blocks = columns(sampler.sample_tables(0))["sample_size"].tolist()
assert blocks.count(1000 + BLOCK_EXTRA) >= 100
sampler.stop()
print(lost)
""",
        timeout=LIMIT_SECONDS,
        PYTHONMALLOC="malloc",  # pymalloc needs the GIL
    )
    assert int(out) > 0, "no fork came while a thread was changing the tables"


def need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def test_uvloop_starts_subprocesses_while_a_profiler_runs(tmp_path: Path) -> None:
    """uvloop runs Python in the child, in a handler that its first subprocess registers."""
    need("uvloop")
    run(
        f"""
    import asyncio, uvloop, warnings
    from memlens import MemoryProfiler
    warnings.simplefilter("ignore")
    async def spawn():
        process = await asyncio.create_subprocess_exec("true")
        assert await process.wait() == 0
    async def main():
        await spawn()
        with MemoryProfiler({str(tmp_path)!r}):
            for _ in range(5):
                await spawn()
        with MemoryProfiler({str(tmp_path)!r}, allocation_interval_bytes=1):
            for _ in range(5):
                await spawn()
    uvloop.new_event_loop().run_until_complete(main())
    """,
        timeout=LIMIT_SECONDS,
    )


def test_gevent_forks_while_the_sampler_runs() -> None:
    need("gevent")
    run(
        """
    import gevent.monkey
    gevent.monkey.patch_all()
    import gevent, os, subprocess
    import threading
    gevent.spawn(gevent.sleep, 0).join()
    gevent.get_hub().threadpool.apply(len, ((),))
    sampler.start(1, 1 << 15, 0)
    for _ in range(3):
        assert subprocess.run(["true"]).returncode == 0
        pid = os.fork()
        if pid == 0:
            gevent.spawn(gevent.sleep, 0).join()
            before = sampler.health()["samples"]
            blocks = [bytearray(1000) for _ in range(50)]
            os._exit(0 if sampler.health()["samples"] >= before + 50 else 1)
        assert os.waitpid(pid, 0)[1] == 0
    sampler.stop()
    """,
        timeout=LIMIT_SECONDS,
    )


def test_grpc_forks_while_the_sampler_runs() -> None:
    """The handlers of gRPC wait for its own threads, in the parent and in the child."""
    need("grpc")
    run(
        """
    import os, warnings
    from concurrent.futures import ThreadPoolExecutor
    warnings.simplefilter("ignore")
    import grpc
    class Echo(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    def call():
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert channel.unary_unary("/echo/Echo")(b"x" * 2000, timeout=30) == b"x" * 2000
    read, write = os.pipe()
    server = os.fork()  # before any use of gRPC: a server cannot live across a fork
    if server == 0:
        served = grpc.server(ThreadPoolExecutor(2), handlers=[Echo()])
        os.write(write, str(served.add_insecure_port("127.0.0.1:0")).encode())
        served.start()
        served.wait_for_termination(50)
        os._exit(0)
    port = int(os.read(read, 100))
    try:
        call()
        sampler.start(1, 1 << 15, 0)
        call()
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                call()
                before = sampler.health()["samples"]
                blocks = [bytearray(1000) for _ in range(50)]
                os._exit(0 if sampler.health()["samples"] >= before + 50 else 1)
            assert os.waitpid(pid, 0)[1] == 0
            call()
        sampler.stop()
    finally:
        os.kill(server, 9)
        os.waitpid(server, 0)
    """,
        timeout=LIMIT_SECONDS,
        GRPC_ENABLE_FORK_SUPPORT="1",
    )
