"""Small leaks of many kinds, all at once in one process; prints what memlens says of them.

Each function below is one step of one leak. Run as a program; the tests read its output.
"""

import array
import asyncio
import atexit
import collections
import contextvars
import functools
import io
import itertools
import json
import linecache
import logging
import os
import sys
import threading
import types
import warnings
import weakref

import memlens


class Payload:
    def __init__(self):
        self.data = bytearray(200)


class Job(Payload): ...


class Request(Payload): ...


class View(Payload):
    def refresh(self):
        return self.data


class Parent(Payload): ...


class Child:
    def __init__(self, parent):
        self.parent = parent


class Report(Payload):
    @functools.cache  # noqa: B019 - this is the leak
    def total(self):
        return len(self.data)


class Plugin:
    registry = []

    def __init_subclass__(cls):
        Plugin.registry.append(cls)


class Session:
    def __init__(self):
        self.history = []


class Signal:
    def __init__(self):
        self.receivers = []


class Head:
    def __init__(self):
        self.state = Node(None)
        self.text = ""


class Node:
    def __init__(self, previous):
        self.previous = previous


counter = itertools.count()
cache = {}
tasks = []
threads = []
failures = []
audit = io.BytesIO()
trail = bytearray()
samples = array.array("d")
hooks = []
signal = Signal()
owners = weakref.WeakKeyDictionary()
sessions = {number: Session() for number in range(200)}
seen = set()
lines = []
head = Head()
loop = asyncio.new_event_loop()
deferred = collections.deque()
context = contextvars.copy_context()


def dict_cache(i):
    cache[f"user-{i}"] = Request()


def finished_tasks(i):
    async def work():
        return Payload()

    task = loop.create_task(work())
    tasks.append(task)
    loop.run_until_complete(task)


def finished_threads(i):
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    threads.append(thread)


def kept_exceptions(i):
    payload = Payload()
    try:
        raise ValueError(len(payload.data))
    except ValueError as error:
        failures.append(error)


def bytes_io(i):
    audit.write(b"x" * 100)


def grown_bytearray(i):
    trail.extend(b"x" * 100)


def grown_array(i):
    samples.extend([1.0] * 50)


def closures(i):
    payload = bytearray(3000)
    hooks.append(lambda: len(payload))


def signal_receivers(i):
    signal.receivers.append((i + 10_000, View().refresh))


def weak_keys_pinned(i):
    parent = Parent()
    owners[parent] = Child(parent)


def many_small(i):
    sessions[i % 200].history.append(Payload())


def remembered(i):
    seen.add(f"id-{i}")


def list_of_text(i):
    lines.append(f"line {i}")


def method_cache(i):
    Report().total()


def subclasses(i):
    type(f"Plugin{i}", (Plugin,), {})


def chain(i):
    head.state = Node(head.state)


def longer_text(i):
    head.text = head.text + "x" * 50


def loggers(i):
    logging.getLogger(f"request.{i}")


def finalizers(i):
    job = Job()
    weakref.finalize(job, list, [job])


def at_exit(i):
    payload = Payload()
    atexit.register(lambda: payload)


def at_fork(i):
    payload = Payload()
    os.register_at_fork(after_in_child=lambda: payload)


def sources(i):
    linecache.cache[f"<generated {i}>"] = (10, None, ["x = 1\n"], f"<generated {i}>")


def warned(i):
    warnings.warn(f"value {i} is odd", UserWarning, stacklevel=1)


def modules(i):
    sys.modules[f"generated_{i}"] = types.ModuleType(f"generated_{i}")


def context_variables(i):
    context.run(contextvars.ContextVar(f"v{i}").set, Payload())


def native(i):
    # A reference that nobody gives back: what a C extension without its Py_DECREF does.
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(Request()))


STEPS = [
    dict_cache, finished_tasks, finished_threads, kept_exceptions, bytes_io, grown_bytearray,
    grown_array, closures, signal_receivers, weak_keys_pinned, many_small, remembered,
    list_of_text, method_cache, subclasses, chain, longer_text, loggers, finalizers, at_exit,
    at_fork, sources, warned, modules, context_variables, native,
]  # fmt: skip


def main():
    warnings.showwarning = lambda *_, **__: None
    warnings.simplefilter("default")
    snapshots = []
    for _ in range(5):
        for _ in range(60):
            i = next(counter)
            for step in STEPS:
                step(i)
        snapshots.append(memlens.take_heap_snapshot(collect=True))
    print(json.dumps([s.to_dict() for s in memlens.find_leaks(snapshots[1:], limit=100)]))
    sys.stdout.flush()
    os._exit(0)  # what was registered for the exit is not to run


if __name__ == "__main__":
    main()
