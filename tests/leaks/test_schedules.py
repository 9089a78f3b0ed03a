"""When snapshots are taken, in which order and how many, does not change the verdict."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import EdgeKind as K
from memlens.leaks.leak_report import find_leaks
from tests.heap.planted import Planter

RATE = 20  # elements a second
BORN = 1.5  # seconds: when the program makes its containers
LIFE = 0.7  # seconds that an element of a healthy container stays; shorter than any interval

# Irregular intervals, in seconds: the longest is five times the shortest.
GAPS = st.lists(st.floats(min_value=1, max_value=5), min_size=4, max_size=8)


def container(p, name, kind, numbers):
    node = p.node(kind, 64 + 8 * len(numbers), key=name, length=len(numbers))
    for place, number in enumerate(numbers):
        value = p.node("app.Session", 100, key=(name, number))
        p.edge(node, value, K.INDEX, position=place)
    return node


@cache
def snapshot_at(moment, leaks, **facts):
    """The heap of a program at one moment: a window, a buffer that is flushed, and a leak."""
    p = Planter()
    attributes = {}
    if moment >= BORN:
        count = int(moment * RATE)
        flushed = int(int(moment / LIFE) * LIFE * RATE)
        recent = range(int((moment - LIFE) * RATE), count)
        attributes["recent"] = container(p, "recent", "collections.deque", recent)
        attributes["batch"] = container(p, "batch", "list", range(flushed, count))
        kept = range(count) if leaks else range(count % 7)
        attributes["sessions"] = container(p, "sessions", "list", kept)
        text = p.node("bytearray", 600 + 100 * (count - flushed), key="text")
        p.prefixes[text] = flushed
        attributes["text"] = text
    p.module("app", **attributes)
    return p.snapshot(**{"timestamp": 1000 + moment, **facts})


def moments_of(gaps):
    """Snapshots at the start of the program and after each interval."""
    moments = [0.0, BORN]
    for gap in gaps:
        moments.append(moments[-1] + gap)
    return moments


def holders(moments, leaks=True):
    return [one.holder for one in find_leaks([snapshot_at(moment, leaks) for moment in moments])]


@given(GAPS)
@settings(max_examples=60, deadline=None)
def test_a_leak_is_the_only_suspect_on_every_schedule(gaps):
    assert holders(moments_of(gaps)) == ["app.sessions"]


@given(GAPS)
@settings(max_examples=60, deadline=None)
def test_a_healthy_program_is_silent_on_every_schedule(gaps):
    assert holders(moments_of(gaps), leaks=False) == []


@given(GAPS, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_in_which_snapshots_are_given_does_not_matter(gaps, chance):
    moments = moments_of(gaps)
    shuffled = chance.sample(moments, len(moments))
    told, again = (
        find_leaks([snapshot_at(moment, True) for moment in order]) for order in (moments, shuffled)
    )
    assert told.to_dict() == again.to_dict()


@given(GAPS, st.data())
@settings(max_examples=60, deadline=None)
def test_a_snapshot_less_does_not_change_the_verdict(gaps, data):
    moments = moments_of(gaps)
    del moments[data.draw(st.integers(min_value=0, max_value=len(moments) - 1))]
    assert holders(moments) == ["app.sessions"]
    assert holders(moments, leaks=False) == []


@given(GAPS, st.floats(min_value=0, max_value=1))
@settings(max_examples=60, deadline=None)
def test_a_snapshot_more_does_not_change_the_verdict(gaps, share):
    """Wherever it comes: an alert may come right after a periodic snapshot."""
    moments = moments_of(gaps)
    moments.append(BORN + share * (moments[-1] - BORN))
    assert holders(moments) == ["app.sessions"]
    assert holders(moments, leaks=False) == []


@given(GAPS, st.floats(min_value=0.05, max_value=0.5), st.floats(min_value=0, max_value=1))
@settings(max_examples=60, deadline=None)
def test_work_that_ends_before_the_program_does_not_change_the_verdict(gaps, rest, share):
    """The interval before the end is as long as it happens to be, and so is the work in it."""
    moments = moments_of(gaps)
    rest *= (moments[-1] - BORN) / len(gaps)
    ends = {"reason": "return", "timestamp": 1000 + moments[-1] + rest}
    for leaks, expected in ((True, ["app.sessions"]), (False, [])):
        taken = [snapshot_at(moment, leaks) for moment in moments]
        taken.append(snapshot_at(moments[-1] + share * rest, leaks, **ends))
        assert [one.holder for one in find_leaks(taken)] == expected


@given(GAPS, st.floats(min_value=0, max_value=0.6), st.floats(min_value=0.05, max_value=0.5))
@settings(max_examples=60, deadline=None)
def test_a_cache_that_is_full_before_the_work_ends_is_healthy(gaps, share, rest):
    """It gains in every regular interval, and has all its keys somewhere in the last of them."""
    moments = moments_of([*gaps, max(gaps)])
    full = moments[-2] + share * max(gaps)
    rest *= (moments[-1] - BORN) / (len(gaps) + 1)
    taken = [snapshot_at(min(at, full), True, timestamp=1000 + at) for at in moments]
    end = {"reason": "return", "timestamp": 1000 + moments[-1] + rest}
    assert find_leaks([*taken, snapshot_at(full, True, **end)]).suspects == ()


def test_snapshots_of_one_moment_before_the_work_ends_are_no_error():
    facts = [{"timestamp": 0.0}, {"timestamp": 0.0}, {"timestamp": 10.0}]
    facts.append({"timestamp": 11.0, "reason": "return"})
    moments = (2.0, 12.0, 22.0, 22.0)
    taken = [snapshot_at(at, True, **these) for at, these in zip(moments, facts, strict=True)]
    assert [one.holder for one in find_leaks(taken)] == ["app.sessions"]
