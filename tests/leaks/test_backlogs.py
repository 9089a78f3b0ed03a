"""Queues: one that takes in more than it gives out leaks; steady, slid and emptied ones do not."""

import random

import pytest

from memlens._core.layout import EdgeKind as K
from memlens.leaks.gates import Contents, is_leak
from memlens.leaks.leak_report import find_leaks
from tests.heap.planted import Planter

REGULAR = (10, 20, 30, 40)
STRETCHED = (4, 8, 16, 32)
SEEDS = range(40)


def contents_at(moments, arrivals, leave):
    """Numbers of the elements of a queue at these moments.

    ``arrivals(second)`` come in each second, in order; ``leave(waiting, second)`` go, oldest first.
    """
    waiting, number, found = [], 0, []
    for second in range(1, moments[-1] + 1):
        count = arrivals(second)
        waiting += range(number, number + count)
        number += count
        del waiting[: leave(waiting, second)]
        if second in moments:
            found.append(tuple(waiting))
    return found


def holders(moments, *behaviour):
    snapshots = []
    for moment, elements in zip(moments, contents_at(moments, *behaviour), strict=True):
        p = Planter()
        waiting = p.node("collections.deque", 600, key="waiting", length=len(elements))
        for position, number in enumerate(elements):
            p.edge(waiting, p.node("app.Job", 100, key=number), K.INDEX, position=position)
        p.module("app", waiting=waiting)
        snapshots.append(p.snapshot(timestamp=60.0 * moment))
    return [suspect.holder for suspect in find_leaks(snapshots)]


@pytest.mark.parametrize("moments", [REGULAR, STRETCHED])
@pytest.mark.parametrize("served", [1, 2, 3])
def test_a_queue_that_takes_in_three_times_what_it_gives_out_leaks(moments, served):
    """First in, first out: what came in the first interval has gone by the end."""
    arrivals = 10 if served == 3 else 8
    assert holders(moments, lambda _: arrivals, lambda *_: served) == ["app.waiting"]


@pytest.mark.parametrize("moments", [REGULAR, STRETCHED])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_queue_that_keeps_up_is_healthy(moments, seed):
    rng = random.Random(seed)
    served = rng.randrange(5, 40)
    assert not holders(
        moments, lambda _: rng.randrange(2 * served), lambda *_: rng.randrange(2 * served + 2)
    )


@pytest.mark.parametrize("moments", [REGULAR, STRETCHED])
@pytest.mark.parametrize("period", range(3, 40, 3))
def test_a_batch_that_is_emptied_when_full_is_healthy(moments, period):
    for phase in range(period):
        assert (
            not holders(
                moments,
                lambda second: 5 + second % 7,
                lambda waiting, second, phase=phase: (
                    len(waiting) if (second + phase) % period == 0 else 0
                ),
            )
            or period > moments[-1] - moments[0]
        ), (period, phase)


@pytest.mark.parametrize("moments", [REGULAR, STRETCHED])
@pytest.mark.parametrize("room", [50, 100, 150, 200])
def test_a_window_is_healthy(moments, room):
    assert not holders(moments, lambda _: 10, lambda waiting, _: max(0, len(waiting) - room))


def test_growing_traffic_through_a_short_window_is_healthy():
    """Each snapshot shows other elements, more of them: nothing stays."""
    added = [30, 70, 150, 320]
    passing = Contents((10, *added), added, [10, *added[:-1]], [0, 0, 0, 320], range(5))
    assert not is_leak(passing)


def test_elements_that_leave_in_another_order_must_be_kept():
    lengths, added, removed = (100, 160, 220, 280), [90, 90, 90], [30, 30, 30]
    assert is_leak(Contents(lengths, added, removed, [0, 60, 90], range(4)))
    assert not is_leak(Contents(lengths, added, removed, [60, 0, 90], range(4)))


def suspects_in(kind, attribute, item="app.Job", base=None):
    """The suspects of an object of a type whose attribute keeps ever more items."""
    snapshots = []
    for count in REGULAR:
        p = Planter()
        items = p.node("collections.deque", 600, key="items", length=count)
        for number in range(count):
            p.edge(items, p.node(item, 100, key=number), K.INDEX, position=number)
        waiting = p.node(kind, 48, key="waiting")
        p.edge(waiting, items, name=attribute)
        if base:
            p.classes[kind], parent = p.node("type", 1000, key=kind), p.node("type", 1000, key=base)
            p.names[parent] = (p.text(base), 0, 0)
            p.edge(p.classes[kind], parent, K.INTERNAL, "__base__")
        p.module("app", waiting=waiting)
        snapshots.append(p.snapshot(timestamp=60.0 * count))
    return find_leaks(snapshots)


@pytest.mark.parametrize(
    ("kind", "attribute", "said"),
    [
        ("asyncio.queues.Queue", "_queue", "asyncio.Queue(maxsize=N)"),
        ("asyncio.queues.LifoQueue", "_queue", "asyncio.LifoQueue(maxsize=N)"),
        ("queue.Queue", "queue", "queue.Queue(maxsize=N)"),
    ],
)
@pytest.mark.parametrize(
    ("item", "pattern"),
    [("app.Job", "registry"), ("str", "unbounded-cache"), ("function", "registry")],
)
def test_a_queue_of_the_standard_library_is_to_be_given_a_bound(
    kind, attribute, said, item, pattern
):
    (suspect,) = suspects_in(kind, attribute, item)
    assert suspect.holder == f"app.waiting.{attribute}"
    assert suspect.pattern == pattern
    assert said in suspect.suggestion
    assert "The producer is faster than the consumer" in suspect.suggestion
    assert "weakref" not in suspect.suggestion


def test_a_subclass_is_a_queue_too():
    (suspect,) = suspects_in("app.Waiting", "_queue", base="asyncio.queues.PriorityQueue")
    assert "asyncio.PriorityQueue(maxsize=N)" in suspect.suggestion
    (suspect,) = suspects_in("app.Waiting", "_queue", base="app.Other")
    assert "maxsize" not in suspect.suggestion


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [("app.Waiting", "_queue"), ("app.Waiting", "queue"), ("queue.Queue", "other")],
)
def test_an_attribute_of_that_name_alone_is_no_queue(kind, attribute):
    (suspect,) = suspects_in(kind, attribute)
    assert "maxsize" not in suspect.suggestion
    assert "weakref.WeakSet" in suspect.suggestion
