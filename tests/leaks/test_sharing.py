"""What a holder gained, where the memory of objects that are gone was used again."""

import pytest

from memlens._core.layout import EdgeKind as K
from memlens._core.layout import RootKind
from memlens.leaks.leak_report import find_leaks
from tests.leaks.test_suspects import series

FRAME, TUPLE, DATA, STEP = 64, 56, 1000, 10
# The pool of the first snapshot has ten of the tuples; all others are new since then.


def tuples_at_used_addresses(p, n, first, depth=1, weakly=False):
    """Frames whose data hang on tuples; a pool has tuples where those of the next frames will be."""
    frames = p.node("list", 64 + 8 * n, key="frames", length=n - first)
    for number in range(first, n):
        owner = p.node("app.Frame", FRAME, key=("frame", number))
        p.edge(frames, owner, K.INDEX, position=number - first)
        for level in range(depth):
            part = p.node("tuple", TUPLE, key=("tuple", number, level), length=1)
            p.edge(owner, part)
            owner = part
        kind = K.WEAK if weakly else K.INDEX
        data = p.node("app.Data", DATA, key=("data", number))
        p.edge(owner, data, kind)
        if weakly:
            p.root(data, RootKind.INTERPRETER, name=f"data {number}")
    pool = p.node("list", 300, key="pool", length=STEP * depth)
    for number in range(n, n + STEP):
        for level in range(depth):
            p.edge(pool, p.node("tuple", TUPLE, key=("tuple", number, level), length=1))
    p.module("app", frames=frames, pool=pool)


@pytest.mark.parametrize("depth", [1, 2])
def test_what_lies_behind_a_tuple_that_was_taken_for_another_counts(depth):
    (suspect,) = find_leaks(series(lambda p, n: tuples_at_used_addresses(p, n, 0, depth)))
    assert suspect.holder == "app.frames"
    assert suspect.count_growth == 30
    assert suspect.retained_growth_bytes == 30 * (FRAME + DATA + 8) + 20 * depth * TUPLE


def test_a_weak_reference_of_such_a_tuple_holds_nothing():
    first, *_ = find_leaks(series(lambda p, n: tuples_at_used_addresses(p, n, 0, weakly=True)))
    assert first.retained_growth_bytes == 30 * (FRAME + 8) + 20 * TUPLE


def test_a_bounded_holder_with_such_tuples_is_no_leak():
    assert list(find_leaks(series(lambda p, n: tuples_at_used_addresses(p, n, n - STEP)))) == []


def test_old_objects_that_move_into_a_holder_are_no_growth():
    def jobs(p, n):
        done = p.node("list", 64, key="done", length=n)
        waiting = p.node("list", 64, key="waiting", length=100 - n)
        for number in range(100):
            job = p.node("app.Job", DATA, key=("job", number))
            holder = waiting
            if number < n:
                holder = p.node("app.Result", FRAME, key=("result", number))
                p.edge(done, holder, K.INDEX, position=number)
            p.edge(holder, job)
        p.module("app", done=done, waiting=waiting)

    (suspect,) = find_leaks(series(jobs))
    assert suspect.retained_growth_bytes == 30 * FRAME
