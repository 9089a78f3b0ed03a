"""What a capture must never do: run foreign code, change the process, give data away."""

from __future__ import annotations

import asyncio
import collections
import gc
import io
import subprocess
import sys
import textwrap
import threading
import types
import weakref

import pytest

from memlens._core.layout import NodeFlag
from tests.core.heaps import PLANT, take

pytestmark = pytest.mark.small_process

SPECIAL_METHODS = (
    *("__getattribute__", "__getattr__", "__eq__", "__ne__", "__hash__", "__repr__", "__str__"),
    *("__sizeof__", "__len__", "__bool__", "__iter__", "__next__", "__contains__", "__getitem__"),
    *("__dir__", "__call__", "__reduce__", "__reduce_ex__", "__getstate__", "__instancecheck__"),
    *("__subclasscheck__", "__mro_entries__", "__length_hint__", "__index__", "__int__"),
    *("__float__", "__missing__", "__reversed__", "__enter__", "__exit__", "__copy__"),
    *("__get__", "__set__", "__delete__", "__subclasses__", "mro"),
)
PUBLIC_METHODS = (
    *("items", "keys", "values", "get", "copy", "closed", "fileno", "done", "cancelled"),
    *("is_alive", "_is_stopped", "cache_info", "maxlen", "obj", "base", "dtype"),
)


class Alarm:
    """Records which of the traps were sprung while it is armed."""

    def __init__(self):
        self.armed = False
        self.sprung = []

    def trap(self, name, otherwise):
        def method(*arguments, **options):
            if self.armed:
                self.sprung.append(name)
                raise RuntimeError(name)
            return otherwise(*arguments, **options)

        method.__name__ = name
        return method


ALARM = Alarm()


class Trap:
    """A descriptor that records every look at the attribute that it stands for."""

    def __get__(self, instance, owner):
        if ALARM.armed:
            ALARM.sprung.append("descriptor")
            raise RuntimeError
        return "trap"


class NonDataDescriptor:
    """What a class binds under the name of an attribute that instances set as well."""

    def __get__(self, instance, owner):
        if ALARM.armed:
            ALARM.sprung.append("non-data descriptor")
        return self


def hostile(base, **members):
    """A subclass of ``base`` whose special and public methods all spring the alarm."""
    namespace = {}
    for name in SPECIAL_METHODS + PUBLIC_METHODS:
        inherited = getattr(base, name, None)
        if name in SPECIAL_METHODS and inherited is None:
            inherited = fall_back(name)
        namespace[name] = ALARM.trap(f"{base.__name__}.{name}", inherited or fall_back(name))
    namespace["__class__"] = property(ALARM.trap(f"{base.__name__}.__class__", type))
    namespace["tempting"] = Trap()
    namespace["settable"] = NonDataDescriptor()
    namespace.update(members)
    return type(f"Hostile{base.__name__.title()}", (base,), namespace)


def fall_back(name):
    def method(self, *arguments, **options):
        raise AttributeError(name)

    return method


def hostile_metaclass():
    names = (
        *("__getattribute__", "__hash__", "__eq__", "__instancecheck__", "__subclasscheck__"),
        *("__repr__", "__subclasses__", "__sizeof__", "__dir__", "__len__", "__bool__"),
    )
    members = {
        name: ALARM.trap(f"type.{name}", getattr(type, name, fall_back(name))) for name in names
    }
    members["__dict__"] = property(ALARM.trap("type.__dict__", fall_back("__dict__")))
    members["__mro__"] = property(ALARM.trap("type.__mro__", fall_back("__mro__")))
    return type("HostileMeta", (type,), members)


@pytest.fixture(autouse=True)
def planted():
    """What a test plants is gone after it."""
    yield
    vars(PLANT).clear()


@pytest.fixture
def alarm():
    ALARM.sprung.clear()
    yield ALARM
    ALARM.armed = False


def uninstrumented_attributes(instance):
    for name in ("plain", "settable", "tempting", "_is_stopped", "closed", "value"):
        object.__setattr__(instance, name, [name])


def test_no_code_of_any_object_runs(core, alarm):
    kinds = (
        *(object, dict, list, tuple, set, frozenset, str, bytes, int, float, complex, bytearray),
        *(collections.deque, collections.OrderedDict, collections.defaultdict, io.BytesIO),
        *(io.StringIO, Exception),
    )
    made = []
    for kind in kinds:
        cls = hostile(kind)
        instance = kind.__new__(cls)
        uninstrumented_attributes(instance)
        made.append(instance)
    module = types.ModuleType.__new__(hostile(types.ModuleType))
    types.ModuleType.__init__(module, "hostile_module")
    thread = hostile(threading.Thread)
    meta = hostile_metaclass()
    made += [module, thread, meta("Made", (), {"member": ["member"]}), meta("Other", (), {})()]
    target = hostile(object)()
    made += [weakref.ref(target), weakref.proxy(target), target]
    made.append(hostile(weakref.ref)(target, None))
    mapping = {"holder": made}
    dict.__setitem__(mapping, object.__new__(hostile(object, __hash__=object.__hash__)), "x")
    alarm.armed = True
    heap = take(core)
    alarm.armed = False
    assert alarm.sprung == []
    assert all(map(heap.has, made))
    assert mapping
    del target
    gc.collect()


def test_lazy_attributes_are_not_computed(core, alarm):
    class Lazy:
        def __getattr__(self, name):
            ALARM.sprung.append(name)
            object.__setattr__(self, name, "woken")
            return "woken"

        def use(self):
            return self.settings, self.database

    lazy = Lazy()
    assert take(core).has(lazy)
    assert alarm.sprung == []


class Five:
    def __init__(self):
        self.a, self.b, self.c, self.d, self.e = [1], [2], [3], [4], None


def test_no_instance_gets_a_dict(core):
    instances = [Five() for _ in range(1000)]
    before = [gc.get_referents(one) for one in instances]
    size = sys.getsizeof(instances[0])
    take(core)
    gc.collect()
    blocks = sys.getallocatedblocks()
    take(core)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < len(instances) // 2
    for instance, referents in zip(instances, before):
        after = gc.get_referents(instance)
        assert len(after) == len(referents)
        assert all(x is y for x, y in zip(after, referents))
    assert sys.getsizeof(instances[0]) == size


def test_a_capture_leaves_no_objects_behind(core):
    core.capture()
    gc.collect()
    gc.disable()
    try:
        blocks = []
        for _ in range(4):
            core.capture()
            assert gc.collect() == 0  # no cycle; it also empties the interpreter's free lists
            blocks.append(sys.getallocatedblocks())
        assert blocks[-1] - blocks[0] < 20
    finally:
        gc.enable()


def test_reference_counts_are_unchanged(core):
    planted = [[], {}, (object(),), Five(), lambda: 0, Five, types.ModuleType("m"), "".join("ab")]
    planted += [sys._getframe().f_code, weakref.ref(planted[3]), planted[4].__code__]
    before = [*map(sys.getrefcount, planted)]
    sections = core.capture()
    assert [*map(sys.getrefcount, planted)] == before
    assert sections


def test_the_settings_of_the_collector_are_unchanged(core):
    thresholds, callbacks = gc.get_threshold(), [*gc.callbacks]
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            core.capture()
            assert gc.isenabled() is enabled
            with pytest.raises(TypeError):
                core.capture(own_prefix=7)
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
    assert (gc.get_threshold(), gc.callbacks) == (thresholds, callbacks)


class Account:
    def __init__(self):
        self.holder_name = "SECRET-attribute"


def secrets():
    """The only place where these words are; every way in which data can be held."""
    words = [f"SECRET-{number:03}" for number in range(9)]
    data = {
        words[0]: words[1],
        (words[2], 7): {words[3]},
        words[4].encode(): [words[5]],
        88_112_233_445: 99_112_233_445,
    }
    account = Account()
    account.holder_name = words[6]
    return (
        data,
        account,
        collections.OrderedDict({words[7]: 1}),
        types.MappingProxyType({words[8]: 1}),
    )


def test_data_is_not_stored_by_default(core):
    data = PLANT.data = secrets()
    heap = take(core)
    assert not heap.mentions("SECRET-0")
    assert not heap.mentions("112233445")
    assert heap.mentions("holder_name")
    assert heap.has(data[0])
    assert len(heap.sections["value_node"]) == 0


def test_data_is_stored_when_requested(core):
    data = PLANT.data = secrets()
    heap = take(core, values=True)
    keys = [name for kind, name, _ in heap.edges(data[0]) if kind == "KEY"]
    assert keys == ["'SECRET-000'", "<tuple>", "b'SECRET-004'", "88112233445"]
    value = data[0]["SECRET-000"]
    assert heap.string(heap.sparse(value, "value", "text")[0]) == "SECRET-001"


def test_stored_texts_have_a_maximum_length(core):
    planted = PLANT.it = {"k" * 5000: "v" * 5000, 10**5000: b"b" * 5000, 1: 10**4000}
    heap = take(core, values=True)
    keys = [name for kind, name, _ in heap.edges(planted) if kind == "KEY"]
    assert max(map(len, keys)) <= 80
    for value in planted.values():
        assert len(heap.string(heap.sparse(value, "value", "text")[0])) <= 200
    assert not heap.mentions("k" * 201)


def test_values_of_subclasses_are_not_read(core, alarm):
    text = hostile(str, __hash__=str.__hash__, __eq__=str.__eq__)("-".join(["SECRET", "subclass"]))
    PLANT.it = {text: text}
    alarm.armed = True
    heap = take(core, values=True)
    alarm.armed = False
    assert alarm.sprung == []
    assert heap.has(text)
    assert not heap.mentions("-".join(["SECRET", "subclass"]))


def test_a_chain_too_long_for_recursion_is_walked(core):
    """A C stack of 8 MiB has less than 42 bytes for each of these links."""
    link, links = None, 200_000
    for number in range(links):
        link = [link, number] if number % 2 else (link, number)
    heap = take(core)
    node, length = heap.node(link), 0
    offsets, targets = heap.sections["edge_offset"], heap.sections["edge_target"]
    while offsets[node + 1] > offsets[node]:
        node, length = targets[offsets[node]], length + 1
    assert length == links
    while link is not None:  # without recursion in the deallocator
        link = link[0]


def test_a_module_that_traverses_freed_objects_is_not_traversed(core):
    """3.12: what ``_asyncio`` shows has iterators that were freed, once a future was awaited."""
    loop = asyncio.new_event_loop()
    future = loop.create_future()

    async def wait_for_it():
        return await future

    loop.call_soon(future.set_result, 1)
    try:
        assert loop.run_until_complete(wait_for_it()) == 1
    finally:
        loop.close()
    heap = take(core)
    module = sys.modules["_asyncio"]
    assert ("INTERNAL", "__dict__", id(vars(module))) in heap.edges(module)


def test_uninitialised_objects_do_not_fail_the_capture(core):
    kinds = (io.TextIOWrapper, io.BufferedReader, io.BytesIO, io.StringIO, io.FileIO)
    raw = [kind.__new__(kind) for kind in kinds]
    raw.append(asyncio.Future.__new__(asyncio.Future))
    raw.append(threading.Thread.__new__(threading.Thread))
    raw.append(types.ModuleType.__new__(types.ModuleType))
    raw.append(property.__new__(property))
    raw.append(types.CellType())
    heap = take(core)
    assert all(map(heap.has, raw))
    assert all(NodeFlag.FINISHED not in heap.flags(one) for one in raw[-4:])


def test_classes_with_odd_namespaces_do_not_fail_the_capture(core):
    class Odd:
        __module__ = 7

    module = types.ModuleType("odd")
    del module.__name__
    odd = Odd()
    heap = take(core)
    assert heap.type_name(odd) == Odd.__qualname__
    assert heap.has(module)


@pytest.mark.parametrize("captures", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_other_threads_may_change_containers_during_a_capture(core, captures):
    captures = min(captures, 15) if core.__name__.endswith("pure") else captures
    shared = {"dict": {}, "list": [], "set": set(), "deque": collections.deque(maxlen=50)}
    errors, stop = [], threading.Event()

    def change():
        number = 0
        try:
            while not stop.is_set():
                number += 1
                shared["dict"][number] = [number]
                shared["dict"].pop(number - 20, None)
                shared["list"].append(Five())
                del shared["list"][:-20]
                shared["set"].add(number)
                shared["set"].discard(number - 20)
                shared["deque"].append({number})
                vars(Five())["more"] = tuple(one for one in range(30))
        except BaseException as error:  # noqa: BLE001  # told to the test
            errors.append(error)

    threads = [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        heaps = [take(core) for _ in range(captures)]
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    for heap in heaps:
        assert heap.has(shared["dict"])
        assert max(heap.sections["edge_target"]) < len(heap.sections["node_address"])


def test_the_switch_interval_is_unchanged(core, monkeypatch):
    """Set to a long time, even for a moment, it makes a capture wait that long for busy threads."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    changes = []
    monkeypatch.setattr(sys, "setswitchinterval", changes.append)
    try:
        core.capture()
    finally:
        stop.set()
        thread.join()
    assert changes == []


def test_a_tuple_under_construction_is_not_captured(core):
    def items():
        yield ["item"]
        heap = take(core)
        assert heap
        yield ["more"] * 30

    assert len(tuple(items())) == 2


CHILD = """
    import gc, sys
    from memlens._core import pure
    class Five:
        def __init__(self, n):
            self.a, self.b, self.c = n, [n], {"k": n}
    planted = [Five(n) for n in range(2000)]
    vars(planted[7])
    def generate(n):
        yield n
    generators = [generate(n) for n in range(50)]
    [next(one) for one in generators]
    for _ in range(2):
        sections = pure.capture(values=True)
        gc.collect()
    assert len(sections["node_address"]) > 10_000
    print("done")
"""


@pytest.mark.parametrize("options", [["-X", "dev"], ["-X", "tracemalloc"], ["-O"]])
def test_a_capture_passes_in_a_debugging_interpreter(options):
    environment = {"PYTHONMALLOC": "debug", "PYTHONPATH": ":".join(sys.path)}
    code = textwrap.dedent(CHILD)
    done = subprocess.run(
        [sys.executable, *options, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "done\n"
