import json

import pytest

from memlens._core.layout import EdgeKind as K
from memlens.leaks.leak_report import find_leaks
from tests.leaks.test_suspects import series, table_of


def test_what_grows_and_states_a_bound_is_told_as_such_and_is_no_suspect():
    def plant(p, n):
        p.module(
            "app", recent=table_of(p, n, container="collections.deque", kind=K.INDEX, bound=500)
        )

    report = find_leaks(series(plant))
    assert len(report) == 0
    (bounded,) = report.bounded
    assert (bounded.holder, bounded.holder_type) == ("app.recent", "collections.deque")
    assert (bounded.length, bounded.bound) == (40, 500)
    assert "no holder without a bound grew" in str(report)
    assert "Not leaks: app.recent bounded at 500 (holds 40)" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["bounded"][0]["bound"] == 500


@pytest.mark.parametrize(("bound", "confidence"), [(500, "high"), (10_000_000, "medium")])
def test_that_there_is_no_leak_is_less_certain_where_the_bound_is_far(bound, confidence):
    def plant(p, n):
        p.module("app", recent=table_of(p, n, kind=K.KEY, bound=bound))

    report = find_leaks(series(plant))
    assert (report.verdict, report.confidence) == ("no leak", confidence)


@pytest.mark.parametrize(
    ("counts", "grows"),
    [
        ([10, 20, 30, 40], True),
        ([10, 40, 40, 40], False),  # once
        ([10, 10, 10, 40], False),
        ([10, 90, 20, 30], True),  # what it kept rose twice
        ([10, 90, 90, 20], False),
        ([10, 40], True),  # two snapshots cannot tell
    ],
)
def test_types_that_grow_are_those_that_kept_what_they_gained_more_than_once(counts, grows):
    left = iter(counts)

    def plant(p, n):
        nodes = [p.node("app.Row", 100, key=("row", i)) for i in range(next(left))]
        p.module("app", **{f"row_{i}": node for i, node in enumerate(nodes)})

    report = find_leaks(series(plant, rounds=len(counts)))
    assert ("app.Row" in [change.type_name for change in report.growing_types]) == grows
