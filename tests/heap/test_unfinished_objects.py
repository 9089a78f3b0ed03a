"""The pure core and objects that C code is still filling, or that the collector has cleared."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap


def run(script):
    """Run a script on the pure core in a process of its own; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "MEMLENS_PURE": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def test_capture_in_a_collection_while_c_code_fills_a_list():
    # ast.parse fills lists while it creates tracked objects, so collections run in between.
    script = """
    import ast, gc
    from memlens._core import pure

    source = "def f(a, b, c=1):\\n    return [a, b, c, (a, b), {a: b}, f(a, b, c=c)]\\n" * 30
    tree, state = ast.parse(source), {"captures": 0, "inside": False}

    def collecting(phase, info):
        if phase == "stop" and state["captures"] < 25 and not state["inside"]:
            state["inside"] = True
            state["captures"] += 1
            pure.capture()
            state["inside"] = False

    gc.collect()
    gc.freeze()
    gc.callbacks.append(collecting)
    gc.set_threshold(80)
    compile(tree, "<test>", "exec")
    while state["captures"] < 25:
        ast.parse(source)
    gc.callbacks.clear()
    print(state["captures"])
    """
    assert run(script) == ["25"]


UNFILLED = """
import ctypes, gc
from memlens._core import pure

new_list = ctypes.pythonapi.PyList_New
new_list.restype, new_list.argtypes = ctypes.py_object, [ctypes.c_ssize_t]
held = {"partly": new_list(5)}  # five empty slots
marker = [None]
set_item = ctypes.pythonapi.PyList_SetItem  # steals a reference
set_item.argtypes = [ctypes.py_object, ctypes.c_ssize_t, ctypes.py_object]
ctypes.pythonapi.Py_IncRef(ctypes.py_object(marker))
set_item(held["partly"], 3, marker)
sections = pure.capture()
node = sections["node_address"].tolist().index(id(held["partly"]))
start, end = sections["edge_offset"][node : node + 2]
targets = [sections["node_address"][target] for target in sections["edge_target"][start:end]]
print(targets == [id(marker)])
row = sections["container_node"].tolist().index(node)
print(sections["container_length"][row])
"""


def test_list_with_empty_slots_is_captured_without_them():
    assert run(UNFILLED) == ["True", "5"]


def test_lru_cache_that_the_collector_has_cleared():
    # Clearing the cache frees a value whose finalizer captures the heap.
    script = """
    import functools, gc
    from memlens._core import pure

    captured = []

    class Value:
        __slots__ = ()  # so that the collector does not finalize it before it clears the cache

        def __del__(self):
            captured.append(len(pure.capture()["node_address"]))

    for maxsize in (None, 4):
        @functools.lru_cache(maxsize=maxsize)
        def compute(key):
            return Value()

        compute(1)
        compute.itself = compute  # a cycle, which only the collector can clear
        del compute
        gc.collect()
    print(len(captured) >= 2)
    """
    assert run(script) == ["True"]


def test_lru_cache_without_its_dict():
    # As the collector leaves it for a moment: the dict is gone, the other fields are not.
    script = """
    import ctypes, functools
    from memlens._core import pure

    for maxsize in (None, 4):
        @functools.lru_cache(maxsize=maxsize)
        def compute(key):
            return {key: key}

        compute(1)
        compute.note = {}
        offset = 72  # a list element of 7 words, a function, an int
        field = ctypes.c_void_p.from_address(id(compute) + offset)
        address = field.value
        assert type(ctypes.cast(address, ctypes.py_object).value) is dict
        field.value = None
        try:
            sections = pure.capture()
        finally:
            field.value = address
        node = sections["node_address"].tolist().index(id(compute))
        row = sections["container_node"].tolist().index(node)
        print(sections["container_length"][row], compute.cache_info().currsize)
    """
    assert run(script) == ["0", "1"] * 2


CLEARED = """
import ctypes, functools, gc
from memlens._core import pure

class Type(ctypes.Structure):  # the beginning of PyTypeObject, up to tp_clear
    _fields_ = [
        ("words_before_clear", ctypes.c_void_p * 24),
        ("clear", ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object)),
    ]

def clear(obj):
    Type.from_address(id(type(obj))).clear(obj)

def work(a, b=1):
    "Work."
    return a + b

@functools.lru_cache(maxsize=4)
def bounded(key):
    return {}

@functools.lru_cache(maxsize=None)
def unbounded(key):
    return {}

held = [work, bounded, unbounded, [1], {2: 3}, {4}, functools.partial(print, 5), KeyError(6)]
bounded(1), unbounded(2)
for obj in held:
    clear(obj)
sections = pure.capture(values=True)
nodes = sections["node_address"].tolist()
print(all(id(obj) in nodes for obj in held))
import os
sys_exit = os._exit
import sys; sys.stdout.flush()
sys_exit(0)  # nobody may use these objects any more
"""


def test_objects_after_tp_clear_are_captured():
    assert run(CLEARED) == ["True"]
