"""The places of nodes: equal for paths that differ in keys and positions only."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core import pure
from memlens._core.layout import LABEL_BITS, NONE, EdgeKind

from .graphs import graph_of, graphs

KINDS = [kind for kind in EdgeKind if kind is not EdgeKind.WEAK]
DICT = 4  # the string "__dict__" in these tests


def place_keys(core, graph, types, strings=8, anchors=()):
    first_edge = core.shortest_paths(*graph.columns, bytes(graph.edge_offset[1]))
    return core.place_keys(
        *graph.columns,
        first_edge,
        array("I", types),
        array("Q", [number * 1000 + 17 for number in range(strings)]),
        array("Q", [number * 77 + 3 for number in range(max(types) + 1)]),
        array("Q", range(500, 500 + graph.edge_offset[1])),
        array("I", [node for node, _ in anchors]),
        array("Q", [key for _, key in anchors]),
        DICT,
    )


def label(kind, payload=0):
    return payload << LABEL_BITS | kind


def test_keys_and_positions_are_wildcards_and_names_are_not(core):
    labels = [label(EdgeKind.ATTRIBUTE, 1)]
    labels += [label(EdgeKind.KEY, 1), label(EdgeKind.KEY, 2), label(EdgeKind.INDEX, 0)]
    labels += [label(EdgeKind.ATTRIBUTE, 1), label(EdgeKind.ATTRIBUTE, 2)]
    graph = graph_of([[1], [2, 3, 4, 5, 6], [], [], [], [], []], labels)
    keys, repeats = place_keys(core, graph, [0, 1, 2, 2, 2, 2, 2])
    assert keys[2] == keys[3]
    assert len({keys[2], keys[4], keys[5], keys[6]}) == 4
    assert set(repeats) == {0}


def test_the_links_of_a_chain_are_one_place(core):
    labels = [label(EdgeKind.ATTRIBUTE, 1)] + [label(EdgeKind.ATTRIBUTE, 2)] * 5
    graph = graph_of([[1], [2], [3], [4], [5], [6], []], labels)
    keys, repeats = place_keys(core, graph, [0, 1, 1, 1, 1, 1, 1])
    assert len(set(keys[2:])) == 1
    assert keys[1] != keys[2]
    assert repeats.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_an_attribute_has_the_same_place_with_and_without_a_dict(core):
    inline = graph_of([[1], [2], []], [0, label(EdgeKind.ATTRIBUTE, 1)])
    through_dict = graph_of(
        [[1], [2], [3], []], [0, label(EdgeKind.INTERNAL, DICT), label(EdgeKind.ATTRIBUTE, 1)]
    )
    assert (
        place_keys(core, inline, [0, 1, 2])[0][2]
        == place_keys(core, through_dict, [0, 1, 3, 2])[0][3]
    )


def test_an_anchor_is_the_same_place_wherever_it_hangs(core):
    graph = graph_of([[1, 2], [3], [4], [5], [6], [], []])
    keys, _ = place_keys(core, graph, [0, 1, 2, 3, 3, 4, 4], anchors=[(3, 99), (4, 99)])
    assert keys[3] == keys[4] == 99
    assert keys[5] == keys[6]


def test_garbage_has_no_place(core):
    graph = graph_of([[1], [], [3], []])
    keys, _ = place_keys(core, graph, [0, 1, 1, 1], anchors=[(3, 99)])
    assert keys[0] == keys[2] == keys[3] == 0 != keys[1]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), graph=graphs(max_nodes=30))
def test_both_cores_agree(core, data, graph):
    count = graph.node_count
    payloads = st.lists(st.integers(0, 7), min_size=len(graph.edge_target))
    kinds = st.lists(st.sampled_from(KINDS), min_size=len(graph.edge_target))
    labels = [
        label(kind, payload)
        for kind, payload, _ in zip(
            data.draw(kinds), data.draw(payloads), graph.edge_target, strict=False
        )
    ]
    graph = graph._replace(edge_label=array("I", labels))
    types = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    anchors = [(node, 7) for node in sorted(data.draw(st.sets(st.integers(1, count), max_size=3)))]
    anchors = [(node, key) for node, key in anchors if node < count]
    found = place_keys(core, graph, types, anchors=anchors)
    expected = place_keys(pure, graph, types, anchors=anchors)
    assert [column.tolist() for column in found] == [column.tolist() for column in expected]


def test_a_path_that_begins_at_no_root_leads_nowhere(core):
    """No search gives such paths. They must not lead out of the columns all the same."""
    graph = graph_of([[1], [2], []], [label(EdgeKind.INTERNAL)] * 2)
    arguments = (
        *graph.columns,
        array("I", [NONE, NONE, 1]),
        array("I", [0, 0, 0]),
        *(array("Q", [5]), array("Q", [7]), array("Q", [9]), array("I"), array("Q"), 1),
    )
    found, expected = core.place_keys(*arguments), pure.place_keys(*arguments)
    assert [column.tolist() for column in found] == [column.tolist() for column in expected]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path_edges": array("I", [NONE, 5])}, "edge that does not exist"),
        ({"path_edges": array("I", [0, NONE])}, "edge that leads elsewhere"),
        ({"path_edges": array("I", [NONE])}, "entry for each node"),
        ({"node_type": array("I", [0, 9])}, "type without a key"),
        ({"string_key": array("Q")}, "string without a key"),
        ({"root_key": array("Q")}, "edge of node 0"),
        (
            {"anchor_node": array("I", [7]), "anchor_key": array("Q", [1])},
            "node that does not exist",
        ),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(core, changes, message):
    graph = graph_of([[1], []], [label(EdgeKind.ATTRIBUTE, 1)])
    arguments = {
        "edge_offset": graph.edge_offset,
        "edge_target": graph.edge_target,
        "edge_label": graph.edge_label,
        "path_edges": array("I", [NONE, 0]),
        "node_type": array("I", [0, 0]),
        "string_key": array("Q", [1, 2]),
        "type_key": array("Q", [1]),
        "root_key": array("Q", [1]),
        "anchor_node": array("I"),
        "anchor_key": array("Q"),
        "namespace_string": 0,
    }
    core.place_keys(**arguments)
    with pytest.raises(ValueError, match=message):
        core.place_keys(**{**arguments, **changes})
