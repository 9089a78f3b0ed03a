"""Each kind of object, planted, with the very edges that it has to have."""

from __future__ import annotations

import asyncio
import collections
import functools
import gc
import types
import weakref
from datetime import datetime, timedelta, timezone

import pytest

from memlens._core.layout import NodeFlag
from tests.core.heaps import take

pytestmark = pytest.mark.small_process

numpy = pytest.importorskip("numpy")


class Plain:
    def __init__(self, **values):
        self.first = None
        self.second = None
        self.third = None
        for name, value in values.items():
            setattr(self, name, value)


class Slotted:
    __slots__ = ("left", "right")


class SlottedChild(Slotted):
    __slots__ = ("__dict__", "extra")

    def fill(self):
        self.free = 0


class Record(collections.namedtuple("Record", "one two")):  # with a __dict__
    def note(self):
        self.remark = 0


class Numbers(list):
    def note(self):
        self.remark = 0


class Mapping(dict):
    def note(self):
        self.remark = 0


class Reference(weakref.ref):
    __slots__ = ("key",)


class Meta(type):
    pass


class Made(metaclass=Meta):
    shared = ["shared"]

    def method(self):
        return self.shared


class Trouble(Exception):
    def __init__(self, *args):
        super().__init__(*args)
        self.detail = None


def leaf(name):
    """A list of its own: tracked, not shared, recognisable."""
    return [name]


def outer(captured, other):
    def inner(positional=other, *, keyword=captured):
        return captured, other

    return inner


def generate(argument, *rest, option):
    local = leaf("generator local")
    for item in ([local], [argument]):
        yield item
    return rest, option


async def wait_for(future, note):
    kept = leaf("coroutine local")
    await future
    return kept, note


def fail(argument):
    local = leaf("frame local")
    raise Trouble(argument, local)


def caught(argument):
    try:
        fail(argument)
    except Trouble as error:
        return error


@pytest.fixture(scope="module")
def world(core):
    """Everything that is planted, by name, and the capture of it."""
    plant = types.SimpleNamespace()
    a, b, c, d = map(leaf, "abcd")
    plant.a, plant.b, plant.c, plant.d = a, b, c, d
    plant.list = [a, b, a]
    plant.tuple = (a, b, a)
    plant.set = {datetime(2024, 1, 2), frozenset({"x"})}
    plant.deque = collections.deque([a, b], maxlen=7)
    plant.dict = {"text": a, 7: b, (1, "x"): c}
    plant.str_dict = {"alpha": a, "beta": b}
    plant.ordered = collections.OrderedDict(one=a, two=b)
    plant.default = collections.defaultdict(leaf, {"k": a})
    plant.counter = collections.Counter("aab")
    plant.plain = Plain(first=a, second=b, third=a)
    plant.partial_plain = Plain(second=c)
    del plant.partial_plain.first
    plant.with_dict = Plain(first=a, second=b)
    plant.its_dict = plant.with_dict.__dict__
    plant.slotted = Slotted()
    plant.slotted.left, plant.slotted.right = a, b
    plant.slotted_child = SlottedChild()
    plant.slotted_child.left, plant.slotted_child.extra, plant.slotted_child.free = a, b, c
    plant.record = Record(a, b)
    plant.record.remark = c
    plant.numbers = Numbers([a, b])
    plant.numbers.remark = c
    plant.mapping = Mapping(k=a)
    plant.mapping.remark = c
    plant.function = outer(a, b)
    plant.function.note = c
    plant.method = plant.plain.__init__
    plant.builtin_method = a.append
    plant.partial = functools.partial(outer, a, other=b)
    plant.property = property(outer, caught)
    plant.static, plant.klass = staticmethod(outer), classmethod(outer)
    plant.cell = types.CellType(a)
    plant.memory = memoryview(bytearray(b"xyz"))
    plant.slice = slice(a, b)
    plant.alive = Plain()
    plant.weak = weakref.ref(plant.alive, outer)
    plant.weak_child = Reference(plant.alive)
    plant.weak_child.key = a
    plant.generator = generate(a, b, option=c)
    next(plant.generator)
    plant.unstarted = generate(a, option=c)
    plant.finished = generate(a, option=c)
    [*plant.finished]
    loop = asyncio.new_event_loop()
    plant.future = loop.create_future()
    plant.coroutine = wait_for(plant.future, a)
    plant.awaited = plant.coroutine.send(None)
    plant.done = loop.create_future()
    plant.done.set_result(a)
    plant.error = caught(a)
    plant.objects = numpy.array([a, b, None, a], dtype=object)
    plant.view = plant.objects[1:3]
    owner = numpy.empty((2, 2), dtype=object)
    owner[0, 0], owner[0, 1], owner[1, 0], owner[1, 1] = a, b, c, d
    plant.matrix = owner.T
    plant.floats = numpy.zeros(100)
    plant.moment = datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=3)))
    plant.module = types.ModuleType("planted_module", "doc")
    plant.module.variable = a

    @functools.lru_cache(maxsize=3)
    def cached(key):
        return leaf(key)

    plant.cached = cached
    plant.results = [cached(1), cached("two")]
    plant.heap = take(core)
    yield plant
    plant.coroutine.close()
    loop.close()


def test_sequences_label_their_elements_by_position(world):
    a, b = id(world.a), id(world.b)
    expected = [("INDEX", 0, a), ("INDEX", 1, b), ("INDEX", 2, a)]
    assert sorted(world.heap.edges(world.list)) == expected
    assert sorted(world.heap.edges(world.tuple)) == expected
    assert sorted(e for e in world.heap.edges(world.deque) if e[0] == "INDEX") == expected[:2]


def test_set_members_have_edges_without_names(world):
    assert sorted(world.heap.edges(world.set)) == sorted(
        ("ITEM", "", id(member)) for member in world.set
    )


def test_dict_values_are_labelled_with_the_type_of_their_key(world):
    keys = [*world.dict]
    assert sorted(world.heap.edges(world.dict)) == sorted(
        [
            *(("ITEM", "", id(key)) for key in keys),
            ("KEY", "<str>", id(world.a)),
            ("KEY", "<int>", id(world.b)),
            ("KEY", "<tuple>", id(world.c)),
        ]
    )


def test_keys_of_a_dict_of_strings_have_edges_although_traversal_skips_them(world):
    targets = world.heap.strong(world.str_dict)
    assert targets == collections.Counter([*map(id, world.str_dict), id(world.a), id(world.b)])


def test_values_of_dict_subclasses_are_labelled_by_key(world):
    for mapping in (world.ordered, world.default, world.mapping):
        assert id(world.a) in [
            target
            for kind, name, target in world.heap.edges(mapping)
            if (kind, name) == ("KEY", "<str>")
        ]
    assert world.heap.named(world.default, "INTERNAL")["default_factory"] == id(leaf)
    assert world.heap.strong(world.ordered)[id(world.a)] == 1


def test_instance_attributes_are_named(world):
    names = attributes(world.heap, world.plain)
    assert names == {"first": id(world.a), "second": id(world.b), "third": id(world.a)}
    names = attributes(world.heap, world.partial_plain)
    assert names == {"second": id(world.c), "third": id(None)}


def test_an_instance_with_a_materialised_dict_refers_to_it_and_counts_its_values_once(world):
    heap = world.heap
    assert heap.named(world.with_dict, "INTERNAL")["__dict__"] == id(world.its_dict)
    assert NodeFlag.NAMESPACE in heap.flags(world.its_dict)
    assert attributes(heap, world.with_dict) == {
        "first": id(world.a),
        "second": id(world.b),
        "third": id(None),
    }
    both = heap.strong(world.with_dict) + heap.strong(world.its_dict)
    assert both[id(world.a)] == 1


def test_slots_are_attributes(world):
    heap = world.heap
    assert heap.named(world.slotted, "ATTRIBUTE") == {"left": id(world.a), "right": id(world.b)}
    named = attributes(heap, world.slotted_child)
    assert named == {"left": id(world.a), "extra": id(world.b), "free": id(world.c)}


def test_instances_of_container_subclasses_have_elements_and_attributes(world):
    heap = world.heap
    for container, kind in (
        (world.record, "INDEX"),
        (world.numbers, "INDEX"),
        (world.mapping, "KEY"),
    ):
        assert id(world.a) in [target for k, _, target in heap.edges(container) if k == kind]
        assert attributes(heap, container) == {"remark": id(world.c)}
        assert heap.strong(container)[id(world.a)] == 1


def test_a_class_refers_to_its_namespace_and_bases_and_its_names_are_attributes(world):
    heap = world.heap
    internal = heap.named(Made, "INTERNAL")
    assert internal["__class__"] == id(Meta)
    assert internal["__mro__"] == id(Made.__mro__)
    assert internal["__base__"] == id(object)
    namespace = heap.node_of[internal["__dict__"]]
    names = {name: target for kind, name, target in heap.edges_of_node(namespace)}
    assert names["shared"] == heap.node(Made.shared)
    assert names["method"] == heap.node(Made.method)


def test_static_types_refer_to_their_namespaces(world):
    namespace = world.heap.node_of[world.heap.named(dict, "INTERNAL")["__dict__"]]
    names = {name: target for _, name, target in world.heap.edges_of_node(namespace)}
    assert names["setdefault"] == world.heap.node(dict.__dict__["setdefault"])


def test_a_module_names_its_variables(world):
    namespace = world.module.__dict__
    assert world.heap.named(world.module, "INTERNAL")["__dict__"] == id(namespace)
    assert world.heap.named(namespace, "ATTRIBUTE")["variable"] == id(world.a)


def test_variables_of_code_that_no_module_has_run_have_names(core):
    variables = {"__name__": "job"}
    exec("kept = [1]\ndef add(): kept.append(1)", variables)
    add = variables["add"]
    heap = take(core)
    assert heap.named(add, "INTERNAL")["__globals__"] == id(variables)
    assert heap.named(variables, "ATTRIBUTE")["kept"] == id(variables["kept"])
    assert heap.flags(variables) & NodeFlag.NAMESPACE


def test_a_function_names_its_fields_and_its_closure_names_the_variables(world):
    heap, function = world.heap, world.function
    internal = heap.named(function, "INTERNAL")
    assert internal["__code__"] == id(function.__code__)
    assert internal["__globals__"] == id(function.__globals__)
    assert internal["__defaults__"] == id(function.__defaults__)
    assert internal["__kwdefaults__"] == id(function.__kwdefaults__)
    assert internal["__closure__"] == id(function.__closure__)
    assert heap.named(function.__dict__, "ATTRIBUTE") == {"note": id(world.c)}
    assert internal["__dict__"] == id(function.__dict__)
    cells = heap.named(function.__closure__, "CELL")
    assert cells == dict(
        zip(function.__code__.co_freevars, map(id, function.__closure__), strict=True)
    )
    assert heap.edges(function.__closure__[0])[0][:2] == ("INTERNAL", "cell_contents")


def test_a_code_object_holds_its_constants_and_names(world):
    internal = world.heap.named(outer.__code__, "INTERNAL")
    assert internal["co_consts"] == id(outer.__code__.co_consts)
    assert internal["co_names"] == id(outer.__code__.co_names)
    assert internal["co_filename"] == id(outer.__code__.co_filename)


@pytest.mark.parametrize(
    ("name", "field", "target"),
    [
        ("method", "__self__", "plain"),
        ("builtin_method", "__self__", "a"),
        ("cell", "cell_contents", "a"),
        ("slice", "start", "a"),
        ("slice", "stop", "b"),
        ("view", "base", "objects"),
        ("done", "_result", "a"),
    ],
)
def test_a_field_of_a_c_type_has_its_name(world, name, field, target):
    fields = world.heap.named(getattr(world, name), "INTERNAL")
    assert fields[field] == id(getattr(world, target))


def test_wrappers_of_functions_name_what_they_wrap(world):
    heap = world.heap
    assert heap.named(world.property, "INTERNAL")["fget"] == id(outer)
    assert heap.named(world.property, "INTERNAL")["fset"] == id(caught)
    assert heap.named(world.partial, "INTERNAL")["func"] == id(outer)
    assert heap.named(world.partial, "INTERNAL")["args"] == id(world.partial.args)
    for wrapper in (world.static, world.klass):
        assert id(outer) in heap.strong(wrapper)


def test_a_memoryview_refers_to_its_buffer(world):
    buffers = [node_id for _, _, node_id in world.heap.edges(world.memory)]
    managed = world.heap.node_of[buffers[0]]
    assert world.heap.node(world.memory.obj) in [
        to for _, _, to in world.heap.edges_of_node(managed)
    ]


def test_weak_references_are_weak_edges_and_their_callbacks_strong_ones(world):
    heap = world.heap
    assert ("WEAK", "", id(world.alive)) in heap.edges(world.weak)
    assert heap.strong(world.weak) == collections.Counter([id(outer)])
    assert ("WEAK", "", id(world.alive)) in heap.edges(world.weak_child)
    assert heap.named(world.weak_child, "ATTRIBUTE") == {"key": id(world.a)}


def test_a_suspended_generator_names_its_arguments(world):
    held = generator_locals(world.heap, world.generator)
    assert held["argument"] == id(world.a)
    assert held["option"] == id(world.c)
    held = generator_locals(world.heap, world.unstarted)
    assert held["argument"] == id(world.a)


def test_a_generator_refers_to_each_local_once(world):
    targets = [t for kind, _, t in world.heap.edges(world.generator) if kind == "LOCAL"]
    same = [one for one in gc.get_objects() if type(one) is list and one == ["generator local"]]
    assert targets.count(id(world.a)) == 1
    assert sum(targets.count(id(one)) for one in same) == 1  # each core has one of its own


def test_a_finished_generator_refers_to_no_locals(world):
    assert id(world.a) not in world.heap.strong(world.finished)
    assert NodeFlag.FINISHED in world.heap.flags(world.finished)


def test_a_coroutine_names_its_arguments_and_refers_to_the_awaited_future(world):
    held = generator_locals(world.heap, world.coroutine)
    assert held["future"] == id(world.future)
    assert held["note"] == id(world.a)


def test_an_exception_refers_to_its_frames_and_their_locals(world):
    heap, error = world.heap, world.error
    fields = heap.named(error, "INTERNAL")
    assert fields["args"] == id(error.args)
    assert fields["__traceback__"] == id(error.__traceback__)
    inner = error.__traceback__.tb_next
    assert heap.named(error.__traceback__, "INTERNAL")["tb_next"] == id(inner)
    assert heap.named(inner, "INTERNAL")["tb_frame"] == id(inner.tb_frame)
    held = {name: t for kind, name, t in heap.edges(inner.tb_frame) if kind == "LOCAL"}
    assert held["argument"] == id(world.a)
    assert held["local"] == id(error.args[1])


def test_an_array_of_objects_refers_to_its_elements_and_a_view_only_to_its_base(world):
    heap = world.heap
    elements = [t for kind, _, t in heap.edges(world.objects) if kind == "INDEX"]
    assert elements == [id(world.a), id(world.b), id(None), id(world.a)]
    assert not [edge for edge in heap.edges(world.view) if edge[0] == "INDEX"]
    assert not [edge for edge in heap.edges(world.matrix) if edge[0] == "INDEX"]
    owner = world.matrix.base
    assert heap.named(world.matrix, "INTERNAL")["base"] == id(owner)
    elements = [t for kind, _, t in heap.edges(owner) if kind == "INDEX"]
    assert elements == [id(world.a), id(world.b), id(world.c), id(world.d)]
    assert heap.named(world.floats, "INTERNAL")["dtype"] == id(world.floats.dtype)


def test_objects_without_traversal_still_have_edges_to_their_fields(world):
    assert world.heap.named(world.moment, "INTERNAL")["tzinfo"] == id(world.moment.tzinfo)


def test_lru_cache_results_are_labelled_with_the_type_of_their_key(world):
    heap, cached = world.heap, world.cached
    assert heap.named(cached, "INTERNAL")["__wrapped__"] == id(cached.__wrapped__)
    by_key = [(name, target) for kind, name, target in heap.edges(cached) if kind == "KEY"]
    assert sorted(by_key) == sorted(
        [("<int>", id(world.results[0])), ("<str>", id(world.results[1]))]
    )


@pytest.mark.parametrize(
    "name",
    (
        *("list", "tuple", "dict", "str_dict", "plain", "slotted", "slotted_child", "record"),
        *("numbers", "mapping", "function", "partial", "property", "cell", "weak_child", "ordered"),
        *("generator", "coroutine", "error", "future", "done", "cached", "module", "default"),
    ),
)
def test_no_referent_is_missing(world, name):
    shown = collections.Counter(map(id, gc.get_referents(getattr(world, name))))
    missing = shown - world.heap.strong(getattr(world, name))
    assert not {world.heap.node_of.get(one) for one in missing} - {None}


@pytest.mark.parametrize("name", "abcd")
def test_every_reference_to_a_planted_object_is_explained(world, name):
    assert world.heap.external(getattr(world, name)) == 0


def attributes(heap, obj):
    """The attributes of an instance, whether it has them itself or in a dict."""
    found = heap.named(obj, "ATTRIBUTE")
    namespace = heap.named(obj, "INTERNAL").get("__dict__")
    if namespace is not None:
        node = heap.node_of[namespace]
        address = heap.sections["node_address"]
        for kind, name, to in heap.edges_of_node(node):
            if kind == "ATTRIBUTE":
                found[name] = address[to]
    return found


def generator_locals(heap, generator):
    return heap.named(generator, "LOCAL")
