"""What must never crash, hang or lie: forks, threads, other hooks, allocators, shutdown."""

from __future__ import annotations

import sys

import pytest

from tests.core.sampler_child import run
from tests.sampler import need_sampler

need_sampler()

WORK = """
import gc, json, threading, weakref
class Node:
    def __init__(self, n):
        self.children = [Node(n - 1) for _ in range(3)] if n else None
        self.text = "x" * (n * 100)
def generator(n):
    for i in range(n):
        yield [i] * 50
async def coroutine(n):
    if n:
        await coroutine(n - 1)
    return bytearray(500)
def work(rounds=3):
    for _ in range(rounds):
        Node(4)
        json.loads(json.dumps([{"a": i, "b": [1.5] * 3} for i in range(100)]))
        list(generator(50))
        try:
            coroutine(20).send(None)
        except StopIteration:
            pass
        space = {}
        exec("def f(): return [bytes(900)] * 3\\nx = f()", space)
        try:
            {}[1]
        except KeyError as error:
            kept = error
        del kept
    gc.collect()
"""


@pytest.mark.parametrize(
    "allocator", ["pymalloc", "malloc", "debug", "malloc_debug", "pymalloc_debug"]
)
@pytest.mark.parametrize("interval", [1, 700])
def test_every_allocator_works_below_the_hooks(allocator: str, interval: int) -> None:
    run(
        WORK
        + f"""
for _ in range(5):
    sampler.start({interval}, 4096, 0)
    work()
    health = sampler.health()
    assert health["samples"] > 100 and health["replaced_samples"] == 0, health
    sampler.stop()
    work(1)
assert sampler.health()["object_hook"] == "off"
""",
        PYTHONMALLOC=allocator,
    )


def test_1000_starts_and_stops_while_16_threads_allocate() -> None:
    run(
        WORK
        + """
__import__("sys").setswitchinterval(1e-5)  # threads change within starts and stops
done = False
errors = []
turns = threading.Semaphore(0)  # or the 16 would leave the one that starts and stops no time
def loop():
    try:
        while turns.acquire() and not done:
            Node(2)
            json.loads(json.dumps([{"a": i} for i in range(5)]))
            list(generator(5))
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=loop) for _ in range(16)]
for t in threads: t.start()
import time
samples = 0
for i in range(1000):
    turns.release(4)
    sampler.start([1, 100, 5000, 524288][i % 4], 1024, 0)
    if i % 10 == 0:
        time.sleep(0.0005)  # lets go of the GIL: the others allocate
        sampler.sample_tables(0)
    turns.release(2)
    samples += sampler.health()["samples"]
    sampler.stop()
assert samples > 10_000, samples
done = True
turns.release(16)
for t in threads: t.join()
assert not errors, errors
assert sampler.health()["object_hook"] == sampler.health()["mem_hook"] == "off"
""",
        timeout=300,
    )


def test_a_storm_of_forks_leaves_parent_and_children_sampling() -> None:
    run(
        WORK
        + """
import os, warnings
warnings.simplefilter("ignore")  # 3.12+ warns of forks in threaded programs: that is the test
sampler.start(50, 4096, 0)
done = False
def loop():
    while not done:
        work(1)
threads = [threading.Thread(target=loop) for _ in range(4)]
for t in threads: t.start()
kept = [bytearray(300) for _ in range(100)]
pids = []
for i in range(60):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sampler.forget_sums()
            before = sampler.health()["samples"]
            work(1)
            assert sampler.health()["samples"] > before
            kept.clear()
            sampler.sample_tables(0)
            sampler.stop()
            sampler.start(10, 256, 0)
            if i % 3 == 0 and os.fork() == 0:
                work(1)
                os._exit(0)
            work(1)
            sampler.stop()
            code = 0
        finally:
            os._exit(code)
    pids.append(pid)
for pid in pids:
    assert os.waitpid(pid, 0)[1] == 0
done = True
for t in threads: t.join()
assert sampler.health()["samples"] > 1000
sampler.stop()
""",
        timeout=300,
    )


def test_forked_children_draw_numbers_of_their_own() -> None:
    out = run("""
import os
sampler.start(5000, 4096, 7)
def make():
    return list(map(bytearray, [100] * 3000))
for _ in range(4):
    if os.fork() == 0:
        make()
        print(allocated_of("make"), flush=True)
        os._exit(0)
    os.wait()
""")
    assert len(set(out.splitlines())) > 1, out


def test_tracemalloc_started_and_stopped_around_us_in_any_order() -> None:
    run(
        WORK
        + """
import tracemalloc, itertools
def make():
    return bytearray(3000)
steps = {
    "s": lambda: sampler.start(1, 1 << 15, 0),
    "S": lambda: sampler.stop(),
    "t": lambda: tracemalloc.start(5),
    "T": lambda: tracemalloc.stop(),
}
tried = 0
for order in sorted(set(itertools.permutations("sStTsStT"))):
    on = {"s": 0, "t": 0}
    ok = True
    for step in order:
        key = step.lower()
        on[key] += 1 if step.islower() else -1
        ok = ok and on[key] in (0, 1)
    if not ok:
        continue
    tried += 1
    sampling = evicted = False
    for step in order:
        before = sampler.health()["object_hook"]
        steps[step]()
        sampling = {"s": True, "S": False}.get(step, sampling)
        bypassed = sampler.health()["object_hook"] == "bypassed"
        # A tracemalloc that began before us and ends before us takes our hook away.
        evicted = step != "S" and (evicted or (step == "T" and sampling and before == "installed"))
        assert bypassed == evicted, (order, step, before)
        kept = make()
        if sampling and not bypassed:
            # a bytearray is one object and one buffer: neither lost nor counted twice
            assert live_of("make")[1] == 2, (order, step, live_of("make"), sampler.health())
        del kept
        if sampling and not bypassed:
            assert live_of("make")[1] == 0, (order, step)
    assert sampler.health()["object_hook"] in ("off", "passthrough"), (order, sampler.health())
assert tried >= 6, tried
work()
""",
        timeout=300,
    )


def test_a_hook_above_ours_is_noticed_and_survived() -> None:
    run(
        WORK
        + """
import tracemalloc
sampler.start(1, 1 << 15, 0)
assert sampler.health()["object_hook"] == "installed"
tracemalloc.start(1)
assert sampler.health()["object_hook"] == "covered"
work(1)
sampler.stop()
assert sampler.health()["object_hook"] == "passthrough"
work(1)
sampler.start(1, 1 << 15, 0)
assert sampler.health()["mem_hook"] == "covered"
work(1)
sampler.stop()
tracemalloc.stop()
assert sampler.health()["object_hook"] == "passthrough"
sampler.start(1, 1 << 15, 0)
assert sampler.health()["object_hook"] == "installed"
sampler.stop()
assert sampler.health()["object_hook"] == "off"
work(1)
"""
    )


@pytest.mark.parametrize("stop", ["sampler.stop()", "pass"])
def test_the_interpreter_ends_cleanly_while_sampling(stop: str) -> None:
    run(
        WORK
        + f"""
import atexit, time
class Late:
    def __del__(self):
        work(1)
late = Late()
late.me = late
builtins = __import__("builtins"); builtins.late = Late()
sampler.start(1, 1 << 15, 0)
work()
t = threading.Thread(target=lambda: [work(1) for _ in range(10**6)], daemon=True)
t.start()
time.sleep(0.02)
atexit.register(lambda: work(1))
{stop}
"""
    )


def test_generators_coroutines_and_async_tasks_have_their_own_call_paths() -> None:
    run("""
    import asyncio
    async def leaf():
        await asyncio.sleep(0)
        return bytearray(40_000)
    async def middle():
        return await leaf()
    async def main():
        return await asyncio.gather(*(middle() for _ in range(5)))
    def produce():
        for _ in range(3):
            yield bytearray(50_000)
    def consume():
        return [block for block in produce()]
    sampler.start(1, 1 << 16, 0)
    kept = asyncio.run(main()), consume()
    def path_of(size):
        rows = [row for row in table() if row[2] >= size and row[0][0][0] in ("leaf", "produce")]
        return {tuple(f[0].split(".")[-1] for f in row[0])[:3] for row in rows}
    assert path_of(200_000) == {("leaf", "middle", "_run")}, path_of(0)
    produced = [tuple(f[0].split(".")[-1] for f in row[0]) for row in table() if row[2] >= 150_000]
    assert any(path[0] == "produce" and "consume" in path for path in produced), produced
    sampler.stop()
    """)


def test_allocations_with_an_exception_set_or_in_a_destructor_are_recorded_quietly() -> None:
    run("""
    class Noisy:
        def __del__(self):
            kept.append(bytearray(9000))
    kept = []
    sampler.start(1, 1 << 14, 0)
    for _ in range(20):
        try:
            victim = Noisy()
            raise ValueError("x" * 2000)
        except ValueError as error:
            del victim
            assert str(error) == "x" * 2000
    assert live_of("__del__")[0] >= 20 * 9000
    sampler.stop()
    """)


def test_a_failing_allocation_leaves_the_old_block_known() -> None:
    run("""
    import resource
    def make():
        return bytearray(10_000)
    sampler.start(1, 1 << 14, 0)
    block = make()
    before = live_of("make")
    for _ in range(3):
        try:
            block.extend(b"" if False else bytes(0)); block *= 1 << 45
        except (MemoryError, OverflowError):
            pass
        else:
            raise AssertionError
    assert live_of("make") == before, (before, live_of("make"))
    del block
    assert live_of("make")[1] == 0
    sampler.stop()
    """)


# Bounds the address space, so that the system gives the sampler no memory.
LIMITED = """
import contextlib, gc, resource
@contextlib.contextmanager
def limited(extra_bytes):
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra_bytes, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
def make(n):
    return list(map(bytearray, [1000] * n))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
def test_a_start_that_finds_no_memory_leaves_the_sampler_stopped() -> None:
    run(
        LIMITED
        + """
failures = 0
for extra_bytes in range(0, 40 << 20, 128 << 10):
    try:
        with limited(extra_bytes):
            sampler.start(1, 32768, 0)
    except MemoryError:
        failures += 1
        health = sampler.health()
        assert not health["running"] and health["live_samples"] == health["capacity"] == 0, health
        assert health["object_hook"] == "off", health
        continue
    kept = make(100)
    assert 200 <= live_of("make")[1] <= 204, (extra_bytes, live_of("make"))
    del kept
    assert live_of("make")[1] <= 2  # free lists
    sampler.stop()
assert 20 < failures < 300, failures
"""
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
def test_an_export_that_finds_no_memory_changes_nothing() -> None:
    run(
        LIMITED
        + """
sampler.start(1, 1 << 18, 0)
kept = make(50_000)
failures = 0
for extra_bytes in range(0, 16 << 20, 128 << 10):
    tables = None
    try:
        with limited(extra_bytes):
            tables = sampler.sample_tables(0)
    except MemoryError:
        failures += 1
assert 5 < failures < 128, failures
tables = None
assert 100_000 <= live_of("make")[1] <= 100_004, live_of("make")
kept.clear()
assert live_of("make")[1] <= 2, live_of("make")  # free lists
sampler.stop()
"""
    )


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
def test_full_tables_that_cannot_be_made_room_in_stay_whole() -> None:
    run(
        LIMITED
        + """
spaces = []
for block in range(32):
    text = "\\n".join(f"def h{i}(go): return go()" for i in range(1000))
    spaces.append({})
    exec(compile(text, f"file{block}.py", "exec"), spaces[-1])
def leaf():
    return bytearray(600)
def call(spaces):
    for space in spaces:
        for i in range(1000):
            space[names[i]](leaf)
names = [f"h{i}" for i in range(1000)]
sampler.start(1, 1 << 18, 0)
with limited(256 << 10):
    call(spaces[:22])
full = sampler.health()
assert full["compactions"] == 0 and full["unplaced_samples"] > 1000, full
allocated = sum(row[4] for row in table())
assert allocated > 22_000 * 600, allocated
call(spaces[22:])
health = sampler.health()
assert health["compactions"] >= 1 and health["evicted_buckets"] > 1000, health
allocated = sum(row[4] for row in table())
assert allocated > 32_000 * 600, allocated
sampler.stop()
"""
    )


@pytest.mark.skipif(sys.platform != "linux", reason="places a block by what glibc's malloc does")
def test_freeing_nothing_leaves_a_block_known_that_shares_nulls_bit_of_the_filter() -> None:
    out = run("""
    import ctypes
    malloc, free = ctypes.pythonapi.PyMem_Malloc, ctypes.pythonapi.PyMem_Free
    malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    free.argtypes = [ctypes.c_void_p]
    spacing = 1 << 23  # addresses that far apart share a bit
    found = None
    for _ in range(3000):
        gap = -(malloc(1000) + 1008) % spacing  # to the block behind it, where it lies on top
        malloc(min(gap - 8, 100_000) if gap > 32 else 100)
        if gap > 100_000:
            continue
        sampler.start(1, 1 << 14, 0)
        block = malloc(1000)
        if block % spacing == 0:
            found = block
            break
        sampler.stop()
    def known():
        return found in columns(sampler.sample_tables(0))["sample_address"].tolist()
    if found is not None:
        assert known()
        free(None)
        free(found)
        assert not known()
        sampler.stop()
    print(found is not None)
    """)
    if out.strip() != "True":
        pytest.skip("this malloc placed no block there")


def test_reference_counts_and_results_are_untouched() -> None:
    run("""
    import sys, gc
    def f(x):
        return [x, {x: x}, (x, x)]
    marker = object()
    code, name, file = f.__code__, f.__code__.co_name, f.__code__.co_filename
    def counts():
        return [sys.getrefcount(o) for o in (marker, code, name, file, None, f)]
    gc.collect()
    before = counts()
    sampler.start(1, 1 << 14, 0)
    for _ in range(1000):
        f(marker)
    sampler.sample_tables(0)
    during = counts()
    sampler.stop()
    gc.collect()
    after = counts()
    assert before[:4] == during[:4] == after[:4], (before, during, after)
    """)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters share one GIL before 3.12")
def test_other_interpreters_do_not_disturb() -> None:
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    run(
        WORK
        + f"""
import {module} as interpreters
sampler.start(100, 1 << 14, 0)
def loop():
    one = interpreters.create()
    try:
        interpreters.run_string(one, "x = [bytearray(i % 3000) for i in range(30000)]\\ndel x\\n")
    finally:
        interpreters.destroy(one)
threads = [threading.Thread(target=loop) for _ in range(4)]
for t in threads: t.start()
work(5)
for t in threads: t.join()
health = sampler.health()
assert health["samples"] > 1000
sampler.stop()
"""
    )


def test_fixed_memory_stays_below_10_mb_with_full_tables() -> None:
    run("""
    def rss():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    import gc
    line = "def h%d(n): return h%d(n - 1) if n else bytearray(1)"
    text = "\\n".join(line % (i, i) for i in range(1000))
    space = {}
    exec(text, space)
    kept = []
    def fill():
        kept[:] = [bytearray(1) for _ in range(60_000)]
        for i in range(1000):
            for depth in range(0, 30, 3):
                space[f"h{i}"](depth)
    fill()
    gc.collect()
    base = rss()
    sampler.start(1, 32768, 0)
    fill()
    gc.collect()
    used = rss() - base
    assert sampler.health()["live_samples"] > 20_000
    assert used < 10e6, used
    sampler.stop()
    """)
