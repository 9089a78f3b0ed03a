"""Why objects are alive: named roots, frames, unexplained references, garbage."""

from __future__ import annotations

import atexit
import ctypes
import gc
import signal
import sys
import threading
import types
import weakref

import pytest

from memlens._core.layout import NONE, NodeFlag, RootKind
from tests.core.heaps import PLANT, Heap, take

pytestmark = pytest.mark.small_process


def shows_variables(core):
    """Whether the core reads the variables of running frames: the pure one cannot in 3.11."""
    return sys.version_info >= (3, 12) or core.__name__ == "C"


class Holder:
    def __init__(self, value):
        self.value = value


@pytest.fixture(autouse=True)
def planted():
    """What a test plants is gone after it."""
    yield
    vars(PLANT).clear()


@pytest.fixture
def held_by_native_code():
    """Make objects that C code refers to and nothing else knows of; lets go of them at the end."""
    kept = []

    def hold(obj, times=1):
        for _ in range(times):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(obj))
            kept.append(obj)
        return obj

    yield hold
    for obj in kept:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(obj))


@pytest.fixture(scope="module")
def untouched(core):
    """A heap in which nothing is planted."""
    return take(core)


def test_every_module_is_a_root_with_its_name(core):
    heap = take(core)
    names = {name for kind, name, _ in heap.roots() if kind == "MODULE"}
    assert names == {name for name in sys.modules if isinstance(name, str)}
    assert ("MODULE", "gc", 0) in heap.roots(gc)


def test_roots_are_sorted_by_kind_and_are_the_edges_of_node_0(untouched):
    kinds = [*untouched.sections["root_kind"]]
    assert kinds == sorted(kinds)
    assert len(untouched.edges_of_node(0)) == len(kinds)


def test_entries_of_sys_modules_need_not_be_modules(core, monkeypatch):
    thing = [object()]
    monkeypatch.setitem(sys.modules, "planted_thing", thing)
    monkeypatch.setitem(sys.modules, "planted_none", None)
    heap = take(core)
    assert ("MODULE", "planted_thing", 0) in heap.roots(thing)
    assert ("MODULE", "planted_none", 0) in heap.roots(None)


def test_an_object_held_only_by_native_code_is_an_external_root_with_its_count(
    core, held_by_native_code
):
    PLANT.it = held_by_native_code(["once"]), held_by_native_code(["thrice"], 3)
    heap = take(core)
    assert heap.external(PLANT.it[0]) == 1
    assert heap.external(PLANT.it[1]) == 3


def closure_over(value):
    return lambda: value


def test_references_from_lists_attributes_and_cycles_are_explained(core):
    in_list, in_attribute, in_cycle, in_closure = ["l"], ["a"], ["c"], ["f"]
    in_cycle.append(in_cycle)
    holder = [in_list, Holder(in_attribute), in_cycle, closure_over(in_closure)]
    controls = types.SimpleNamespace(box=holder)
    del in_list, in_attribute, in_cycle, in_closure, holder
    heap = take(core)
    for obj in (controls.box[0], controls.box[1].value, controls.box[2], controls.box):
        assert heap.external(obj) == 0
        assert not NodeFlag.GARBAGE & heap.flags(obj)


def test_a_local_of_another_thread_is_referred_to_by_its_frame(core):
    started, done = threading.Event(), threading.Event()
    seen = []

    def worker_function(argument):
        only_local = ["only local"]
        shared = ["shared"]

        def inner():
            return shared

        seen.append(weakref.ref(inner))
        started.set()
        done.wait()
        return only_local, inner, argument

    thread = threading.Thread(target=worker_function, args=([],))
    thread.start()
    started.wait()
    try:
        heap = take(core)
        frame = sys._current_frames()[thread.ident]
        while frame.f_code.co_name != "worker_function":
            frame = frame.f_back
        node = heap.frame_root(frame.f_code.co_qualname)
        local = find_list("only local")
        shared = find_list("shared")
        inner = seen[0]()
        del frame
    finally:
        done.set()
        thread.join()
    edges = heap.edges_of_node(node)
    assert heap.has(local)
    assert not NodeFlag.GARBAGE & heap.flags(local)
    if shows_variables(core):
        assert ("LOCAL", "only_local", heap.node(local)) in edges
        assert ("LOCAL", "inner", heap.node(inner)) in edges
        assert ("LOCAL", "shared", heap.node(inner.__closure__[0])) in edges
        assert heap.external(local) == 0
    else:
        assert heap.external(local) == 1
    assert heap.external(shared) == 0
    assert heap.node(worker_function.__code__) in [target for _, _, target in edges]
    thread_ids = [thread_id for thread_id, function, *_ in heap.frames() if "worker" in function]
    assert thread_ids == [thread.ident]


def test_the_stack_of_the_caller_is_in_the_frame_table_innermost_first(core):
    def inner_function():
        return take(core)

    heap = inner_function()
    mine = [row for row in heap.frames() if row[0] == threading.get_ident()]
    assert [depth for *_, depth in mine] == [*range(len(mine))]
    functions = [function.rpartition(".")[2] for _, function, *_ in mine]
    assert functions[:3] == [
        "take",
        "inner_function",
        "test_the_stack_of_the_caller_is_in_the_frame_table_innermost_first",
    ]
    assert mine[1][2] == __file__
    assert mine[1][3] == inner_function.__code__.co_firstlineno + 1


def test_frames_of_the_capture_itself_are_left_out(untouched):
    assert not [file for _, _, file, *_ in untouched.frames() if "/memlens/_core/" in file]
    assert NONE in untouched.sections["root_frame"]


def test_frames_of_the_caller_can_be_left_out(core, untouched):
    fewer = take(core, skip_frames=2)
    names = [function.rpartition(".")[2] for _, function, *_ in fewer.frames()]
    assert "take" in [function for _, function, *_ in untouched.frames()]
    assert "take" not in names
    assert "test_frames_of_the_caller_can_be_left_out" not in names


WIDTHS = ["file", "gr\xfcn", "\N{SNOWMAN}", "\N{SNAKE}", "\udcff"]


@pytest.mark.parametrize("folder", [f"/{name}/" for name in WIDTHS])
def test_frames_are_left_out_by_the_characters_of_their_path(core, folder):
    own = [folder, *(folder + name for name in WIDTHS)]
    others = [folder[:-1], *(f"{folder[:-1]}-{name}" for name in WIDTHS), "x" + folder]

    def call_from(paths):
        """Capture under one frame for each of these paths."""
        if not paths:
            return Heap(core.capture(own_prefix=folder))
        namespace = {}
        exec(compile("def call(next, rest): return next(rest)", paths[0], "exec"), namespace)
        return namespace["call"](call_from, paths[1:])

    seen = {file for _, _, file, *_ in call_from(own + others).frames()}
    assert seen.isdisjoint(own)
    assert seen.issuperset(others)


def test_a_signal_handler_is_an_interpreter_root(core):
    def handler(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        heap = take(core)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [kind for kind, *_ in heap.roots(handler)][:1] == ["INTERPRETER"]


class Callback:
    def __call__(self, *args, **keywords):
        raise AssertionError


def test_callbacks_of_atexit_are_named_with_their_position(core):
    callback, argument = Callback(), Callback()
    atexit.register(callback, argument)
    try:
        heap = take(core)
        position = atexit._ncallbacks() - 1
    finally:
        atexit.unregister(callback)
    if sys.version_info >= (3, 14):  # a list of tuples, the newest first
        (entry,) = (node for kind, _, node in heap.referrers(id(callback)) if kind == "INDEX")
        address = heap.sections["node_address"][entry]
        ((kind, index, holder),) = heap.referrers(address)
        assert (kind, index) == ("INDEX", 0)
        assert [root[:2] for root in heap.roots_of_node(holder)] == [("INTERPRETER", "atexit")]
    elif core.__name__ == "C":
        assert [root[:2] for root in heap.roots(callback)] == [
            ("INTERPRETER", f"atexit[{position}]")
        ]
    else:  # an array in C, which Python code cannot see
        assert "INTERPRETER" not in [kind for kind, *_ in heap.roots(callback)]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="the collector does not track the table")
def test_the_table_of_interned_strings_has_a_name(core):
    tables = [found for found in gc.get_objects() if type(found) is dict and "Callback" in found]
    (table,) = [found for found in tables if all(key is value for key, value in found.items())]
    assert [root[:2] for root in take(core).roots(table)] == [("INTERPRETER", "interned strings")]


def test_a_callback_that_native_code_holds_too_is_still_external(core, held_by_native_code):
    callback = held_by_native_code(Callback())
    PLANT.kept = callback
    atexit.register(callback)
    try:
        kinds = [kind for kind, *_ in take(core).roots(callback)]
    finally:
        atexit.unregister(callback)
    assert "EXTERNAL" in kinds


def test_the_exception_being_handled_is_an_interpreter_root(core):
    try:
        raise ValueError("handled")
    except ValueError as error:
        heap = take(core)
        assert "INTERPRETER" in [kind for kind, *_ in heap.roots(error)]


def test_static_types_interned_strings_and_singletons_have_their_own_root_kinds(core):
    name = sys.intern("planted_interned_name")
    heap = take(core)
    assert heap.roots(dict) == [("STATIC_TYPE", "", 0)]
    assert not heap.roots(Holder)
    # In 3.11 None is only frozen into the interpreter, and the cores may report it as either.
    assert {kind for kind, *_ in heap.roots(None)} <= {"IMMORTAL", "EXTERNAL"}
    assert {kind for kind, *_ in heap.roots(name)} <= {"INTERNED"}


def test_a_string_held_by_native_code_is_not_reported_as_interned(core, held_by_native_code):
    PLANT.it = held_by_native_code("".join(["not ", "interned"]))
    assert take(core).external(PLANT.it) == 1


def test_frozen_objects_are_found(core):
    holder = types.SimpleNamespace(value=["frozen"])
    PLANT.it = holder
    loose = ["loose"]
    gc.collect()
    gc.freeze()
    try:
        heap = take(core)
    finally:
        gc.unfreeze()
    assert heap.has(holder)
    assert heap.has(holder.value)
    assert heap.has(loose) is shows_variables(core)
    assert heap.external(holder.value) == 0


def test_unreachable_objects_are_garbage(core):
    gc.disable()
    try:
        first, second = Holder(None), Holder(None)
        first.value, second.value = second, first
        content = ["content"]
        second.extra = content
        alive = Holder(["alive"])
        addresses = id(first), id(second), id(content)
        del first, second, content
        heap = take(core)
    finally:
        gc.enable()
    for address in addresses:
        flags = heap.flags_of_node(heap.node_of[address])
        assert NodeFlag.GARBAGE in flags
    assert NodeFlag.GARBAGE not in heap.flags(alive)
    assert NodeFlag.GARBAGE not in heap.flags(alive.value)
    gc.collect()


def test_objects_reachable_from_native_code_are_not_garbage(core, held_by_native_code):
    chain = held_by_native_code(Holder(Holder(["end"])))
    reference = weakref.ref(chain)
    del chain
    heap = take(core)
    assert NodeFlag.GARBAGE not in heap.flags(reference().value.value)


def test_objects_with_only_weak_references_are_garbage(core):
    gc.disable()
    try:
        lonely = Holder(None)
        lonely.value = lonely
        reference = weakref.ref(lonely)
        del lonely
        heap = take(core)
        assert NodeFlag.GARBAGE in heap.flags(reference())
    finally:
        gc.enable()
        gc.collect()


def test_few_tracked_objects_are_external_roots(untouched):
    heap = untouched
    tracked = [
        target
        for kind, target in zip(heap.sections["root_kind"], heap.sections["edge_target"])
        if kind == RootKind.EXTERNAL and heap.sections["node_flags"][target] & NodeFlag.TRACKED
    ]
    assert len(tracked) < 3000


def find_list(text):
    """A list in another thread's frame, found by its contents."""
    return next(one for one in gc.get_objects() if type(one) is list and one == [text])
