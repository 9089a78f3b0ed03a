from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import NONE

from .graphs import ATTRIBUTE, LENGTHS, WEAK, chain, graph_of, graphs, in_every_form, reached_nodes


def rows_of(offset, members):
    return [members[start:end].tolist() for start, end in pairwise(offset)]


@st.composite
def tiered_graphs(draw):
    """A graph, and a tier for each edge of its node 0."""
    graph = draw(graphs())
    tier = st.sampled_from([1, 2, 7, 255])
    return graph, array("B", [draw(tier) for _ in range(graph.edge_offset[1])])


def expected_tiers_and_lengths(graph, root_tier):
    """By node: the tier that reaches it first, and the length of a shortest path from its roots."""
    import networkx

    directed = graph.to_networkx()
    roots = list(graph.edges())[: len(root_tier)]
    expected = {}
    for tier in sorted(set(root_tier)):
        directed.remove_node(0)
        directed.add_edges_from(
            (0, target)
            for (_, target, is_weak), of_tier in zip(roots, root_tier, strict=True)
            if of_tier == tier and not is_weak
        )
        directed.add_node(0)
        for node, length in networkx.single_source_shortest_path_length(directed, 0).items():
            if node:
                expected.setdefault(node, (tier, length))
    return expected


def path_to(graph, first_edge, node):
    """The edges from node 0 to a node, followed back."""
    edges = []
    while first_edge[node] != NONE:
        edges.insert(0, first_edge[node])
        node = bisect_right(graph.edge_offset, first_edge[node]) - 1
    assert node == 0
    return edges


@settings(max_examples=150, deadline=None)
@given(graph=graphs())
def test_reverse_rows_hold_each_strong_edge_once_by_target_and_source(core, graph):
    in_offset, in_source = core.reverse_edges(*graph.columns)
    assert (in_offset.typecode, in_source.typecode) == ("Q", "I")
    expected = [
        sorted(source for source, target in graph.strong_edges() if target == node)
        for node in range(graph.node_count)
    ]
    assert rows_of(in_offset, in_source) == expected
    assert (in_offset[0], in_offset[-1]) == (0, len(in_source))


def test_referrers_of_node_0_are_kept(core):
    in_offset, in_source = core.reverse_edges(*graph_of([[0, 1], [0, 0]]).columns)
    assert rows_of(in_offset, in_source) == [[0, 1, 1], [0]]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_long_linked_list_is_reversed(core, length):
    in_offset, in_source = core.reverse_edges(*chain(length).columns)
    assert in_offset == array("Q", [0, *range(length)])
    assert in_source == array("I", range(length - 1))


@settings(max_examples=150, deadline=None)
@given(tiered=tiered_graphs())
def test_paths_are_the_shortest_from_the_first_tier_that_reaches_the_node(core, tiered):
    graph, root_tier = tiered
    first_edge = core.shortest_paths(*graph.columns, root_tier)
    assert first_edge.typecode == "I"
    assert len(first_edge) == graph.node_count
    edges = list(graph.edges())
    expected = expected_tiers_and_lengths(graph, root_tier)
    assert set(expected) == reached_nodes(graph) - {0}
    for node in range(graph.node_count):
        if node not in expected:
            assert first_edge[node] == NONE
            continue
        path = path_to(graph, first_edge, node)
        assert (root_tier[path[0]], len(path)) == expected[node]
        assert [edges[edge][2] for edge in path] == [False] * len(path)
        assert edges[path[-1]][1] == node


def test_a_longer_path_from_a_better_root_wins(core):
    # 0 -> 1 (tier 7) is next to 3; 0 -> 2 (tier 1) reaches it over 4.
    graph = graph_of([[1, 2], [3], [4], [], [3]])
    assert core.shortest_paths(*graph.columns, b"\7\1").tolist() == [NONE, 0, 1, 4, 3]
    assert core.shortest_paths(*graph.columns, b"\1\1").tolist() == [NONE, 0, 1, 2, 3]


def test_a_better_root_hides_a_root_that_it_reaches(core):
    graph = graph_of([[1, 2], [], [1]])
    assert core.shortest_paths(*graph.columns, b"\2\1").tolist() == [NONE, 2, 1]


def test_of_equal_paths_the_first_root_and_the_first_edge_win(core):
    # 3 is reached from both roots, by two edges each; 1 is a root twice.
    graph = graph_of([[2, 1, 1], [3, 3], [3, 3], []])
    assert core.shortest_paths(*graph.columns, b"\4\4\4").tolist() == [NONE, 1, 0, 5]


def test_paths_do_not_go_over_weak_edges(core):
    graph = graph_of([[1, 2], [2], []], [ATTRIBUTE, WEAK, WEAK])
    assert core.shortest_paths(*graph.columns, b"\1\1").tolist() == [NONE, 0, NONE]


def test_a_heap_without_roots_has_no_paths(core):
    graph = graph_of([[], [2], [1]])
    assert core.shortest_paths(*graph.columns, b"").tolist() == [NONE, NONE, NONE]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_path_through_a_long_linked_list_is_found(core, length):
    first_edge = core.shortest_paths(*chain(length).columns, b"\1")
    assert first_edge == array("I", [NONE, *range(length - 1)])


@pytest.mark.parametrize("column", range(4))
def test_searches_take_any_flat_buffer(core, column):
    graph = graph_of([[1, 2], [2, 3], [3], []], [ATTRIBUTE] * 3 + [WEAK] + [ATTRIBUTE])
    columns = [*graph.columns, array("B", [2, 1])]
    for form, buffer in in_every_form(columns[column]).items():
        changed = [*columns[:column], buffer, *columns[column + 1 :]]
        assert core.shortest_paths(*changed) == core.shortest_paths(*columns), form
        assert core.reverse_edges(*changed[:3]) == core.reverse_edges(*columns[:3]), form


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        (0, array("Q", [0]), "edge_offset has 1 entries"),
        (0, array("Q", [0, 2, 1]), "edge_offset runs from 0 to 1"),
        (0, array("Q", [0, 3, 2]), "edge_offset is not ascending"),
        (1, array("I", [1, 2]), "edge_target names node 2"),
        (2, array("I", [0]), "edge_label has 1 entries"),
        (2, bytes(7), "edge_label has 7 bytes"),
    ],
)
def test_searches_refuse_columns_that_do_not_fit(core, column, value, complaint):
    columns = list(graph_of([[1], [0]]).columns)
    columns[column] = value
    with pytest.raises(ValueError, match=complaint):
        core.reverse_edges(*columns)
    with pytest.raises(ValueError, match=complaint):
        core.shortest_paths(*columns, b"\1")


@pytest.mark.parametrize(
    ("root_tier", "complaint"),
    [
        (b"", "root_tier has 0 entries for 1 roots"),
        (b"\1\1", "root_tier has 2 entries for 1 roots"),
        (array("I", [1]), "root_tier must have items of type 'B'"),
    ],
)
def test_each_root_needs_one_tier(core, root_tier, complaint):
    with pytest.raises(ValueError, match=complaint):
        core.shortest_paths(*graph_of([[1], [0]]).columns, root_tier)
