"""Signal handlers and finalizers are ordinary callers, wherever they interrupt a profiler.

Most tests run a handler before one bytecode of memlens's own code, and again for every other one: what
a signal may do, at each place where it may come, without waiting for chance. A deadlock shows as a
child process that does not end.
"""

from __future__ import annotations

import os

import pytest

from tests.core.sampler_child import run_plain
from tests.sampler import need_sampler

need_sampler()

LIMIT_SECONDS = 120

PRELUDE = """
import dis, gc, os, signal, sys, threading, warnings
from memlens._core import _sampler
from memlens.allocations import profiler as profiling
from memlens.allocations.sampling import shared_sampler as shared
from memlens.allocations.sampling.shared_sampler import SHARED
from memlens.allocations.profiler import AllocationProfiler
from memlens.errors import TracingError

FILES = (profiling.__file__, shared.__file__)

# Nothing is allocated in these, and no signal is handled before the next bytecode.
SAFE = ("STORE_", "LOAD_FAST", "LOAD_CONST", "LOAD_COMMON_CONSTANT", "LOAD_DEREF", "LOAD_CLOSURE",
        "PUSH_", "POP_", "COPY", "SWAP", "RERAISE", "NOP", "RETURN_", "YIELD_", "MAKE_CELL", "CACHE")

def is_safe(frame):
    return dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith(SAFE)

def run_interrupted(action, handler, place, everywhere=True):
    # Calls the handler before the bytecode of that number; returns whether there was one.
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        if frame.f_code.co_filename not in FILES:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and (everywhere or not is_safe(frame)):
            count += 1
            if count == place:
                handler()
        return trace
    sys._getframe().f_trace_opcodes = True  # 3.12 looks for one such frame in settrace
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return count >= place

def check_nothing_runs():
    assert SHARED.subscribers == 0
    health = _sampler.health()
    assert not health["running"] and health["object_hook"] == health["mem_hook"] == "off", health

def check_profiling_works():
    with AllocationProfiler(1) as profiler:
        kept = [bytes(1000) for _ in range(100)]
        found = profiler.profile()
    assert 100_000 < found.total.live_bytes < 300_000, found.total.live_bytes
    assert found.total.live_count < 1500, found.total.live_count
    check_nothing_runs()

def at_every_place(action, handler, step=1, everywhere=True):
    place = 1
    while run_interrupted(action, lambda: handler(place), place, everywhere):
        after(place)
        place += step
    assert place > 100, place
    check_profiling_works()
"""


def test_another_profiler_may_be_used_by_a_handler_at_any_place() -> None:
    run_plain(
        PRELUDE
        + """
def action():
    profiler = AllocationProfiler(2000, max_samples=256)
    profiler.start_sampling()
    profiler.profile()
    profiler.reset()
    kept = [bytes(1000) for _ in range(10)]
    found = profiler.stop_sampling()
    assert found.facts.interval_bytes in (1000, 2000, 4000)

def handler(place):
    with AllocationProfiler(1000, max_samples=256) as other:
        other.reset()

def after(place):
    check_nothing_runs()

at_every_place(action, handler, step=2)
""",
        timeout=LIMIT_SECONDS,
    )


def test_a_handler_may_start_or_stop_another_profiler_at_any_place() -> None:
    run_plain(
        PRELUDE
        + """
other = AllocationProfiler(1000, max_samples=256)

def action():
    with AllocationProfiler(2000, max_samples=256) as profiler:
        profiler.reset()

def handler(place):
    if other.is_running:
        other.stop_sampling()
    else:
        other.start_sampling()

def after(place):
    running = other.is_running
    assert SHARED.subscribers == running
    assert _sampler.health()["running"] == running
    if running:
        assert _sampler.health()["interval_bytes"] == 1000
        other.profile()
        if place % 4 < 2:
            other.stop_sampling()
    elif place % 3 == 0:
        other.start_sampling()

def at_the_end():
    if other.is_running:
        other.stop_sampling()

place = 1
while run_interrupted(action, lambda: handler(place), place):
    after(place)
    place += 3  # odd and even places
assert place > 100
at_the_end()
check_profiling_works()
""",
        timeout=LIMIT_SECONDS,
    )


@pytest.mark.parametrize("backend", ["sampling", "tracemalloc"])
@pytest.mark.parametrize("call", ["profile", "stop_sampling", "start_sampling", "reset", "health"])
def test_a_handler_may_call_the_profiler_it_interrupts(call: str, backend: str) -> None:
    run_plain(
        PRELUDE
        + f"""
refused = done = 0

def make():
    return AllocationProfiler(2000, max_samples=256, backend={backend!r})

profiler = make()

def action():
    for step in (profiler.start_sampling, profiler.profile, profiler.reset, profiler.stop_sampling):
        try:
            step()
        except TracingError as error:
            assert "running" in str(error) or "was stopped" in str(error), error

def handler(place):
    global refused, done
    try:
        profiler.{call}()
        done += 1
    except TracingError:
        refused += 1

def after(place):
    global profiler
    if profiler.is_running:
        profiler.stop_sampling()
    profiler = make()
    check_nothing_runs()

at_every_place(action, handler, step={5 if backend == "sampling" else 29})
assert done, (done, refused)
""",
        timeout=LIMIT_SECONDS,
    )


@pytest.mark.parametrize("error", ["MemoryError", "KeyboardInterrupt"])
def test_an_error_at_any_place_leaves_profilers_usable(error: str) -> None:
    """A failed allocation in a start once left the sampler running for ever, without a subscriber."""
    run_plain(
        PRELUDE
        + f"""
raised = 0

def action():
    global profiler, raised
    profiler = None
    try:
        profiler = AllocationProfiler(2000, max_samples=256)
        profiler.start_sampling()
        profiler.stop_sampling()
    except ({error}, TracingError):
        raised += 1

def handler(place):
    raise {error}

def after(place):
    global profiler
    if profiler is not None and profiler.is_running:
        profiler.stop_sampling()
    profiler = None
    if place % 10 == 0:
        check_profiling_works()
    else:
        with AllocationProfiler(2000, max_samples=256) as other:
            assert SHARED.subscribers == 1
    check_nothing_runs()

at_every_place(action, handler, everywhere=False)
assert raised > 100
""",
        timeout=LIMIT_SECONDS,
    )


def test_an_error_at_any_place_leaves_no_thread_out() -> None:
    """A KeyboardInterrupt between two steps of a snapshot once left its thread out for ever."""
    run_plain(
        PRELUDE
        + """
from memlens._core import sampler_api
from memlens._core.sampler_api import OwnWork
FILES = (sampler_api.__file__,)

def action():
    try:
        with OwnWork():
            assert not _sampler.suppress(True)  # it is left out already
    except KeyboardInterrupt:
        pass

def handler():
    raise KeyboardInterrupt

place = 1
while run_interrupted(action, handler, place, everywhere=False):
    assert _sampler.suppress(True), place  # it counts again
    _sampler.suppress(False)
    place += 1
assert place > 10, place
""",
        timeout=LIMIT_SECONDS,
    )


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_a_failing_start_of_the_sampler_adds_no_subscriber() -> None:
    run_plain(
        PRELUDE
        + """
import resource
def limited(extra_bytes):
    # Address space, so that the sampler's tables find no room.
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + extra_bytes, resource.RLIM_INFINITY))
failures = 0
for extra_bytes in range(1 << 20, 40 << 20, 256 << 10):
    profiler = AllocationProfiler(1000)
    limited(extra_bytes)
    try:
        profiler.start_sampling()
    except TracingError as error:
        failures += 1
        assert "cannot start" in str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if profiler.is_running:
        profiler.stop_sampling()
    check_nothing_runs()
assert 10 < failures < 140, failures
check_profiling_works()
""",
        timeout=LIMIT_SECONDS,
    )


def test_signals_in_a_storm() -> None:
    run_plain(
        PRELUDE
        + """
handled = 0
def handle(number, frame):
    global handled
    handled += 1
    try:
        profiler.profile()
    except TracingError:
        pass
    with AllocationProfiler(500, max_samples=256):
        pass
ended = threading.Event()
def send():
    while not ended.is_set():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        taken.wait(0.001)
taken = threading.Event()
sys.setswitchinterval(1e-5)
profiler = AllocationProfiler(1000, max_samples=256)
signal.signal(signal.SIGUSR1, handle)
sender = threading.Thread(target=send)
sender.start()
while handled < 200:
    profiler.start_sampling()
    profiler.profile()
    profiler.reset()
    profiler.stop_sampling()
ended.set()
sender.join()
check_profiling_works()
""",
        timeout=LIMIT_SECONDS,
    )


def test_finalizers_that_use_profilers_run_within_one() -> None:
    run_plain(
        PRELUDE
        + """
finalized = 0
class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        global finalized
        finalized += 1
        try:
            profiler.profile()
        except TracingError:
            pass
        with AllocationProfiler(500, max_samples=256):
            pass
profiler = AllocationProfiler(1000, max_samples=256)
gc.set_threshold(5, 1, 1)
for _ in range(200):
    Cycle()
    profiler.start_sampling()
    Cycle()
    profiler.profile()
    Cycle()
    profiler.stop_sampling()
gc.set_threshold(0)
assert finalized > 100, finalized
gc.collect()
check_profiling_works()
""",
        timeout=LIMIT_SECONDS,
    )


def test_a_fork_handler_before_ours_may_use_a_profiler_whose_lock_another_thread_held() -> None:
    run_plain(
        PRELUDE
        + """
warnings.simplefilter("ignore")  # 3.12+ warns of forks in threaded programs: that is the test
profiler = AllocationProfiler(1, max_samples=1 << 15)
found = []
def use():
    found.append(profiler.profile().total)
    with AllocationProfiler(1):
        pass
os.register_at_fork(after_in_child=use)
profiler.start_sampling()
kept = [bytes(1000) for _ in range(100)]
held, end = threading.Event(), threading.Event()
def hold():
    with SHARED.guard():
        held.set()
        end.wait()
holder = threading.Thread(target=hold)
holder.start()
held.wait()
pid = os.fork()
if pid == 0:
    ok = len(found) == 1 and found[0].live_bytes > 100_000 and found[0].allocated_bytes < 50_000
    os._exit(0 if ok else 1)
assert os.waitpid(pid, 0)[1] == 0
end.set()
holder.join()
assert profiler.stop_sampling().total.allocated_bytes > 100_000
check_profiling_works()
""",
        timeout=LIMIT_SECONDS,
    )


def test_a_child_forked_amid_a_start_of_another_thread_can_use_the_profiler() -> None:
    run_plain(
        PRELUDE
        + """
warnings.simplefilter("ignore")
profiler = AllocationProfiler(1000, max_samples=256)
inside, go_on = threading.Event(), threading.Event()
def wait(place):
    inside.set()
    go_on.wait()
statuses = []
for place in range(20, 400, 20):
    inside.clear(); go_on.clear()
    def start():
        run_interrupted(profiler.start_sampling, lambda: wait(place), place)
        inside.set()
    thread = threading.Thread(target=start)
    thread.start()
    inside.wait()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if profiler.is_running:
                profiler.stop_sampling()
            with profiler:
                pass
            check_profiling_works()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0, place
    go_on.set()
    thread.join()
    profiler.stop_sampling()
check_profiling_works()
""",
        timeout=LIMIT_SECONDS,
    )
