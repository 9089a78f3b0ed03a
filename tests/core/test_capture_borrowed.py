"""References of frames that no reference count includes: from 3.14 on, what a frame borrows.

Each edge is subtracted from the reference count of its target. If a borrowed edge were too, a reference
of native code would be taken for explained; if none were, what a frame holds would seem to be held by
native code. Before 3.14 every reference of a frame is counted, and the same holds.
"""

from __future__ import annotations

import ctypes
import sys

import pytest

from tests.core.conftest import IMPLEMENTATIONS
from tests.core.heaps import PLANT, take

pytestmark = pytest.mark.small_process
needs_c = pytest.mark.skipif("C" not in IMPLEMENTATIONS, reason="the C core is not built")

# The pure core cannot read the variables of a running frame in 3.11.
CORES = [name for name in IMPLEMENTATIONS if name == "C" or sys.version_info >= (3, 12)]


class Item:
    """What is passed on."""


@pytest.fixture
def native():
    """Make a reference that no Python object has; it is given back at the end."""
    kept = []

    def hold(obj):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(obj))
        kept.append(obj)
        return obj

    yield hold
    for obj in kept:
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(obj))


def passed_down(core, item, depth):
    """The heap, taken below frames that each have the object as an argument: borrowed from 3.14 on."""
    return passed_down(core, item, depth - 1) if depth else take(core)


def suspended(item):
    """A generator with an argument, at a yield between uses of it."""
    yield item
    yield item


async def awaiting(item, nothing):
    await nothing
    return item


class Nothing:
    def __await__(self):
        yield


@pytest.mark.parametrize("name", CORES)
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_what_frames_pass_down_is_not_held_by_native_code(name, depth):
    item = Item()
    heap = passed_down(IMPLEMENTATIONS[name], item, depth)
    assert heap.external(item) == 0


@needs_c
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_reference_of_native_code_is_found_under_frames_that_borrow(native, depth):
    item = native(Item())
    PLANT.kept = native(Item())
    heap = passed_down(IMPLEMENTATIONS["C"], item, depth)
    assert heap.external(item) == 1
    assert heap.external(PLANT.kept) == 1


@needs_c
def test_a_temporary_on_the_stack_of_a_call_is_no_reference_of_native_code(native):
    def identity(heap, first, second):
        return heap, first, second

    item, other = native(Item()), Item()
    heap, *_ = identity(take(IMPLEMENTATIONS["C"]), item, other)
    assert heap.external(item) == 1
    assert heap.external(other) == 0


@needs_c
@pytest.mark.parametrize("make", [suspended, lambda item: awaiting(item, Nothing())])
def test_what_suspended_code_holds_is_explained(native, make):
    held, free = native(Item()), Item()
    code = [make(held), make(free)]
    for one in code:
        one.send(None)
    heap = take(IMPLEMENTATIONS["C"])
    assert heap.external(held) == 1
    assert heap.external(free) == 0
    for one in code:
        one.close()


@needs_c
@pytest.mark.parametrize("depth", [0, 3])
def test_what_only_a_frame_holds_is_reached(depth):
    addresses = []

    def inner(item, depth):
        addresses.append(id(item))
        return inner(item, depth - 1) if depth else take(IMPLEMENTATIONS["C"])

    heap = inner(Item(), depth)  # no variable of this function has it
    (address, *_) = addresses
    assert address in heap.node_of
    assert heap.type_name_of_node(heap.node_of[address]).endswith("Item")
    assert not [row for row in heap.roots_of_node(heap.node_of[address]) if row[0] == "EXTERNAL"]
