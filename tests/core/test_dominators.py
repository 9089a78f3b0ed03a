from __future__ import annotations

import types
from array import array
from itertools import accumulate

import pytest
from hypothesis import example, given, settings

from memlens._core.layout import NONE

from .conftest import CAPTURE, GRAPH, PURE, load_implementations
from .graphs import (
    ATTRIBUTE,
    LENGTHS,
    WEAK,
    chain,
    doubly_linked,
    graph_of,
    graphs,
    in_every_form,
    ladder,
    reached_nodes,
)


def dominators_by_removal(graph):
    """The definition: ``d`` dominates ``v`` if taking ``d`` away makes ``v`` unreachable."""
    reached = reached_nodes(graph)
    dominated = {node: reached - reached_nodes(graph, without=node) for node in reached - {0}}
    dominated[0] = reached
    dominator = [NONE] * graph.node_count
    retained_bytes = list(graph.node_size)
    for node in reached:
        retained_bytes[node] = sum(graph.node_size[member] for member in dominated[node])
        others = [other for other in reached - {node} if node in dominated[other]]
        if others:
            dominator[node] = min(others, key=lambda other: len(dominated[other]))
    return dominator, retained_bytes


@pytest.mark.parametrize(
    "function",
    ["count_types", "dominator_tree", "match_nodes", "reverse_edges", "shortest_paths"],
)
def test_each_implementation_is_tested_with_its_own_functions(core, function, request):
    module = {"pure": PURE, "C": GRAPH}[request.node.callspec.params["core"]]
    kind = {PURE: types.FunctionType, GRAPH: types.BuiltinFunctionType}[module]
    assert type(getattr(core, function)) is kind
    assert getattr(core, function).__module__.startswith(module)


def missing(absent):
    def import_module(name):
        if name == absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return name

    return import_module


def test_without_the_extension_only_pure_python_is_tested():
    for absent in (GRAPH, CAPTURE):
        assert load_implementations(None, missing(absent)) == {"pure": PURE}
        assert load_implementations("1", missing(absent)) == {"pure": PURE}
    both = load_implementations(None, missing(""))
    assert both["pure"] == PURE
    assert both["C"].modules == (GRAPH, CAPTURE)


def test_a_demanded_extension_that_is_missing_is_an_error():
    for absent in (GRAPH, CAPTURE):
        with pytest.raises(ModuleNotFoundError, match=absent):
            load_implementations("0", missing(absent))


@settings(max_examples=300, deadline=None)
@given(graph=graphs())
# A retreating edge lowers a semidominator below the node's own predecessors.
@example(graph=graph_of([[1], [2, 3], [3], [2]]))
@example(graph=graph_of([[1, 4], [2], [3], [1, 4], [2]]))
def test_dominators_and_retained_sizes_are_those_found_by_removing_each_node(core, graph):
    dominator, retained_bytes = core.dominator_tree(*graph)
    expected_dominator, expected_retained_bytes = dominators_by_removal(graph)
    assert dominator.tolist() == expected_dominator
    assert retained_bytes.tolist() == expected_retained_bytes


@settings(max_examples=30, deadline=None)
@given(graph=graphs())
def test_dominators_leave_their_input_as_it_was(core, graph):
    before = [column.tobytes() for column in graph]
    core.dominator_tree(*graph)
    assert [column.tobytes() for column in graph] == before


@pytest.mark.parametrize("edges_per_node", [0.9, 1.2, 2, 8])
def test_dominators_agree_with_networkx_on_thousands_of_nodes(core, edges_per_node):
    node_count = 5000
    import networkx

    random_graph = networkx.gnm_random_graph(
        node_count, int(edges_per_node * node_count), seed=7, directed=True
    )
    random_graph.add_edges_from((0, node) for node in range(1, node_count, 97))
    graph = graph_of([list(random_graph.successors(node)) for node in range(node_count)])
    expected = networkx.immediate_dominators(random_graph, 0)
    expected[0] = NONE  # networkx 3.6 has None here, before it was the node itself
    dominator, retained_bytes = core.dominator_tree(*graph)
    assert dominator.tolist() == [expected.get(node, NONE) for node in range(node_count)]
    assert retained_bytes[0] == len(expected)
    tree = networkx.DiGraph((up, node) for node, up in expected.items() if node)
    for node in tree:
        assert retained_bytes[node] == len(networkx.descendants(tree, node)) + 1


@pytest.mark.parametrize("length", LENGTHS)
def test_a_long_linked_list_is_a_path_of_dominators(core, length):
    graph = chain(length)._replace(node_size=array("Q", range(length)))
    dominator, retained_bytes = core.dominator_tree(*graph)
    assert dominator == array("I", [NONE, *range(length - 1)])
    assert retained_bytes == array("Q", list(accumulate(reversed(range(length))))[::-1])


@pytest.mark.parametrize("length", LENGTHS)
def test_pointers_back_do_not_change_the_dominators_of_a_linked_list(core, length):
    dominator, retained_bytes = core.dominator_tree(*doubly_linked(length))
    assert dominator == array("I", [NONE, *range(length - 1)])
    assert retained_bytes == array("Q", range(length, 0, -1))


def test_the_hub_of_a_star_dominates_its_leaves(core):
    leaves = 300_000
    rows = [[1], range(2, leaves + 2)] + [[1]] * leaves
    dominator, retained_bytes = core.dominator_tree(*graph_of(rows))
    assert dominator == array("I", [NONE, 0] + [1] * leaves)
    assert retained_bytes == array("Q", [leaves + 2, leaves + 1] + [1] * leaves)


def test_no_rung_of_a_ladder_dominates_the_next(core):
    rungs = 200_000
    dominator, retained_bytes = core.dominator_tree(*ladder(rungs))
    assert dominator == array("I", [NONE, 0] + [1] * (2 * rungs - 1))
    assert retained_bytes == array("Q", [2 * rungs + 1, 2 * rungs] + [1] * (2 * rungs - 1))


@pytest.mark.parametrize("order", [1, -1], ids=["chain first", "chain last"])
def test_a_long_chain_that_ends_in_shared_objects_takes_no_quadratic_time(core, order):
    # Climbing the chain step by step from each object at its end would take 10**10 steps.
    length = objects = 100_000
    first_object = 2 + length
    held = range(first_object, first_object + objects)
    rows = [[1], [2, *held][::order]]
    rows += [[node + 1] for node in range(2, first_object - 1)]
    rows += [held] + [[]] * objects
    dominator, retained_bytes = core.dominator_tree(*graph_of(rows))
    assert dominator == array("I", [NONE, 0, *range(1, first_object - 1)] + [1] * objects)
    assert retained_bytes[1] == 1 + length + objects
    assert retained_bytes[2] == length


def test_weak_references_keep_nothing_alive(core):
    # 1 holds 2; 0 refers to 2 and 3 only weakly.
    graph = graph_of([[1, 2, 3], [2], [], []], [ATTRIBUTE, WEAK, WEAK, ATTRIBUTE], [0, 10, 20, 40])
    dominator, retained_bytes = core.dominator_tree(*graph)
    assert dominator.tolist() == [NONE, 0, 1, NONE]
    assert retained_bytes.tolist() == [30, 30, 20, 40]


def test_an_island_has_no_dominators_and_retains_only_itself(core):
    graph = graph_of([[1], [1], [3, 1], [2]], sizes=[0, 1, 2, 4])
    dominator, retained_bytes = core.dominator_tree(*graph)
    assert dominator.tolist() == [NONE, 0, NONE, NONE]
    assert retained_bytes.tolist() == [1, 1, 2, 4]


def test_a_heap_without_objects_has_only_node_0(core):
    dominator, retained_bytes = core.dominator_tree(*graph_of([[]], sizes=[7]))
    assert (dominator.typecode, dominator.tolist()) == ("I", [NONE])
    assert (retained_bytes.typecode, retained_bytes.tolist()) == ("Q", [7])


def test_retained_sizes_have_64_bits(core):
    size_bytes = (1 << 62) + 1
    graph = graph_of([[1], [2], [3], []], sizes=[0, size_bytes, size_bytes, size_bytes])
    _, retained_bytes = core.dominator_tree(*graph)
    assert retained_bytes.tolist() == [count * size_bytes for count in (3, 3, 2, 1)]


@pytest.mark.parametrize("column", range(4))
def test_dominators_take_any_flat_buffer(core, column):
    graph = graph_of([[1, 2], [2, 3], [3], []], sizes=[0, 300, 5, 1 << 33])
    expected = core.dominator_tree(*graph)
    for form, buffer in in_every_form(graph[column]).items():
        given_columns = [*graph[:column], buffer, *graph[column + 1 :]]
        assert core.dominator_tree(*given_columns) == expected, form


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("edge_offset", array("Q"), "edge_offset has 0 entries"),
        ("edge_offset", array("Q", [0]), "edge_offset has 1 entries"),
        ("edge_offset", array("Q", [1, 1, 2]), "edge_offset runs from 1 to 2"),
        ("edge_offset", array("Q", [0, 1, 3]), "edge_offset runs from 0 to 3"),
        ("edge_offset", array("Q", [0, 1, 1]), "edge_offset runs from 0 to 1"),
        ("edge_offset", array("Q", [0, 3, 2]), "edge_offset is not ascending"),
        ("edge_offset", array("Q", [0, 1 << 63, 2]), "edge_offset is not ascending"),
        ("edge_offset", array("I", [0, 1, 2]), "edge_offset must have items of type 'Q'"),
        ("edge_offset", array("d", [0, 1, 2]), "edge_offset must have items of type 'Q'"),
        ("edge_offset", bytes(23), "edge_offset has 23 bytes"),
        ("edge_target", array("I", [1, 2]), "edge_target names node 2"),
        ("edge_target", array("I", [NONE, 0]), "edge_target names node 4294967295"),
        ("edge_target", array("I", [1]), "edge_target has 1 entries"),
        ("edge_target", array("i", [1, 0]), "edge_target must have items of type 'I'"),
        ("edge_target", memoryview(array("I", range(4)))[::2], "edge_target must be one flat"),
        ("edge_label", array("I", [0]), "edge_label has 1 entries"),
        ("edge_label", array("Q", [0, 0]), "edge_label must have items of type 'I'"),
        ("node_size", array("Q", [0]), "node_size has 1 entries"),
        ("node_size", array("Q", [0, 1, 2]), "node_size has 3 entries"),
        ("node_size", array("Q", [1 << 63, 1 << 63]), "node_size sums to"),
        ("node_size", bytes(15), "node_size has 15 bytes"),
    ],
)
def test_columns_that_do_not_fit_are_refused(core, column, value, complaint):
    graph = graph_of([[1], [0]])
    with pytest.raises(ValueError, match=complaint):
        core.dominator_tree(*graph._replace(**{column: value}))


def test_a_list_is_refused_as_a_column(core):
    graph = graph_of([[1], [0]])
    with pytest.raises(TypeError, match="bytes-like"):
        core.dominator_tree(*graph._replace(edge_target=[1, 0]))
