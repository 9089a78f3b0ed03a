"""Objects that grow in their own memory: what keeps its beginning leaks, what is emptied does not."""

from itertools import pairwise

import pytest

from memlens._core.layout import EdgeKind as K
from memlens.leaks.gates import is_even
from memlens.leaks.leak_report import find_leaks
from tests.heap.planted import Planter


def snapshots_of(sizes, prefixes=None, type_name="bytearray", moments=None, count=1):
    """Snapshots of one buffer, or of several in a list, with these sizes and beginnings."""
    snapshots = []
    for step, size in enumerate(sizes):
        p = Planter()
        buffers = [p.node(type_name, size + n, key=("buffer", n)) for n in range(count)]
        if prefixes is not None and prefixes[step] is not None:
            for n, node in enumerate(buffers):
                p.prefixes[node] = prefixes[step] * 100 + n
        if count > 1:
            parts = p.node("list", 64, key="parts", length=count)
            for n, node in enumerate(buffers):
                p.edge(parts, node, K.INDEX, position=n)
            p.module("app", parts=parts)
        else:
            p.module("app", audit=buffers[0])
        moment = step if moments is None else moments[step]
        snapshots.append(p.snapshot(timestamp=3600.0 * moment))
    return snapshots


def holders(*arguments, **options):
    return [suspect.holder for suspect in find_leaks(snapshots_of(*arguments, **options))]


UNEVEN = [1000, 9000, 12_000, 30_000]
EVEN = [1000, 11_000, 21_000, 31_000]


def test_a_buffer_that_keeps_its_beginning_leaks_however_unevenly_it_grows():
    assert holders(UNEVEN, [7, 7, 7, 7]) == ["app.audit"]


def test_a_buffer_that_begins_anew_is_emptied_and_does_not_leak():
    assert holders(EVEN, [7, 7, 8, 8]) == []
    assert holders(EVEN, [7, 8, 9, 10]) == []


@pytest.mark.parametrize("prefixes", [None, [None] * 4])
def test_where_nothing_is_known_of_its_beginning_a_buffer_must_grow_evenly(prefixes):
    assert holders(EVEN, prefixes) == ["app.audit"]
    assert holders(UNEVEN, prefixes) == []


def test_even_growth_over_irregular_intervals_is_even_by_the_second():
    sizes = [1000, 21_000, 31_000, 61_000]
    assert holders(sizes, None, moments=[0, 2, 3, 6]) == ["app.audit"]
    assert holders(sizes, None) == []


def test_two_intervals_are_enough_only_if_the_beginning_stays():
    assert holders(EVEN[:3], [7, 7, 7]) == ["app.audit"]
    assert holders(EVEN[:3]) == []


def test_a_buffer_that_grows_ahead_of_its_contents_may_stand_still_once():
    assert holders([10_000, 20_000, 20_000, 30_000, 40_000], [7] * 5) == ["app.audit"]
    assert holders([10_000, 20_000, 20_000, 20_000, 40_000], [7] * 5) == []


def test_many_buffers_in_one_place_are_one_suspect_if_most_keep_their_beginnings():
    assert holders(UNEVEN, [7, 7, 7, 7], count=20) == ["app.parts[*]"]
    assert holders(UNEVEN, [7, 8, 9, 10], count=20) == []


def test_steps_are_even_within_a_quarter_of_their_mean():
    assert is_even([100, 120, 80])
    assert not is_even([100, 140, 60])
    assert not is_even([after - before for before, after in pairwise(UNEVEN)])


def test_an_int_leaks_only_if_it_keeps_its_lowest_digits():
    """A set of bits does; what a calculation makes larger does not."""
    assert holders(UNEVEN, [7, 7, 7, 7], type_name="int") == ["app.audit"]
    assert holders(EVEN, [7, 8, 9, 10], type_name="int") == []
    assert holders(EVEN, None, type_name="int") == []
    assert holders(EVEN, [None, None, 7, 7], type_name="int") == []
    assert holders(EVEN, None, type_name="int", count=20) == []
