"""The largest nodes, and what two heaps have in common."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import NONE

FLAGS = st.sampled_from([0, 1, 2, 32, 34, 0x8000])


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5) | st.integers(0, 1 << 63), FLAGS), max_size=50),
    count=st.integers(0, 60),
    skip=st.sampled_from([0, 2, 34]),
)
def test_the_largest_nodes_come_first(core, rows, count, skip):
    values, flags = array("Q", [9, *(r[0] for r in rows)]), array("H", [0, *(r[1] for r in rows)])
    shown = [node for node in range(1, len(values)) if not flags[node] & skip]
    expected = sorted(shown, key=lambda node: (-values[node], node))[:count]
    found = core.largest_nodes(values, flags, count, skip)
    assert (found.typecode, found.tolist()) == ("I", expected)


@st.composite
def pairs(draw):
    before = draw(st.lists(FLAGS, min_size=1, max_size=20))
    left = list(range(1, len(before)))
    after, same = [0], [0]
    for flag in draw(st.lists(FLAGS, max_size=20)):
        after.append(flag)
        known = left and draw(st.booleans())
        same.append(left.pop(draw(st.integers(0, len(left) - 1))) if known else NONE)
    return array("H", before), array("H", after), array("I", same)


@settings(max_examples=150, deadline=None)
@given(pair=pairs(), skip=st.sampled_from([0, 34]))
def test_matched_nodes_are_marked_in_both_heaps(core, pair, skip):
    before, after, same = pair
    mark = 0x8000
    expected_before = [flag & ~mark for flag in before]
    expected_after = [flag & ~mark for flag in after]
    for node, old in enumerate(same):
        if old != NONE and not after[node] & skip and not before[old] & skip:
            expected_before[old] |= mark
            expected_after[node] |= mark
    found = core.mark_matched(same, before, after, skip, mark)
    assert [column.typecode for column in found] == ["H", "H"]
    assert [column.tolist() for column in found] == [expected_before, expected_after]


TWO = array("Q", [1, 2])
NO_FLAGS = array("H", [0, 0])


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("largest_nodes", (TWO, NO_FLAGS[:1], 1), "node_flags has 1 entries for 2 nodes"),
        ("largest_nodes", (TWO, NO_FLAGS, -1), "count must not be negative"),
        ("largest_nodes", (TWO, NO_FLAGS, 1, 1 << 16), "skip_flags must be from 0"),
        (
            "mark_matched",
            (array("I", [0, 2]), NO_FLAGS, NO_FLAGS, 0, 1),
            "same names node 2 of only 2",
        ),
        ("mark_matched", (array("I", [0]), NO_FLAGS, NO_FLAGS, 0, 1), "flags_b has 2 entries"),
        ("mark_matched", (array("I", [0, 1]), NO_FLAGS, NO_FLAGS, 0, 1 << 16), "mark must be"),
    ],
)
def test_columns_that_do_not_fit_are_refused(core, name, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        getattr(core, name)(*arguments)
