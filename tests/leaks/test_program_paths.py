"""Names of holders: the program's own names before the tables of a library."""

import pytest

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import RootKind
from memlens.leaks.leak_report import find_leaks
from tests.leaks.test_suspects import series

LIBRARY = "/usr/lib/python3.12/selectors.py"
PROGRAM = "/home/me/app/server.py"


def frame(p, function, file=PROGRAM, thread=7, **local):
    """Add a running frame with local variables."""
    node = p.node("frame", 100, key=("frame", function, thread))
    for name, target in local.items():
        p.edge(node, target, K.LOCAL, name)
    p.root(node, RootKind.FRAME, function, frame=(thread, function, file, 12))
    return node


def library(p, target, *, key=True, file=LIBRARY):
    """Add a module of the standard library with a table that leads to an object."""
    table = p.node("dict", 232, key="fd_to_key", length=1)
    p.edge(table, target, K.KEY if key else K.ATTRIBUTE, "<int>" if key else "handler")
    module = p.module("selectors", table=table)
    p.names[module] = (p.text("selectors"), p.text(file), 1)


def hub_of(p, n):
    """Add an object whose ``writers`` is a list of n."""
    hub, writers = p.node("app.Hub", 56, key="hub"), p.node("list", 600, key="writers", length=n)
    p.edge(hub, writers, K.ATTRIBUTE, "writers")
    for i in range(n):
        p.edge(writers, p.node("app.Writer", 100, key=("writer", i)), K.INDEX, position=i)
    return hub


def holder_of(plant):
    (suspect,) = find_leaks(series(plant))
    return suspect.holder


def test_a_local_of_the_program_comes_before_a_table_of_a_library():
    def plant(p, n):
        hub = hub_of(p, n)
        library(p, hub)
        frame(p, "main", hub=hub)

    assert holder_of(plant) == "main() local 'hub'.writers"


def test_a_module_of_the_program_comes_before_its_frames_and_its_main_thread_before_others():
    def plant(p, n, *, has_module):
        hub = hub_of(p, n)
        library(p, hub)
        owner = p.node("app.Owner", 56, key="owner")
        p.edge(owner, hub, K.ATTRIBUTE, "hub")
        frame(p, "work", thread=9, owner=owner)
        frame(p, "main", owner=owner)
        if has_module:
            module = p.node("module", 64, key="module")
            namespace = p.node("dict", 232, key="app", length=1)
            p.edge(module, namespace, K.INTERNAL, "__dict__")
            p.edge(namespace, hub, K.ATTRIBUTE, "HUB")
            p.root(module, name="app")
            p.names[module] = (p.text("app"), p.text(PROGRAM), 1)

    assert (
        holder_of(lambda p, n: plant(p, n, has_module=False)) == "main() local 'owner'.hub.writers"
    )
    assert holder_of(lambda p, n: plant(p, n, has_module=True)) == "app.HUB.writers"


def test_a_suspended_coroutine_of_the_program_is_named_too():
    def plant(p, n):
        hub = hub_of(p, n)
        coroutine = p.node("coroutine", 200, key="coroutine")
        code = p.node("code", 200, key="code")
        p.names[code] = (p.text("serve"), p.text(PROGRAM), 3)
        p.edge(coroutine, code, K.INTERNAL, "cr_code")
        p.edge(coroutine, hub, K.LOCAL, "hub")
        waiting = p.node("list", 80, key="scheduled", length=2)
        for position, target in enumerate((coroutine, hub)):
            p.edge(waiting, target, K.INDEX, position=position)
        library(p, waiting)

    assert holder_of(plant) == "coroutine serve() local 'hub'.writers"


@pytest.mark.parametrize("named", [False, True])
def test_a_library_that_alone_holds_it_or_names_it_is_named(named):
    def plant(p, n):
        hub = hub_of(p, n)
        library(p, hub, key=not named)
        if named:
            frame(p, "main", hub=hub)

    expected = "selectors.table.handler.writers" if named else "selectors.table[<int>].writers"
    assert holder_of(plant) == expected


def test_what_a_library_calls_by_name_and_the_program_by_position_keeps_the_library_name():
    def plant(p, n):
        hub = hub_of(p, n)
        library(p, hub)
        hubs = p.node("list", 80, key="hubs", length=1)
        p.edge(hubs, hub, K.INDEX, position=0)
        frame(p, "main", hubs=hubs)

    assert holder_of(plant) == "selectors.table[<int>].writers"


def test_locals_of_many_threads_of_one_function_are_named_by_the_function():
    def plant(p, n):
        for thread in range(20, 32):
            results = p.node("list", 600, key=("results", thread), length=n)
            for i in range(n):
                result = p.node("app.Result", 100, key=(thread, i))
                p.edge(results, result, K.INDEX, position=i)
            frame(p, "work", thread=thread, results=results)

    assert holder_of(plant) == "12 × work() local 'results'"


def test_an_object_with_very_many_references_is_a_table_and_is_not_searched():
    def plant(p, n, *, count):
        hub = hub_of(p, n)
        library(p, hub)
        crowd = p.node("app.Crowd", 600, key="crowd")
        for i in range(count):
            p.edge(crowd, p.node("int", 28, key=("int", i)), K.ATTRIBUTE, "number")
        p.edge(crowd, hub, K.ATTRIBUTE, "hub")
        frame(p, "main", crowd=crowd)

    assert holder_of(lambda p, n: plant(p, n, count=10)) == "main() local 'crowd'.hub.writers"
    assert holder_of(lambda p, n: plant(p, n, count=3000)).startswith("selectors.table")


def tasks_of(p, target, named, *, order, file=PROGRAM):
    """Add suspended coroutines with an object in a local, in an order, in a table of a library."""
    waiting = p.node("list", 80, key="scheduled", length=len(named))
    for position, number in enumerate(order):
        function, local = named[number]
        coroutine = p.node("coroutine", 200, key=("coroutine", number))
        code = p.node("code", 200, key=("code", number))
        p.names[code] = (p.text(function), p.text(file), 3)
        p.edge(coroutine, code, K.INTERNAL, "cr_code")
        p.edge(coroutine, target, K.LOCAL, local)
        p.edge(waiting, coroutine, K.INDEX, position=position)
    library(p, waiting)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_of_several_tasks_with_an_object_the_first_by_name_is_told(order):
    """Which task is nearest to a root depends on the timers of the event loop."""
    named = [("produce", "self"), ("consume", "self"), ("main", "p"), ("consume", "hub")]

    def plant(p, n):
        tasks_of(p, hub_of(p, n), named, order=order)

    (suspect,) = find_leaks(series(plant))
    assert suspect.holder == "coroutine consume() local 'hub'.writers"
    assert suspect.origin.kind == "program"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_task_of_a_library_is_told_only_where_the_program_has_none(order):
    def plant(p, n):
        hub = hub_of(p, n)
        tasks_of(p, hub, [("aloop", "hub"), ("bloop", "hub")], order=order, file=LIBRARY)
        serve = p.node("coroutine", 200, key="serve")
        code = p.node("code", 200, key="code of serve")
        p.names[code] = (p.text("serve"), p.text(PROGRAM), 3)
        p.edge(serve, code, K.INTERNAL, "cr_code")
        p.edge(serve, hub, K.LOCAL, "hub")
        later, pair = p.node("list", 80, key="later", length=1), p.node("tuple", 60, key="pair")
        p.edge(later, pair, K.INDEX)
        p.edge(pair, serve, K.INDEX)
        module = p.module("heapq", later=later)
        p.names[module] = (p.text("heapq"), p.text(LIBRARY), 1)

    assert holder_of(plant) == "coroutine serve() local 'hub'.writers"
