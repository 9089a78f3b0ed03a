"""What the C core sees of live objects, beyond what both cores are tested for."""

from __future__ import annotations

import array
import asyncio
import collections
import ctypes
import functools
import gc
import io
import socket
import sys
import threading
import types
import weakref

import pytest

from memlens._core.layout import OPTIONAL_SECTIONS, SECTIONS, NodeFlag

from .conftest import IMPLEMENTATIONS
from .heaps import Heap

if "C" not in IMPLEMENTATIONS:
    pytest.skip("the C core is not built", allow_module_level=True)
core = IMPLEMENTATIONS["C"]

pytestmark = pytest.mark.small_process

ATTRIBUTE, CELL, INDEX, INTERNAL = "ATTRIBUTE", "CELL", "INDEX", "INTERNAL"
ITEM, KEY, LOCAL, WEAK = "ITEM", "KEY", "LOCAL", "WEAK"


class Plain:
    def __init__(self, first, second=None):
        self.first = first
        self.second = second


class Slotted:
    __slots__ = ("_Slotted__private", "left")


class SlottedBelow(Slotted):
    __slots__ = ("right",)


class ListWithMore(list):
    pass


def take(**options):
    return Heap(core.capture(**options))


def test_it_has_all_functions_of_the_pure_core():
    assert {*IMPLEMENTATIONS["pure"].__all__} <= {*dir(core)}


def names_of(heap, obj):
    """{address: (kind, name)} of an object's edges."""
    return {target: (kind, name) for kind, name, target in heap.edges(obj)}


def test_all_sections_are_there_with_their_types():
    sections = core.capture()
    assert {name: view.format for name, view in sections.items()} == SECTIONS | OPTIONAL_SECTIONS
    assert all(view.readonly for view in sections.values())


def test_attributes_are_named_and_no_dict_is_materialised():
    one, other = [1], [2]
    plain = Plain(one, other)
    heap = take()
    assert names_of(heap, plain) == {
        id(Plain): (INTERNAL, "__class__"),
        id(one): (ATTRIBUTE, "first"),
        id(other): (ATTRIBUTE, "second"),
    }
    assert not any(type(held) is dict for held in gc.get_referents(plain))


def test_a_materialised_dict_is_a_namespace():
    one = [1]
    plain = Plain(one)
    namespace = plain.__dict__
    heap = take()
    assert names_of(heap, plain)[id(namespace)] == (INTERNAL, "__dict__")
    assert heap.flags(namespace) & NodeFlag.NAMESPACE
    named = {(kind, name) for kind, name, _ in heap.referrers(id(one))}
    assert (ATTRIBUTE, "first") in named


def test_slots_of_all_bases_are_named():
    slotted = SlottedBelow()
    slotted.left, slotted.right = [1], [2]
    assert names_of(take(), slotted) == {
        id(SlottedBelow): (INTERNAL, "__class__"),
        id(slotted.left): (ATTRIBUTE, "left"),
        id(slotted.right): (ATTRIBUTE, "right"),
    }


def test_elements_of_containers_are_labelled():
    element, key = Plain(1), ("key", 1)
    kept = {
        "list": [0, element],
        "tuple": (0, element),
        "set": {element},
        "dict": {key: element},
        "deque": collections.deque([0, element], maxlen=5),
        "subclass": ListWithMore([0, element]),
        "defaultdict": collections.defaultdict(list, {key: element}),
        "ordered": collections.OrderedDict({key: element}),
    }
    heap = take()
    seen = {name: names_of(heap, container)[id(element)] for name, container in kept.items()}
    assert seen == {
        **dict.fromkeys(("list", "tuple", "deque", "subclass"), (INDEX, 1)),
        **dict.fromkeys(("dict", "defaultdict", "ordered"), (KEY, "<tuple>")),
        "set": (ITEM, ""),
    }
    assert names_of(heap, kept["dict"])[id(key)] == (ITEM, "")
    assert [kind for kind, _, at in heap.edges(kept["ordered"]) if at == id(key)] == [ITEM, ITEM]
    assert names_of(heap, kept["defaultdict"])[id(list)] == (INTERNAL, "default_factory")


def test_lengths_and_bounds_are_recorded():
    bounded = collections.deque([1, 2, 3], maxlen=7)

    @functools.lru_cache(maxsize=9)
    def cached(value):
        return [value]

    cached(1), cached(2)
    kept = [bounded, cached, [1, 2], {1: 2}, {3}]
    heap = take()
    columns = [heap.sections[f"container_{part}"] for part in ("node", "length", "bound")]
    noted = {node: (length, bound) for node, length, bound in zip(*columns, strict=True)}
    assert list(columns[0]) == sorted(columns[0])
    none = (1 << 64) - 1
    assert [noted[heap.node(one)] for one in kept] == [
        (3, 7),
        (2, 9),
        (2, none),
        (1, none),
        (1, none),
    ]


def test_a_cache_shows_its_links_keys_and_results():
    @functools.lru_cache(maxsize=None)
    def unbounded(value):
        return [value]

    @functools.lru_cache(maxsize=4)
    def bounded(value):
        return [value]

    results = [unbounded(5), bounded(6)]
    heap = take()
    assert names_of(heap, bounded)[id(bounded.__wrapped__)][1] in ("__wrapped__",)
    kinds = [{(kind, name) for kind, name, _ in heap.referrers(id(one))} for one in results]
    assert (KEY, "<int>") in kinds[0]
    assert (KEY, "<int>") in kinds[1]
    links = [target for _, name, target in heap.edges(bounded) if name == "link"]
    assert [heap.type_name_of_node(heap.node_of[link]) for link in links] == [
        "functools._lru_list_elem"
    ]
    assert heap.roots_of_node(heap.node_of[links[0]]) == []  # its list and its dict explain it


def test_functions_closures_and_cells_are_named():
    held = [1]

    def outer():
        captured = held

        def inner(default=held, *, other=held):
            return captured

        return inner

    inner = outer()
    heap = take()
    named = names_of(heap, inner)
    assert named[id(inner.__code__)] == (INTERNAL, "__code__")
    assert named[id(inner.__defaults__)] == (INTERNAL, "__defaults__")
    assert named[id(inner.__kwdefaults__)] == (INTERNAL, "__kwdefaults__")
    assert named[id(inner.__closure__)] == (INTERNAL, "__closure__")
    (cell,) = inner.__closure__
    assert names_of(heap, inner.__closure__) == {id(cell): (CELL, "captured")}
    assert names_of(heap, cell) == {id(held): (INTERNAL, "cell_contents")}
    assert names_of(heap, inner.__code__)[id(inner.__code__.co_consts)] == (INTERNAL, "co_consts")


def test_suspended_generators_and_coroutines_show_their_locals():
    held = [1]

    def generate():
        mine = held
        yield mine

    async def wait():
        mine = held
        await asyncio.sleep(0)
        return mine

    generator, coroutine = generate(), wait()
    next(generator)
    coroutine.send(None)
    heap = take()
    sources = [
        heap.type_name_of_node(source)
        for kind, name, source in heap.referrers(id(held))
        if (kind, name) == (LOCAL, "mine")
    ]
    assert sorted(sources) == ["coroutine", "generator"]
    coroutine.close()


def test_running_frames_show_their_locals():
    mine = Plain(1)
    heap = take()
    assert (LOCAL, "mine", "frame") in [
        (kind, name, heap.type_name_of_node(source))
        for kind, name, source in heap.referrers(id(mine))
    ]
    names = [heap.string(number) for number in heap.sections["frame_function"]]
    assert names[0].endswith("take")
    assert names[1].endswith("test_running_frames_show_their_locals")
    line = heap.sections["frame_line"][1]
    code = test_running_frames_show_their_locals.__code__
    assert code.co_firstlineno < line < code.co_firstlineno + 4


def test_frames_can_be_left_out():
    def inner():
        return take(skip_frames=2), take(own_prefix=__file__)

    def first_function(heap):
        return heap.string(heap.sections["frame_function"][0])

    skipped, hidden = inner()
    assert first_function(skipped).endswith("test_frames_can_be_left_out")
    assert not first_function(hidden).endswith("test_frames_can_be_left_out")


def test_a_running_generator_shows_its_locals_at_its_frame():
    def generate():
        mine = Plain(1)
        yield take(), id(mine)

    heap, address = next(generate())
    holders = [
        (name, heap.type_name_of_node(source)) for _, name, source in heap.referrers(address)
    ]
    assert holders == [("mine", "frame")]


def test_weak_references_are_weak_and_their_callbacks_are_not():
    target = Plain(1)

    def forget(_):
        pass

    reference = weakref.ref(target, forget)
    proxy = weakref.proxy(target)
    heap = take()
    assert names_of(heap, reference) == {
        id(target): (WEAK, ""),
        id(forget): (INTERNAL, "__callback__"),
    }
    assert names_of(heap, proxy) == {id(target): (WEAK, "")}


def test_partial_method_and_memoryview_are_named():
    plain, buffer = Plain(1), bytearray(100)
    partial = functools.partial(sorted, plain, key=plain)
    method = partial.__repr__
    bound = types.MethodType(len, plain)
    view = memoryview(buffer)
    heap = take()
    assert ("args" in [name for _, name, _ in heap.edges(partial)]) and method
    assert names_of(heap, bound) == {
        id(len): (INTERNAL, "__func__"),
        id(plain): (INTERNAL, "__self__"),
    }
    assert heap.node(buffer) in [
        target
        for _, _, middle in heap.edges(view)
        for _, _, target in heap.edges_of_node(heap.node_of[middle])
    ]


def test_numpy_arrays_show_base_and_elements():
    numpy = pytest.importorskip("numpy")
    element = Plain(1)
    objects = numpy.array([None, element, None], dtype=object)
    numbers = numpy.zeros(1000)
    view = numbers[10:]
    heap = take()
    assert names_of(heap, objects)[id(element)] == (INDEX, 1)
    assert names_of(heap, view)[id(numbers)] == (INTERNAL, "base")
    more = numpy.zeros((3, 4, 5), dtype="int16"), numpy.zeros(0)
    heap = take()
    for one in (objects, numbers, view, *more):
        assert heap.size(one) == sys.getsizeof(one)


def test_references_of_exceptions_are_named():
    try:
        try:
            raise ValueError("inner")
        except ValueError as error:
            raise KeyError("outer") from error
    except KeyError as error:
        caught = error
    heap = take()
    named = names_of(heap, caught)
    assert named[id(caught.__cause__)][1] in ("__cause__", "__context__")
    assert named[id(caught.__traceback__)] == (INTERNAL, "__traceback__")
    assert named[id(caught.args)] == (INTERNAL, "args")
    del caught


def test_edges_include_all_that_traversal_visits():
    gc.collect()
    # Not of modules: that would free what _asyncio keeps for later once more (3.12, 3.13).
    skipped = (types.FrameType, types.ModuleType, dict, set, list)
    known = [one for one in gc.get_objects() if type(one) not in skipped]
    shown = {id(one): collections.Counter(map(id, gc.get_referents(one))) for one in known}
    gc.disable()
    try:
        heap = take()
    finally:
        gc.enable()
    missing = collections.Counter()
    for one in known:
        if not heap.has(one) or type(one) in (functools._lru_cache_wrapper, types.FrameType):
            continue
        edges = collections.Counter(target for kind, _, target in heap.edges(one) if kind != WEAK)
        if shown[id(one)] == collections.Counter(map(id, gc.get_referents(one))):
            missing[type(one)] += bool(shown[id(one)] - edges)
    assert not {kind: count for kind, count in missing.items() if count}


def test_sizes_are_those_of_getsizeof_where_that_is_right():
    kept = [
        *([1], [*range(100)], (), (1, 2), {}, {1: 2}, {"a": 1}, dict.fromkeys(range(1000))),
        *({1}, {*range(100)}, frozenset(range(9)), "", "ascii", "é", "\u20ac", "\U0001f600"),
        *(b"", b"bytes", bytearray(b"123"), 0, 1, -1, 1 << 29, 1 << 30, 1 << 300, 1.5, 1j, True),
        *(None, range(3), slice(1), array.array("d", range(50)), collections.deque(range(200))),
        *(collections.deque(), collections.OrderedDict.fromkeys(range(40)), memoryview(b"abc")),
        *(Plain, len, Plain.__init__, Plain.__init__.__code__, io.BytesIO, types.SimpleNamespace),
    ]
    heap = take()
    different = {
        repr(one)[:40]: (heap.size(one), sys.getsizeof(one))
        for one in kept
        if heap.has(one) and heap.size(one) != sys.getsizeof(one) and type(one) is not type
    }
    assert not different
    assert all(heap.has(one) for one in kept)


def test_sizes_beyond_32_bits_are_exact():
    greatest = (1 << 32) - 1
    wanted = [greatest, 1 << 32, greatest - 1, greatest + 1000]
    kept = [bytes(size - sys.getsizeof(b"")) for size in wanted]  # zeros that take no memory
    heap = take()
    assert [heap.size(one) for one in kept] == wanted


def test_inline_values_are_counted():
    class Fresh:
        pass

    many = []
    for _ in range(40):
        one = Fresh()
        one.a = one.b = one.c = None
        many.append(one)
    heap = take()
    assert heap.size(many[-1]) >= sys.getsizeof(many[-1]) + 3 * 8


def test_no_reference_count_changes():
    def counts():
        return [sys.getrefcount(one) for one in objects]

    objects = [one for one in gc.get_objects() if type(one) is not types.FrameType]
    before = counts()
    core.capture(values=True)
    assert sum(a != b for a, b in zip(before, counts(), strict=True)) <= 3  # our own variables


class Hostile:
    """Every hook that looking at an object could run."""

    ran: list[str] = []

    def _run(self, *_, **__):
        Hostile.ran.append("ran")
        raise RuntimeError("code of the program has run")

    __getattribute__ = __eq__ = __hash__ = __repr__ = __str__ = __sizeof__ = __len__ = _run
    __iter__ = __dir__ = __reduce_ex__ = __instancecheck__ = __bool__ = __contains__ = _run
    __class__ = property(_run)


class HostileKey(str):
    __slots__ = ()
    __eq__ = __repr__ = __str__ = Hostile._run

    def __hash__(self):
        return str.__hash__(self)


def test_no_code_of_the_program_runs():
    hostile = object.__new__(Hostile)
    keyed = {HostileKey("a"): hostile}
    heap = take(values=True)
    assert not Hostile.ran
    assert (KEY, "<HostileKey>") in [(kind, name) for kind, name, _ in heap.edges(keyed)]
    assert heap.type_name(hostile) == f"{__name__}.Hostile"


def test_values_are_stored_only_on_demand():
    secret = "".join(["sec", "ret value"])
    kept = {secret: secret, "number": 123456789, b"bytes": 2.5}
    without, with_values = core.capture(), core.capture(values=True)
    assert secret.encode() not in bytes(without["string_bytes"])
    assert len(without["value_node"]) == 0
    heap = Heap(with_values)
    names = [name for kind, name, _ in heap.edges(kept) if kind == KEY]
    assert names == ["'secret value'", "'number'", "b'bytes'"]
    shown = dict(zip(with_values["value_node"], with_values["value_text"], strict=True))
    assert heap.string(shown[heap.node(secret)]) == secret
    assert heap.string(shown[heap.node(kept["number"])]) == "123456789"


def test_names_are_stored_and_keys_of_data_are_not():
    heap = take()
    namespace = sys.modules[__name__].__dict__
    assert names_of(heap, namespace)[id(Plain)] == (ATTRIBUTE, "Plain")
    data = {"user-17": [1]}
    heap = take()
    assert names_of(heap, data)[id(data["user-17"])] == (KEY, "<str>")


def test_an_unexplained_reference_is_an_external_root():
    leaked, control = Plain(1), Plain(2)
    address = id(leaked)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(leaked))
    try:
        del leaked
        heap = take()
        node = heap.node_of[address]
        assert heap.roots_of_node(node) == [("EXTERNAL", "", 1)]
        assert heap.roots(control) == []
        assert not heap.flags_of_node(node) & NodeFlag.GARBAGE
    finally:
        ctypes.pythonapi.Py_DecRef(ctypes.cast(address, ctypes.py_object))


def test_objects_that_no_root_reaches_are_garbage():
    cycle = Plain(None)
    cycle.first = [cycle]
    addresses = id(cycle), id(cycle.first)
    gc.disable()
    try:
        del cycle
        heap = take()
        for address in addresses:
            assert heap.flags_of_node(heap.node_of[address]) & NodeFlag.GARBAGE
    finally:
        gc.enable()
    assert not heap.flags(Plain) & NodeFlag.GARBAGE


def test_frozen_objects_are_captured():
    kept = [Plain([1])]
    gc.freeze()
    try:
        heap = take()
    finally:
        gc.unfreeze()
    assert heap.has(kept) and heap.has(kept[0])


def test_finished_objects_are_flagged(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    closed, still_open = open(path), open(path)  # noqa: SIM115
    closed.close()
    ended = threading.Thread(target=len, args=((),))
    ended.start()
    ended.join()
    over = (number for number in [])
    assert [*over] == []
    gone = socket.socket()
    gone.close()

    async def make():
        future = asyncio.get_running_loop().create_future()
        pending = asyncio.get_running_loop().create_future()
        future.set_result(1)
        return future, pending

    done, pending = asyncio.run(make())
    heap = take()
    finished = [closed, ended, over, gone, done]
    going_on = [still_open, threading.main_thread(), pending]
    still_open.close()
    assert [bool(heap.flags(one) & NodeFlag.FINISHED) for one in finished] == [True] * 5
    assert [heap.flags(one) & NodeFlag.FINISHED for one in going_on if heap.has(one)] == [0] * 3


def test_a_long_chain_and_a_deep_nest_are_captured():
    chain = None
    for _ in range(300_000):
        chain = [chain, None]
    heap = core.capture()
    assert len(heap["node_type"]) > 300_000
    columns = [heap[name] for name in ("edge_offset", "edge_target", "edge_label", "node_size")]
    _, retained = core.dominator_tree(*columns)
    assert max(retained[1:]) >= 300_000 * sys.getsizeof([1, 2])
    while chain is not None:
        chain = chain[0]


def test_names_beyond_ascii_are_stored():
    odd = type("Ärger€\U0001f600", (), {"__module__": "möd"})
    kept, value = odd(), [1]
    setattr(kept, "\ud800", value)
    heap = take()
    assert heap.type_name(kept) == "möd.Ärger€\U0001f600"
    assert (ATTRIBUTE, "\ud800") in [(kind, name) for kind, name, _ in heap.referrers(id(value))]


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="skip_frames must not be negative, not -1"):
        core.capture(skip_frames=-1)
    with pytest.raises(TypeError):
        core.capture(unknown=1)
    with pytest.raises(TypeError):
        core.capture(own_prefix=b"")


class OwnBytes(io.BytesIO):
    """A stream with attributes."""


class OwnText(io.StringIO):
    """The same of text."""


@pytest.mark.parametrize("kind", [OwnBytes, OwnText])
def test_streams_in_memory_show_what_they_hold(kind):
    stream = kind()
    stream.note = ["an attribute"]
    for word in ("first", "second"):
        stream.write(word.encode() if kind is OwnBytes else word)
    heap = take()
    names = {name for _, name, _ in heap.referrers(id(stream.note))}
    assert "note" in names
    assert heap.external(vars(stream)) == 0
    pieces = [one for one in gc.get_objects() if type(one) is list and one == ["first", "second"]]
    assert [heap.external(one) for one in pieces] == [0] * len(pieces)
