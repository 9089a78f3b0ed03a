"""Secrets in every place of a program that has data or names made at run time.

`plant_data` keeps texts that begin with ``zq7secret-``, `plant_names` makes names that begin with
``zq7named_``; the rest of a text says where it is. Both are made while the program runs, so that no
source contains them. What is returned must be kept alive.
"""

from __future__ import annotations

import array
import asyncio
import collections
import contextvars
import ctypes
import enum
import functools
import io
import itertools
import logging
import mmap
import os
import queue
import re
import sys
import tempfile
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ("plant_data", "plant_names")


def secret(place: str) -> str:
    """Return a text that may be in no file."""
    return "-".join(["".join(["zq", "7", "sec", "ret"]), place])


def name(place: str) -> str:
    """Return a name that may be in no file with hashed names."""
    return "_".join(["".join(["zq", "7", "nam", "ed"]), place])


class Account:
    """An object with data in its attributes, of which one is a slot."""

    __slots__ = ("__dict__", "__weakref__", "slot")

    def __init__(self, place: str) -> None:
        self.slot = secret(f"{place}-slot")
        self.holder = secret(f"{place}-attribute")
        self.history = [secret(f"{place}-list"), secret(f"{place}-bytes").encode()]


class Shown:
    """An object whose texts for people are data."""

    def __repr__(self) -> str:
        return secret("repr")

    __str__ = __repr__


def plant_data() -> list[Any]:
    """Return objects with data, in every place that is no name."""
    kept: list[Any] = [Account("instance"), Shown()]
    kept += _containers()
    kept += _buffers()
    kept += _code()
    kept += _records()
    os.environ[secret("environment-name")] = secret("environment-value")
    sys.argv.append(secret("argument"))
    return kept


def _containers() -> list[Any]:
    text = secret
    ordered = collections.OrderedDict([(text("ordered-key"), text("ordered-value"))])
    counted = collections.Counter([text("counted")])
    default = collections.defaultdict(list, {text("default-key"): [text("default-value")]})
    chained = collections.ChainMap({text("chain-key"): text("chain-value")})
    waiting: queue.Queue[str] = queue.Queue()
    waiting.put(text("queue"))
    weak: weakref.WeakValueDictionary[str, Account] = weakref.WeakValueDictionary()
    target = Account("weak")
    weak[text("weak-key")] = target
    return [
        {text("key"): {text("inner-key"): [text("value")]}, (text("key-of-tuple"), 1): 2},
        {text("set")}, frozenset([text("frozenset")]), (text("tuple"),),
        collections.deque([text("deque")]),
        types.MappingProxyType({text("proxy-key"): text("proxy-value")}), ordered, counted, default,
        chained, waiting, weak, target, itertools.cycle([text("iterator")]),
        iter([text("list-iterator")]),
        slice(text("slice"), None), 10**40 + 7, enumerate([text("enumerated")]),
        zip([text("zipped")], strict=True), map(str, [text("mapped")]), reversed([text("reversed")]),
    ]  # fmt: skip


def _buffers() -> list[Any]:
    raw = [(secret(f"buffer-{number}") + " ").encode() * 200 for number in range(6)]
    mapped = mmap.mmap(-1, len(raw[0]))
    mapped.write(raw[0])
    file = io.BytesIO(raw[1])
    text = io.StringIO(secret("stringio") * 200)
    found: list[Any] = [
        bytearray(raw[2]), array.array("B", raw[3]),
        memoryview(raw[4]), ctypes.create_string_buffer(raw[5]), mapped, file, text, bytes(raw[5]),
    ]  # fmt: skip
    try:
        import numpy
    except ImportError:
        return found
    dtype = numpy.dtype([(secret("numpy-field"), "i4")])
    objects = numpy.array([secret("numpy-object"), None], dtype=object)
    texts = numpy.array([secret("numpy-text")] * 100)
    return [
        *found,
        numpy.frombuffer(raw[3] * 10, dtype="u1").copy(),
        objects,
        texts,
        numpy.zeros(9, dtype),
    ]


def _code() -> list[Any]:
    hidden = secret("closure")

    def closure() -> str:
        return hidden

    def default(value: str = secret("default"), *, keyword: str = secret("keyword-default")) -> str:
        return value + keyword

    def generate(argument: str) -> Any:
        local = secret("generator-local")
        yield argument + local

    @functools.lru_cache(maxsize=None)
    def cached(argument: str) -> str:
        return argument + secret("cached-result")

    cached(secret("cached-argument"))
    closure.__doc__ = secret("docstring")
    default.__annotations__["value"] = secret("annotation")
    generator = generate(secret("generator-argument"))
    next(generator)
    bound = functools.partial(
        print, secret("partial"), **{secret("partial-keyword"): secret("partial-value")}
    )
    unset = secret("context-default")
    context = contextvars.ContextVar[str]("request", default=unset)
    context.set(secret("context-value"))
    constant = compile(f"x = {secret('constant')!r}", "planted.py", "exec")
    local = threading.local()
    local.value = secret("thread-local")
    return [
        closure,
        default,
        cached,
        generator,
        bound,
        context,
        constant,
        local,
        contextvars.copy_context(),
    ]


def _records() -> list[Any]:
    logging.getLogger(secret("logger"))
    record = logging.LogRecord(
        "planted", 20, "planted.py", 1, secret("message"), (secret("argument"),), None
    )
    group = ExceptionGroup(secret("group"), [ValueError(secret("in-group"))])
    raised: list[BaseException] = [group]
    for error in (
        ValueError(secret("raised")),
        KeyError(secret("missing")),
        OSError(2, "no", secret("file")),
    ):
        try:
            local = secret("local-of-a-traceback")
            raise error
        except (ValueError, KeyError, OSError) as caught:
            caught.add_note(secret("note") + local[:0])
            raised.append(caught)
    folder = tempfile.mkdtemp(prefix=secret("folder"))
    file = open(os.path.join(folder, secret("file-name")), "w+", encoding="utf-8")  # noqa: SIM115
    file.write(secret("file-content"))
    return [record, raised, file, {"pattern": re.compile(secret("regex"))}]


def wait_in_thread(
    stop: threading.Event, started: threading.Event, argument: str, **words: str
) -> None:
    """Hold data in the arguments and locals of a running frame."""
    local = {secret("local-key"): secret("local-value")}
    started.set()
    stop.wait()
    del local, argument, words


async def wait_in_task(argument: str, forever: asyncio.Future[None]) -> None:
    """Hold data in a suspended coroutine."""
    local = [secret("task-local"), argument]
    await forever
    del local


def start_threads_and_tasks(
    thread_name: str, task_name: str
) -> tuple[list[Any], Callable[[], None]]:
    """Return a running thread and a suspended task with data, and what ends them."""
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=wait_in_thread,
        args=(stop, started, secret("thread-argument")),
        kwargs={secret("thread-keyword"): secret("thread-value")},
        name=thread_name,
        daemon=True,
    )
    thread.start()
    started.wait()
    loop = asyncio.new_event_loop()
    forever = loop.create_future()
    task = loop.create_task(wait_in_task(secret("task-argument"), forever), name=task_name)
    loop.run_until_complete(asyncio.sleep(0))

    def end() -> None:
        stop.set()
        thread.join()
        forever.set_result(None)
        loop.run_until_complete(task)
        loop.close()

    return [thread, loop, task], end


def plant_names() -> list[Any]:
    """Return objects with names that the program makes at run time."""
    module = types.ModuleType(name("module"))
    sys.modules[name("module") + ".plugin"] = module
    setattr(module, name("global"), len)
    exec(
        compile(
            f"def {name('function')}({name('parameter')}):\n    {name('local')} = {name('read')}\n"
            f"    return {name('local')}.{name('attribute_read')}\n",
            f"/srv/{name('file')}.py",
            "exec",
        ),
        vars(module),
    )
    made = type(name("Class"), (Account,), {name("member"): 1, "__slots__": (name("slot"),)})
    holder = Account("named")
    setattr(holder, name("instance"), 1)
    context = contextvars.ContextVar[int](name("context"))
    context.set(1)
    pair = collections.namedtuple(name("Pair"), [name("field")])  # type: ignore[misc]
    structure = type(
        name("Structure"), (ctypes.Structure,), {"_fields_": [(name("c_field"), ctypes.c_int)]}
    )
    return [
        module, made, made("made"), holder, types.SimpleNamespace(**{name("keyword"): 2}), context,
        contextvars.copy_context(), pair, pair(3), structure, structure(),
        enum.Enum(name("Enum"), [name("Member")]),  # type: ignore[misc]
    ]  # fmt: skip
