"""What follows from the dominator tree: rows of children, flags handed down, sums by group."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import NONE, NodeFlag

from .graphs import graphs, in_every_form

HIDDEN = NodeFlag.GARBAGE | NodeFlag.OWN


@st.composite
def trees(draw, max_nodes=40):
    """A dominator column, numbered in no particular order, with what no root reaches."""
    count = draw(st.integers(1, max_nodes))
    order = [0, *draw(st.permutations(range(1, count)))]
    parents = [NONE] * count
    for place, node in enumerate(order[1:], 1):
        above = draw(st.none() | st.integers(0, place - 1))
        parents[node] = NONE if above is None else order[above]
    return array("I", parents)


def columns(draw_from, length, code):
    return st.lists(draw_from, min_size=length, max_size=length).map(lambda v: array(code, v))


def ways_up(parents):
    """Each node with its dominators, the nearest first."""
    for node in range(len(parents)):
        way, at = [], parents[node]
        while at != NONE:
            way.append(at)
            at = parents[at]
        yield node, way


@settings(max_examples=100, deadline=None)
@given(parents=trees())
def test_children_rows_agree_with_the_parent_column(core, parents):
    offsets, children = core.children_rows(parents)
    assert (offsets.typecode, children.typecode) == ("Q", "I")
    assert len(offsets) == len(parents) + 1
    for node in range(len(parents)):
        row = children[offsets[node] : offsets[node + 1]].tolist()
        assert row == [child for child, parent in enumerate(parents) if parent == node]


@settings(max_examples=100, deadline=None)
@given(data=st.data(), parents=trees(), mask=st.integers(0, 0xFFFF))
def test_flags_are_inherited_by_all_dominated_nodes(core, data, parents, mask):
    flags = data.draw(columns(st.sampled_from([0, 0, 1, 2, 32, 0xFFFF]), len(parents), "H"))
    spread = core.spread_flags(parents, flags, mask)
    assert spread.typecode == "H"
    for node, way in ways_up(parents):
        expected = flags[node]
        for above in way:
            expected |= flags[above] & mask
        assert spread[node] == expected


@settings(max_examples=100, deadline=None)
@given(data=st.data(), parents=trees())
def test_the_nearest_marked_node_is_the_first_on_the_way_up(core, data, parents):
    marks = data.draw(columns(st.sampled_from([0, 0, 1, 255]), len(parents), "B"))
    nearest = core.nearest_marked(parents, marks)
    assert nearest.typecode == "I"
    for node, way in ways_up(parents):
        assert nearest[node] == next((n for n in [node, *way] if marks[n]), NONE)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), parents=trees())
def test_a_sum_has_the_sizes_of_all_dominated_nodes(core, data, parents):
    sizes = data.draw(columns(st.integers(0, 1 << 50), len(parents), "Q"))
    sums = core.subtree_sums(parents, sizes)
    expected = sizes.tolist()
    for node, way in ways_up(parents):
        for above in way:
            expected[above] += sizes[node]
    assert (sums.typecode, sums.tolist()) == ("Q", expected)


@settings(max_examples=100, deadline=None)
@given(graph=graphs())
def test_sums_of_shallow_sizes_are_the_retained_sizes(core, graph):
    dominator, retained = core.dominator_tree(*graph)
    assert core.subtree_sums(dominator, graph.node_size) == retained


@settings(max_examples=100, deadline=None)
@given(data=st.data(), graph=graphs(max_nodes=30))
def test_a_group_retains_its_topmost_members(core, data, graph):
    dominator, retained = core.dominator_tree(*graph)
    count = graph.node_count
    groups = data.draw(columns(st.integers(0, 3), count, "I"))
    flags = data.draw(columns(st.sampled_from([0, 0, 2, 32, 34]), count, "H"))
    skip = data.draw(st.sampled_from([0, 2, int(HIDDEN)]))
    expected = [0] * 4
    for node, way in ways_up(dominator):
        above = [n for n in way if n and groups[n] == groups[node] and not flags[n] & skip]
        if node and not flags[node] & skip and not above:
            expected[groups[node]] += retained[node]
    found = core.retained_by_group(dominator, retained, groups, 4, flags, skip)
    assert (found.typecode, found.tolist()) == ("Q", expected)


def test_a_deep_chain_needs_no_recursion(core):
    count = 200_000
    parents = array("I", [NONE, *range(count - 1)])
    flags = array("H", [0, 0, 32]) + array("H", [0]) * (count - 3)
    assert core.spread_flags(parents, flags, 32)[-1] == 32
    assert core.nearest_marked(parents, bytes([0, 1]) + bytes(count - 2))[-1] == 1
    assert core.subtree_sums(parents, array("Q", [1] * count))[:2].tolist() == [count, count - 1]
    backwards = array("I", [NONE, *range(2, count), 0])
    assert core.subtree_sums(backwards, array("Q", [1] * count))[-1] == count - 1
    retained = array("Q", range(count, 0, -1))
    groups = array("I", [0, 1] * (count // 2))
    totals = core.retained_by_group(parents, retained, groups, 2, array("H", bytes(2 * count)))
    assert totals.tolist() == [count - 2, count - 1]


def test_a_column_with_a_cycle_terminates(core):
    circle = array("I", [NONE, 2, 1])
    assert core.children_rows(circle)[1].tolist() == [2, 1]
    assert core.spread_flags(circle, array("H", [0, 1, 0]), 1).tolist() == [0, 1, 0]
    assert core.nearest_marked(circle, b"\0\0\0").tolist() == [NONE] * 3
    assert core.subtree_sums(circle, array("Q", [1, 1, 1]))[0] == 1
    sizes = array("Q", [0, 1, 1])
    totals = core.retained_by_group(circle, sizes, array("I", [0] * 3), 1, array("H", [0] * 3))
    assert totals.tolist() == [0]


def test_trees_take_any_flat_buffer(core):
    parents = array("I", [NONE, 0, 1, 1])
    for form, buffer in in_every_form(parents).items():
        assert core.children_rows(buffer) == core.children_rows(parents), form
        assert core.nearest_marked(buffer, b"\0\1\0\0").tolist() == [NONE, 1, 1, 1], form


FOUR = array("I", [NONE, 0, 1, 1])
FLAGS = array("H", [0] * 4)


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("children_rows", (array("I"),), "dominator is empty"),
        ("children_rows", (array("I", [NONE, 2]),), "dominator names node 2 of only 2"),
        ("children_rows", (array("Q", [0]),), "dominator must have items of type 'I'"),
        ("spread_flags", (FOUR, FLAGS[:3], 1), "node_flags has 3 entries for 4 nodes"),
        ("spread_flags", (FOUR, FLAGS, 1 << 16), "mask must be from 0 to 65535"),
        ("nearest_marked", (FOUR, b"\0"), "mark has 1 entries for 4 nodes"),
        ("subtree_sums", (FOUR, array("Q", [1])), "node_size has 1 entries for 4 nodes"),
        ("subtree_sums", (FOUR, array("Q", [1 << 63] * 4)), "more than 64 bits can hold"),
        (
            "retained_by_group",
            (FOUR, array("Q", [1]), FOUR[:0] + array("I", [0] * 4), 1, FLAGS),
            "retained has 1 entries for 4 nodes",
        ),
        (
            "retained_by_group",
            (FOUR, array("Q", [1] * 4), array("I", [0, 0, 0, 1]), 1, FLAGS),
            "group names group 1 of only 1",
        ),
        (
            "retained_by_group",
            (FOUR, array("Q", [1] * 4), array("I", [0]), 1, FLAGS),
            "group has 1 entries for 4 nodes",
        ),
        (
            "retained_by_group",
            (FOUR, array("Q", [1] * 4), array("I", [0] * 4), 1, FLAGS, -1),
            "skip_flags must be from 0 to 65535",
        ),
    ],
)
def test_trees_refuse_columns_that_do_not_fit(core, name, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        getattr(core, name)(*arguments)
