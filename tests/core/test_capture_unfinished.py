"""Objects that C code is still filling, or that the collector has already emptied."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from tests.core.conftest import CAPTURE, PURE


def run(core, code):
    """Run code in a child process with the implementation as ``core``; return what it printed."""
    name = CAPTURE if core.__name__ == "C" else PURE
    begin = f"from importlib import import_module\ncore = import_module({name!r})\n"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", begin + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


FILLING = """
    import ast, gc
    text = "\\n".join(["def f(a, b=[1, [2, [3]]]):\\n    return [a, {1: [b]}, (a, b)]"] * 40)
    taken, busy = 0, False
    def on_collection(phase, info):
        global taken, busy
        if not busy and taken < 4:
            busy = True
            core.capture()
            taken += 1
            busy = False
    gc.collect()
    gc.callbacks.append(on_collection)
    gc.set_threshold(20)
    for _ in range(4):
        ast.parse(text)
        gc.set_threshold(20 + 7 * taken)
    gc.collect()
    print(taken)
"""


def test_a_list_that_c_code_is_filling_has_empty_slots(core):
    """3.11: a collection may start in the middle of C code, and so may what a callback does."""
    assert run(core, FILLING) == ["4"]


EMPTIED = """
    import asyncio, collections, contextvars, functools, gc, io, os, types, warnings, weakref
    taken = 0
    def on_warning(message, *rest, **more):
        global taken
        core.capture(values=True)
        taken += 1
    warnings.simplefilter("always")
    warnings.showwarning = on_warning
    late = os.scandir("/")  # warns when it is freed; the collector does not know it
    assert not gc.is_tracked(late)
    def variable():
        kept = [variable]
        def inner():
            return kept
        yield inner
    def in_a_cycle():
        made = []
        bounded, unbounded = functools.lru_cache(4)(repr), functools.lru_cache(None)(repr)
        for cache in (bounded, unbounded):
            cache(1), cache(2), cache("3")
        generator = variable()
        function = next(generator)
        cls = type("Made", (), {"__slots__": ("slot",), "member": made})
        plain = type("Plain", (), {})
        instance = plain()
        instance.attribute = made
        future = asyncio.Future(loop=loop)
        made += [bounded, unbounded, generator, function, function.__closure__[0], cls, cls(),
                 plain, instance, future, collections.deque([made], 4),
                 collections.OrderedDict(a=made), collections.defaultdict(list, a=made),
                 functools.partial(repr, made), {instance}, frozenset({instance}),
                 io.StringIO("text"), io.TextIOWrapper(io.BufferedReader(io.BytesIO())),
                 types.ModuleType("made"), property(repr), weakref.ref(instance, made.append),
                 types.MethodType(function, made), types.MappingProxyType({"a": made}),
                 iter(made), map(repr, made), ValueError(made), contextvars.Context(),
                 collections.UserList(made), types.SimpleNamespace(a=made)]
        for one in made:  # each is older than the list that is emptied last
            try:
                one.cycle = made
            except (AttributeError, TypeError):
                pass
        last = [*made, late, None]
        last[-1] = last
    loop = asyncio.new_event_loop()
    gc.disable()
    in_a_cycle()
    del late
    assert taken == 0
    gc.collect()
    loop.close()
    print(taken)
"""


def test_an_object_that_the_collector_has_emptied_has_empty_fields(core):
    assert run(core, EMPTIED) == ["1"]


HANDLERS = """
    import gc, signal
    class Handler:
        def __call__(self, number, frame):
            pass
    def on_collection(phase, info):
        signal.signal(signal.SIGUSR1, Handler())
    def handlers_seen():
        sections = core.capture()
        return sections, id(signal.getsignal(signal.SIGUSR1))
    on_collection("start", {})
    gc.collect()
    gc.callbacks.append(on_collection)
    gc.set_threshold(1)
    for _ in range(3):
        sections, address = handlers_seen()
        gc.callbacks.clear()
        gc.set_threshold(0)
        text = bytes(memoryview(sections["string_bytes"]))
        offsets = sections["string_offset"]
        names = [text[offsets[n]:offsets[n + 1]].decode() for n in sections["root_name"]]
        place = names.index(f"handler of signal {int(signal.SIGUSR1)}")
        node = sections["edge_target"][place]
        print(sections["node_address"][node] == address)
        gc.callbacks.append(on_collection)
        gc.set_threshold(1)
    gc.callbacks.clear()
"""


def test_no_collection_starts_between_what_is_asked_and_the_walk(core):
    """What a collection frees may be what the capture has just found: a handler, a module."""
    assert run(core, HANDLERS) == ["True"] * 3


CHAINS = """
    import io, os, sys

    class Raw(io.BufferedReader):
        def readable(self):
            return True

    def is_finished(sections, obj):
        node = list(sections["node_address"]).index(id(obj))
        return bool(sections["node_flags"][node] & 16)

    def chain(length):
        files = [io.BytesIO()]
        for _ in range(length):
            files.append(Raw(files[-1]))
        return files

    short, deep, ring = chain(3), chain(20_000), chain(2)
    short[0].close(), deep[0].close()
    ring[1].__init__(ring[2])
    sections = core.capture()
    for files in short, deep, ring:
        print(is_finished(sections, files[1]), is_finished(sections, files[-1]))
    sys.stdout.flush()
    os._exit(0)  # the interpreter itself recurses when it frees them
"""


def test_files_within_files_are_followed_only_so_far(core):
    assert run(core, CHAINS) == ["True", "True", "True", "False", "False", "False"]
