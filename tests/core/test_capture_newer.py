"""What 3.14 and 3.15 added: fields and types, compared with what the collector is shown."""

from __future__ import annotations

import builtins
import gc
import sys
import threading
import types
from collections import Counter

import pytest

from tests.core.heaps import take

pytestmark = pytest.mark.small_process
needs_frozendict = pytest.mark.skipif(
    not hasattr(builtins, "frozendict"), reason="frozendict is new in 3.15"
)

needs_lazy_imports = pytest.mark.skipif(
    not hasattr(sys, "lazy_modules"), reason="lazy imports are new in 3.15"
)


@pytest.fixture(autouse=True)
def without_cycles():
    """Free the heap of a test, which its frame holds in a cycle: the next capture would contain it."""
    yield
    gc.collect()


class Item:
    pass


def annotated(first: Item, second: Item | None = None) -> Item:
    return first


def frame_with_overwritten_variable():
    held = [1]

    def inner():
        return held, sys._getframe()

    _, frame = inner()
    frame.f_locals["held"] = [2]
    return frame


def emptied_at_the_front():
    data = bytearray(range(200))
    del data[:50]
    return data


def ended_thread():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    return thread


def module():
    made = types.ModuleType("made")
    made.item = Item()
    return made


def make_objects():
    objects = {
        "function": annotated,
        "frame": frame_with_overwritten_variable(),
        "bytearray": bytearray(5000),
        "empty bytearray": bytearray(),
        "emptied bytearray": emptied_at_the_front(),
        "thread": ended_thread(),
        "module": module(),
        "union": int | Item,
    }
    if sys.version_info >= (3, 14):
        objects["template"] = eval('t"a{Item}b{annotated}"')
        objects["interpolation"] = objects["template"].interpolations[0]
    if hasattr(builtins, "frozendict"):
        objects["frozendict"] = builtins.frozendict({"a": [1], (1, 2): Item()})
        objects["frozendict of strings"] = builtins.frozendict(a=[1], b=Item())
        objects["empty frozendict"] = builtins.frozendict()
    return objects


def test_edges_are_what_the_collector_is_shown_and_more(core):
    objects = make_objects()
    heap = take(core)
    for name, obj in objects.items():
        edges = heap.edges_of_node(heap.node(obj))
        found = Counter(heap.sections["node_address"][target] for _, _, target in edges)
        assert not Counter(map(id, gc.get_referents(obj))) - found, name


@pytest.mark.parametrize("kind", ["bytearray", "frozendict"])
def test_sizes_are_those_of_getsizeof(core, kind):
    objects = {name: obj for name, obj in make_objects().items() if kind in name}
    heap = take(core)
    assert {name: heap.size(obj) for name, obj in objects.items()} == {
        name: sys.getsizeof(obj) for name, obj in objects.items()
    }


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are made at once")
def test_what_makes_the_annotations_of_a_function_is_an_edge(core):
    made = annotated.__annotate__
    heap = take(core)
    edges = heap.edges_of_node(heap.node(annotated))
    (name,) = [name for _, name, target in edges if target == heap.node(made)]
    assert name == ("__annotate__" if core.__name__ == "C" else "")


@needs_frozendict
def test_a_frozendict_is_read_like_a_dict(core):
    frozen = builtins.frozendict({"a": [1], (1, 2): Item()})
    plain = dict(frozen)
    heap = take(core)
    assert heap.edges(frozen) == heap.edges(plain)
    assert heap.sparse(frozen, "container", "length") == (2,)
    assert heap.external(frozen) == heap.external(frozen["a"]) == 0


@needs_frozendict
def test_instances_of_a_class_of_frozendicts_have_attributes_too(core):
    cls = type("Frozen", (builtins.frozendict,), {})
    frozen = cls(a=[1])
    frozen.note = [2]
    vars(frozen)
    heap = take(core)
    edges = heap.edges_of_node(heap.node(frozen))
    assert ("KEY", "<str>", heap.node(frozen["a"])) in edges
    assert heap.sparse(frozen, "container", "length") == (1,)
    assert heap.external(frozen.note) == 0


def test_a_module_has_no_reference_that_its_edges_do_not_show(core):
    """Its token, a field of 3.15, is a definition of C and not a reference."""
    import _json
    import math

    heap = take(core)
    for one in (_json, math):
        found = Counter(
            heap.sections["node_address"][target]
            for _, _, target in heap.edges_of_node(heap.node(one))
        )
        shown = Counter(map(id, gc.get_referents(one)))
        assert not shown - found
        assert set(found - shown) <= {id(type(one)), id(one.__name__)}


@needs_lazy_imports
def test_what_a_lazy_import_refers_to_is_an_edge(core):
    namespace = {"__name__": "lazily", "__builtins__": builtins}
    exec("lazy import xml.dom.pulldom as pulldom", namespace)
    (lazy,) = [one for one in gc.get_referents(namespace) if type(one).__name__ == "lazy_import"]
    heap = take(core)
    edges = heap.edges_of_node(heap.node(lazy))
    found = Counter(heap.sections["node_address"][target] for _, _, target in edges)
    assert not Counter(map(id, gc.get_referents(lazy))) - found
    assert "xml.dom.pulldom" not in sys.modules


@needs_lazy_imports
def test_the_set_of_lazy_modules_is_held_by_the_interpreter(core):
    heap = take(core)
    assert ("INTERPRETER", "sys.lazy_modules") in [row[:2] for row in heap.roots(sys.lazy_modules)]
