"""What is reached without some nodes, and which edges lead from where to where."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .graphs import chain, graph_of, graphs, in_every_form

marks = st.sampled_from([0, 0, 0, 1, 255])


def marked(data, count):
    return array("B", data.draw(st.lists(marks, min_size=count, max_size=count)))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), graph=graphs(max_nodes=30))
def test_nodes_reached_without_some_nodes_agree_with_networkx(core, data, graph):
    import networkx

    without = marked(data, graph.node_count)
    rest = graph.to_networkx()
    rest.remove_nodes_from(n for n in range(1, graph.node_count) if without[n])
    expected = {0, *networkx.descendants(rest, 0)}
    reached = core.reached_nodes(*graph.columns, without)
    assert reached.typecode == "B"
    assert [n for n, is_reached in enumerate(reached) if is_reached] == sorted(expected)
    assert set(reached) <= {0, 1}


@settings(max_examples=100, deadline=None)
@given(graph=graphs(max_nodes=25))
def test_nodes_reached_without_one_node_agree_with_the_dominators(core, graph):
    _, retained = core.dominator_tree(*graph)
    everything = core.reached_nodes(*graph.columns, bytes(graph.node_count))
    for node in range(1, graph.node_count):
        if everything[node]:
            without = bytearray(graph.node_count)
            without[node] = 1
            left = core.reached_nodes(*graph.columns, without)
            lost = sum(
                size
                for size, before, after in zip(graph.node_size, everything, left, strict=True)
                if before and not after
            )
            assert lost == retained[node]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), graph=graphs(max_nodes=30))
def test_edges_between_marked_nodes_agree_with_a_simple_search(core, data, graph):
    source, target = marked(data, graph.node_count), marked(data, graph.node_count)
    expected = [
        edge
        for edge, (start, end, is_weak) in enumerate(graph.edges())
        if source[start] and target[end] and not is_weak
    ]
    found = core.edges_between(*graph.columns, source, target)
    assert (found.typecode, found.tolist()) == ("I", expected)


def test_a_long_chain_is_cut_where_it_is_marked(core):
    graph = chain(100_000)
    without = bytearray(100_000)
    without[50_000] = 1
    assert sum(core.reached_nodes(*graph.columns, without)) == 50_000


def test_the_process_itself_cannot_be_removed(core):
    assert core.reached_nodes(*graph_of([[1], []]).columns, b"\1\0").tolist() == [1, 1]


def test_reach_takes_any_flat_buffer(core):
    graph = graph_of([[1], [2], [1]])
    for form, buffer in in_every_form(array("B", [0, 0, 1])).items():
        assert core.reached_nodes(*graph.columns, buffer).tolist() == [1, 1, 0], form
        assert core.edges_between(*graph.columns, b"\0\1\1", buffer).tolist() == [1], form


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("reached_nodes", (*chain(2).columns, b"\0"), "without has 1 entries for 2 nodes"),
        ("edges_between", (*chain(2).columns, b"\0", b"\0\0"), "source_mark has 1 entries"),
        ("edges_between", (*chain(2).columns, b"\0\0", b""), "target_mark has 0 entries"),
    ],
)
def test_reach_refuses_columns_that_do_not_fit(core, name, arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        getattr(core, name)(*arguments)
