"""A leak that the last snapshot of a program does not have any more."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

import pytest

from memlens.report.html.released import released_text, shown_snapshots
from tests.report.values import hop, leaks, suspect

RETAINED, NODE = 40 << 20, 1


def heap(reason, *, address=7, retained=RETAINED, total=60 << 20, second=0.0, kind="dict"):
    graph = SimpleNamespace(
        node_count=2,
        node_address=array("Q", [0, address]),
        retained_bytes=lambda node: retained,
        type_of=lambda node: kind,
    )
    return SimpleNamespace(reason=reason, graph=graph, total_bytes=total, timestamp=second)


def shown(*heaps, holder_type="dict"):
    path = type(suspect().path)("shop", "module", (hop("._sessions", "dict"),))
    report = leaks(suspect(path=path, holder_type=holder_type))
    return len(shown_snapshots(heaps, report))


EMPTY = {"address": 9, "retained": 100, "total": 10 << 20}


def test_the_heap_before_the_release_is_shown():
    assert shown(heap("periodic"), heap("periodic"), heap("exit", **EMPTY)) == 2
    reused = EMPTY | {"address": 7, "kind": "tuple"}
    assert shown(heap("periodic"), heap("periodic"), heap("exit", **reused)) == 2


@pytest.mark.parametrize(
    "last",
    [
        heap("exit"),
        heap("periodic", **EMPTY),
        heap("exit", **EMPTY | {"address": 7}),
        heap("exit", **EMPTY | {"total": 59 << 20}),
    ],
)
def test_the_last_heap_is_shown_where_the_release_is_not_certain(last):
    assert shown(heap("periodic"), last) == 2


def test_without_the_holder_or_suspects_all_are_shown():
    heaps = [heap("periodic"), heap("exit", **EMPTY)]
    assert shown(*heaps, holder_type="list") == 2
    assert shown_snapshots(heaps, None) == heaps
    assert shown_snapshots([], leaks(suspect())) == []


def test_the_sentence_says_when():
    assert released_text([heap("periodic", second=3661.0)]).endswith("at 01:01:01 UTC.")
