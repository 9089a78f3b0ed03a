"""Who is who in two snapshots, in less memory than a column of all nodes."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import NONE
from memlens.leaks.growth import Matches


@settings(max_examples=100, deadline=None)
@given(same=st.lists(st.integers(0, 50) | st.just(NONE), max_size=40))
def test_matches_are_those_that_were_given(same):
    assert Matches(array("I", same)).column() == array("I", same)


@pytest.mark.parametrize(
    ("same", "typecode"),
    [
        ([*range(50), *[NONE] * 50], "Q"),  # two runs
        ([*range(50, 0, -1)], "I"),  # as many runs as nodes
    ],
)
def test_runs_are_kept_where_they_take_less(same, typecode):
    assert Matches(array("I", same))._stored.typecode == typecode
