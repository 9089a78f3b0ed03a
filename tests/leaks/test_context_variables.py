"""Contexts that gain variables, whatever the shape of the trie that keeps them."""

import contextvars
import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

import memlens
from memlens._core.layout import EdgeKind as K
from memlens._core.layout import NodeFlag, RootKind
from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.snapshot import HeapSnapshot
from memlens.leaks.leak_report import find_leaks
from tests.heap.planted import Planter

SHAPES = st.integers(min_value=0, max_value=10_000).map(random.Random)
STEPS = st.lists(st.integers(min_value=30, max_value=40), min_size=3, max_size=5)


def grow_trie(p, variables, chance):
    """Keep variables, each with a value, in a trie of new nodes with a shape by chance."""
    trie = p.node("hamt", 64)
    nodes = [p.node("hamt_array_node", 300)]
    p.edge(trie, nodes[0], K.INTERNAL)
    for variable, value in variables:
        if chance.random() < 0.4:
            deeper = p.node("hamt_bitmap_node", 64)
            p.edge(chance.choice(nodes), deeper, K.INTERNAL)
            nodes.append(deeper)
        holder = chance.choice(nodes)
        p.edge(holder, p.node("app.State", 200, key=("value", value)), K.INTERNAL)
        key = ("variable", variable)
        p.edge(holder, p.node("_contextvars.ContextVar", 72, key=key), K.INTERNAL)
    return trie


def snapshots(steps, chance, variables_at):
    """Snapshots of a context; ``variables_at``: (variable, value) after so many requests."""
    taken = []
    for step, served in enumerate(itertools.accumulate([50, *steps])):
        p = Planter()
        context = p.node("_contextvars.Context", 64, key="context")
        p.edge(context, grow_trie(p, variables_at(served), chance), K.INTERNAL)
        p.module("app", context=context)
        taken.append(p.snapshot(timestamp=60.0 * step))
    return taken


def as_at_the_end(taken):
    """The last snapshot again, a little later, as `run` takes it when the work has ended."""
    facts = {**taken[-1].facts, "reason": "return", "timestamp": taken[-1].timestamp + 20}
    return [*taken, HeapSnapshot(HeapGraph(taken[-1].graph.sections, facts))]


@given(STEPS, SHAPES)
@settings(max_examples=25, deadline=None)
def test_variables_that_stay_in_a_context_are_a_leak_of_their_number(steps, chance):
    taken = snapshots(steps, chance, lambda n: [(i, i) for i in range(n)])
    for given_snapshots in (taken, as_at_the_end(taken)):
        (suspect,) = find_leaks(given_snapshots)
        assert (suspect.holder, suspect.pattern) == ("app.context", "registry")
        assert suspect.count_growth == sum(steps)
        assert set(suspect.growing_types) == {"app.State", "_contextvars.ContextVar"}


@given(STEPS, SHAPES)
@settings(max_examples=25, deadline=None)
def test_variables_that_are_set_again_are_healthy(steps, chance):
    assert not find_leaks(snapshots(steps, chance, lambda n: [(i, (n, i)) for i in range(60)]))


@given(STEPS, SHAPES)
@settings(max_examples=25, deadline=None)
def test_variables_that_come_and_go_are_healthy(steps, chance):
    def of_the_last_requests(served):
        return [(i, i) for i in range(served - 3 - served % 5, served)]

    assert not find_leaks(snapshots(steps, chance, of_the_last_requests))


def test_tries_that_contexts_share_are_counted_once():
    taken = []
    for step in range(4):
        p = Planter()
        tasks = p.node("list", 100, key="tasks", length=3)
        trie = p.node("hamt", 64)
        for i in range(20):
            key = ("variable", i)
            p.edge(trie, p.node("_contextvars.ContextVar", 72, key=key), K.INTERNAL)
        for i in range(3 + 20 * step):  # a task more each time, with a copy of the context
            context = p.node("_contextvars.Context", 64, flags=NodeFlag.OWN if i % 2 else 0)
            p.edge(context, trie, K.INTERNAL)
            p.edge(tasks, context, K.INDEX, position=i)
        p.root(tasks, RootKind.INTERPRETER, "tasks")
        taken.append(p.snapshot(timestamp=60.0 * step))
    assert not [one for one in find_leaks(taken) if "Context" in one.holder_type]


CONTEXT = contextvars.copy_context()


def test_a_live_context_is_the_holder_and_says_how_many():
    taken = []
    for step in range(4):
        for i in range(40):
            CONTEXT.run(contextvars.ContextVar(f"v{step}-{i}").set, bytearray(100))
        taken.append(memlens.take_heap_snapshot(collect=True))
    (suspect,) = (one for one in find_leaks(taken) if one.holder.endswith(".CONTEXT"))
    assert suspect.count_growth == 120
