"""Calls every function of the C core again and again, and prints what each left: see test_own_leaks.

The arguments are those of a session that uses what memlens has: recorders stand in for the functions
of ``_graph`` when memlens is imported, and keep the smallest arguments with which each was called.
"""

from __future__ import annotations

import ctypes
import gc
import glob
import json
import os
import struct
import sys
import sysconfig
import tempfile
import time
from array import array
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

SECONDS = float(sys.argv[1])  # for each function with each kind of arguments
MIN_CALLS, MAX_CALLS = 8, 2000
WRONG = (None, "text", -1, 1 << 62, b"", b"\xff" * 7, array("d", [1.5]), memoryview(b"x" * 8)[::3])
Call = tuple[tuple[Any, ...], dict[str, Any]]
Recorded = dict[str, Call]


def main() -> None:
    """Print one object in JSON: by function and measure, what a call has left; None: never called."""
    graph = extension("_graph")
    recorded = record_session(graph)
    left: dict[str, Any] = dict.fromkeys(functions_of(graph) - recorded.keys())
    for name, (arguments, keywords) in sorted(recorded.items()):
        function = getattr(graph, name)
        left[name] = what_is_left(lambda f=function, a=arguments, k=keywords: f(*a, **k))
        left[f"{name}, wrong"] = what_is_left(
            lambda f=function, a=arguments, k=keywords: call_wrongly(f, a, k)
        )
    for name, action in {**of_capture(), **of_sampler(), **of_pauses()}.items():
        left[name] = what_is_left(action)
    print(json.dumps(left))


def extension(name: str) -> ModuleType:
    """Load an extension of the core before the package that uses it."""
    (path,) = glob.glob(f"{ROOT}/memlens/_core/{name}{sysconfig.get_config_var('EXT_SUFFIX')}")
    spec = spec_from_file_location(f"memlens._core.{name}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[spec.name] = module
    return module


def functions_of(module: Any) -> set[str]:
    return {name for name in dir(module) if not name.startswith("_")}


def what_is_left(action: Callable[[], object]) -> dict[str, float]:
    """Return what a call leaves in blocks, objects, bytes of malloc and files: the less of two turns.

    What an allocator or the interpreter keeps once, for its own reasons, is in one of them only.
    """
    for _ in range(3):
        action()
    one, other = left_by_calls(action), left_by_calls(action)
    return {name: min(one[name], other[name]) for name in one}


def left_by_calls(action: Callable[[], object]) -> dict[str, float]:
    gc.collect()
    before = measures()
    before, calls, end = measures(), 0, time.perf_counter() + SECONDS / 2
    while calls < MIN_CALLS or (calls < MAX_CALLS and time.perf_counter() < end):
        action()
        calls += 1
    gc.collect()
    return {name: (after - before[name]) / calls for name, after in measures().items()}


def measures() -> dict[str, int]:
    none = sys.getrefcount(None) if sys.version_info < (3, 12) else 0  # later it has no count
    return {
        "blocks": sys.getallocatedblocks(),
        "objects": len(gc.get_objects()),
        "references to None": none,
        "bytes of malloc": malloc_bytes(),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


class MallocInfo(ctypes.Structure):
    """``struct mallinfo2`` of glibc."""

    _fields_ = [(f"field_{number}", ctypes.c_size_t) for number in range(10)]


def find_mallinfo() -> Any:
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is not None:
        function.restype = MallocInfo
    return function


MALLINFO = find_mallinfo()  # once: ctypes makes classes for it


def malloc_bytes() -> int:
    """Return the bytes in use of malloc, mapped blocks included; 0 where that is not known."""
    if MALLINFO is None:
        return 0
    info = MALLINFO()
    return int(info.field_4 + info.field_7)  # hblkhd, uordblks


# -- the functions over graphs ---------------------------------------------------------------------


def record_session(graph: ModuleType) -> Recorded:
    """Use memlens, and return the smallest arguments of each function."""
    recorded: Recorded = {}
    originals = {name: getattr(graph, name) for name in functions_of(graph)}

    def recorder(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            known = recorded.get(name)
            if known is None or 0 < size_of(arguments) < size_of(known[0]):
                recorded[name] = (tuple(map(copied, arguments)), keywords)
            return originals[name](*arguments, **keywords)

        return call

    for name in originals:
        setattr(graph, name, recorder(name))
    from tests.core.session import use_everything

    use_everything()
    for name, function in originals.items():
        setattr(graph, name, function)
    return recorded


def size_of(arguments: tuple[Any, ...]) -> int:
    return sum(memoryview(one).nbytes for one in arguments if is_buffer(one))


def is_buffer(value: Any) -> bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def copied(value: Any) -> Any:
    """A copy of a buffer, which may be of a file that is closed later."""
    if not is_buffer(value):
        return value
    view = memoryview(value)
    kept = bytearray(view) if isinstance(value, bytearray) else bytes(view)
    return memoryview(kept).cast(view.format) if view.format != "B" else kept


def call_wrongly(function: Callable[..., Any], arguments: Any, keywords: Any) -> None:
    """Call a function with each argument wrong in each way, with too few and with too many."""
    for at in range(len(arguments)):
        for wrong in (*WRONG, arguments[at - 1]):
            given = [*arguments]
            given[at] = wrong
            quietly(function, *given, **keywords)
    quietly(function, *arguments[:-1], **keywords)
    quietly(function, *arguments, *arguments, **keywords)
    quietly(function, *arguments, unknown=1)


def quietly(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
    try:
        function(*arguments, **keywords)
    except Exception:  # noqa: BLE001 - any: what it leaves is what counts
        pass


# -- the other extensions --------------------------------------------------------------------------


def of_capture() -> dict[str, Callable[[], object]]:
    from memlens._core import _capture
    from memlens.heap.capture.child_process import WAIT_FOR_ANY_KIND

    def fork() -> None:
        with tempfile.TemporaryFile() as file:
            ends = [*os.pipe(), *os.pipe()]
            pid = _capture.fork_capture(file.fileno(), ends[1], ends[2])
            os.write(ends[3], struct.pack("=I", 2) + b"{}")
            for end in ends:
                os.close(end)
            os.waitpid(pid, WAIT_FOR_ANY_KIND)

    def wait() -> None:
        reading, writing = os.pipe()
        _capture.wait_with_gil(reading, 0)
        os.close(reading)
        os.close(writing)

    assert functions_of(_capture) == {"capture", "fork_capture", "wait_with_gil"}
    return {
        "capture": lambda: _capture.capture(values=True, own_prefix="/nowhere/"),
        "capture, wrong": lambda: (
            quietly(_capture.capture, 1),
            quietly(_capture.capture, own_prefix=1),
            quietly(_capture.capture, skip_frames="x"),
            quietly(_capture.capture, skip_frames=1 << 70),
            quietly(_capture.capture, unknown=1),
        ),
        "fork_capture": fork,
        "fork_capture, wrong": lambda: (
            call_wrongly(_capture.fork_capture, ("x", "y", "z"), {}),
            quietly(_capture.fork_capture, 0, 1, 2, more=((1, 2), "x")),
            quietly(_capture.fork_capture, 0, 1, 2, more=(("a", "B", None),)),
        ),
        "wait_with_gil": wait,
        "wait_with_gil, wrong": lambda: call_wrongly(_capture.wait_with_gil, ("x", "y"), {}),
    }


def of_sampler() -> dict[str, Callable[[], object]]:
    from memlens._core import _sampler

    def run() -> None:
        _sampler.start(64, 1 << 10, 1)
        kept = [bytearray(100) for _ in range(50)]
        was = _sampler.suppress(True)
        _sampler.suppress(was)
        _sampler.set_interval(128)
        for name in asked:
            getattr(_sampler, name)()
        _sampler.site_tables(0)
        _sampler.sample_tables(0)
        quietly(_sampler.start, 64, 1 << 10, 1)
        del kept
        _sampler.stop()

    asked = ("now_ns", "forget_sums", "threads", "pymalloc_statistics", "health")
    taking = {"set_interval": 1, "suppress": 1, "site_tables": 1, "sample_tables": 1, "start": 3}
    assert functions_of(_sampler) == {*asked, *taking, "stop"}
    return {
        "the sampler": run,
        "the sampler, stopped": lambda: [quietly(getattr(_sampler, name)) for name in asked],
    } | {
        f"{name}, wrong": lambda name=name, n=count: call_wrongly(
            getattr(_sampler, name), ("x",) * n, {}
        )
        for name, count in taking.items()
    }


def of_pauses() -> dict[str, Callable[[], object]]:
    from memlens._core._gc_pauses import PauseCounter

    def run() -> None:
        counter = PauseCounter()
        gc.callbacks.append(counter.callback)
        gc.collect(0)
        gc.callbacks.remove(counter.callback)
        for name in ("count", "total_seconds", "longest_seconds"):
            getattr(counter, name)
        counter.take_clean_blocks()
        counter.clear()

    known = {"count", "total_seconds", "longest_seconds", "callback", "clear", "take_clean_blocks"}
    assert functions_of(PauseCounter) == known
    return {
        "PauseCounter": run,
        "PauseCounter, wrong": lambda: (
            quietly(PauseCounter, 1),
            call_wrongly(PauseCounter().callback, ("x", {}), {}),
            quietly(PauseCounter().clear, 1),
        ),
    }


if __name__ == "__main__":
    main()
