"""The loops of the search for leaks: both cores agree, and what they say is true."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core import pure
from memlens._core.layout import LABEL_BITS, NONE, EdgeKind

from .graphs import graph_of, graphs, in_every_form

FEW = st.integers(0, 3)


def agree(core, name, *arguments):
    """Call a function of one core, and the reference: the results are equal, types as well."""
    found, expected = getattr(core, name)(*arguments), getattr(pure, name)(*arguments)
    assert found == expected
    if isinstance(found, array):
        assert found.typecode == expected.typecode
    return found


@st.composite
def columns(draw, typecode, count, values=FEW):
    return array(typecode, draw(st.lists(values, min_size=count, max_size=count)))


@st.composite
def rows(draw, node_count):
    """Rows of some of so many nodes: offsets and nodes."""
    node = st.integers(0, node_count - 1)
    found = draw(st.lists(st.lists(node, max_size=5), max_size=6))
    offset = array("Q", [0])
    for row in found:
        offset.append(offset[-1] + len(row))
    return offset, array("I", [one for row in found for one in row])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_births_and_marks(core, data):
    first_count = before = data.draw(st.integers(1, 5))
    matches = []
    for _ in range(data.draw(st.integers(1, 4))):
        was = st.sampled_from([NONE, *range(before)])
        matches.append(
            data.draw(st.integers(0, 9).flatmap(lambda n, was=was: columns("I", n, was)))
        )
        before = len(matches[-1])
    births = agree(core, "birth_steps", matches, first_count)
    last = len(matches)
    assert all((b == last) == (was == NONE) for b, was in zip(births, matches[-1], strict=True))
    flags = data.draw(columns("H", len(births)))
    agree(core, "mark_born", births, data.draw(st.integers(0, 7)), flags, 2)


@settings(max_examples=100, deadline=None)
@given(graph=graphs(max_nodes=30), data=st.data())
def test_what_is_reached(core, graph, data):
    mark = data.draw(columns("B", graph.node_count))
    node = st.integers(0, graph.node_count - 1)
    entry = array("I", data.draw(st.lists(node, max_size=4)))
    found = set(agree(core, "reach_marked", *graph.columns, mark, entry))
    assert all(mark[one] for one in found)
    assert {one for one in entry if mark[one]} <= found
    inside = {t for s, t in graph.strong_edges() if s in found and mark[t]}
    assert inside <= found


def test_node_0_is_reached_over_a_strong_edge_only(core):
    weak = graph_of([[], [0]], [EdgeKind.WEAK])
    strong = graph_of([[], [0]])
    arguments = array("B", [1, 1]), array("I", [1])
    assert core.reach_marked(*weak.columns, *arguments).tolist() == [1]
    assert core.reach_marked(*strong.columns, *arguments).tolist() == [1, 0]


def test_a_size_is_shared_among_the_rows_that_name_the_node(core):
    sizes = array("Q", [9, 100, 7])
    shares = core.share_sizes(sizes, array("Q", [0, 2, 3, 3]), array("I", [0, 1, 1]))
    assert shares.tolist() == [59, 50, 0]


@settings(max_examples=80, deadline=None)
@given(data=st.data(), count=st.integers(1, 12))
def test_rows(core, data, count):
    offset, nodes = data.draw(rows(count))
    agree(core, "share_sizes", data.draw(columns("Q", count)), offset, nodes)
    same = data.draw(columns("I", count, st.sampled_from([NONE, *range(count)])))
    listed = array("I", sorted(data.draw(st.sets(st.integers(0, count - 1)))))
    unlisted = agree(core, "unlisted_nodes", nodes, same, listed)
    assert unlisted.tolist() == [n for n in nodes if same[n] not in (NONE, *listed)]


def test_only_what_was_there_and_is_longer_gains(core):
    same = array("I", [NONE, 1, 0])
    before, after = sized_only([5, 5]), sized_only([9, 4, 8])
    gains = core.row_gains(array("Q", [0, 3]), array("I", [0, 1, 2]), same, *before, *after)
    assert gains.tolist() == [3]


def sized_only(lengths):
    """Columns of nodes without edges whose lengths are known."""
    count = len(lengths)
    return (
        array("Q", bytes(8 * count + 8)),
        array("I"),
        array("I", range(count)),
        array("Q", lengths),
    )


@st.composite
def length_columns(draw, graph):
    """Columns that tell the lengths of a graph's nodes, of which some are known."""
    sized = array("I", sorted(draw(st.sets(st.integers(0, graph.node_count - 1)))))
    long = st.sampled_from([0, 5, 1 << 32, (1 << 64) - 1])
    known = draw(columns("Q", len(sized), long))
    return graph.edge_offset, graph.edge_label, sized, known


@settings(max_examples=100, deadline=None)
@given(before=graphs(max_nodes=30), after=graphs(max_nodes=30), data=st.data())
def test_lengths_of_rows(core, before, after, data):
    a, b = data.draw(length_columns(before)), data.draw(length_columns(after))
    offset, nodes = data.draw(rows(after.node_count))
    sums = agree(core, "row_lengths", offset, nodes, *b)
    chosen = core.chosen_lengths(*b, nodes)
    assert sum(sums) == sum(min(length, NONE) for length in chosen)
    was = st.sampled_from([NONE, *range(before.node_count)])
    same = data.draw(columns("I", after.node_count, was))
    agree(core, "row_gains", offset, nodes, same, *a, *b)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), count=st.integers(0, 40))
def test_groups(core, data, count):
    wide = st.sampled_from([0, 1, 255, 256, 1 << 40, (1 << 64) - 1])
    key = data.draw(columns("Q", count, wide))
    mark, flags = data.draw(columns("B", count)), data.draw(columns("H", count))
    keys, offset, nodes = agree(core, "group_nodes", key, mark, flags, 2)
    assert keys.tolist() == sorted(set(keys))
    for row, one in enumerate(keys):
        members = nodes[offset[row] : offset[row + 1]].tolist()
        assert members == [
            n for n in range(count) if key[n] == one and mark[n] and not flags[n] & 2
        ]
        assert members


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(0, 40))
def test_numbers_of_keys(core, data, count):
    key = data.draw(columns("Q", count, st.sampled_from([0, 1, 1 << 40, (1 << 64) - 1])))
    numbers, keys = agree(core, "number_keys", key)
    assert [keys[number] for number in numbers] == key.tolist()
    assert len(keys) == len(set(key))


def test_many_different_keys(core):
    """More than the table of the C core has places for at first."""
    key = array("Q", [(number * 0x9E37) << 20 for number in range(5000)] * 2)
    numbers, keys = core.number_keys(key)
    assert (numbers.tolist(), keys) == ([*range(5000), *range(5000)], key[:5000])
    found, offset, nodes = core.group_nodes(key, b"\1" * len(key), array("H", bytes(20000)), 1)
    assert (found.tolist(), offset[-1]) == (sorted(key[:5000]), 10_000)
    assert [key[node] for node in nodes] == sorted(key)


@settings(max_examples=80, deadline=None)
@given(graph=graphs(max_nodes=30), data=st.data())
def test_lengths_and_containers(core, graph, data):
    count = graph.node_count
    lengths = data.draw(length_columns(graph))
    sized = lengths[2]
    some = array("I", data.draw(st.lists(st.integers(0, count - 1), max_size=6)))
    agree(core, "chosen_lengths", *lengths, some)
    types = data.draw(columns("I", count))
    skipped = data.draw(columns("B", 4, st.integers(0, 1)))
    agree(core, "mark_containers", graph.edge_offset, types, skipped, sized, 2)
    agree(core, "mark_buffers", graph.node_size, sized, 1 << 20)
    agree(core, "nodes_of_types", types, skipped)
    flags = data.draw(columns("H", count))
    agree(core, "mostly_flagged", *graph.columns, flags, 2)
    flagged = agree(core, "nodes_flagged", flags, 2)
    assert flagged.tolist() == [node for node, flag in enumerate(flags) if flag & 2]


def test_more_than_half_of_the_references_lead_to_flagged_nodes(core):
    graph = graph_of([[1, 2], [2, 3, 3], [3, 3], []], [EdgeKind.WEAK] * 7)
    found = core.mostly_flagged(*graph.columns, array("H", [0, 4, 0, 6]), 2)
    assert found.tolist() == [1, 2]


def test_a_weak_reference_is_no_element(core):
    graph = graph_of([[1, 1, 1], []], [EdgeKind.ITEM, EdgeKind.WEAK, EdgeKind.INDEX])
    none = array("I"), array("Q")
    rows = graph.edge_offset, graph.edge_label
    assert core.row_lengths(array("Q", [0, 2]), array("I", [0, 1]), *rows, *none).tolist() == [2]
    assert core.chosen_lengths(*rows, *none, array("I", [0, 1, 0])).tolist() == [2, 0, 2]
    sized = array("I", [1]), array("Q", [7])
    assert core.chosen_lengths(*rows, *sized, array("I", [0, 1])).tolist() == [2, 7]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.binary(max_size=20), max_size=6))
def test_text_keys(core, texts):
    offset = array("Q", [0])
    for text in texts:
        offset.append(offset[-1] + len(text))
    keys = agree(core, "text_keys", offset, b"".join(texts))
    assert len(set(keys)) == len(set(texts))


@settings(max_examples=40, deadline=None)
@given(labels=st.lists(st.integers(0, 3), max_size=20))
def test_edges_labelled(core, labels):
    assert agree(core, "edges_labelled", array("I", labels), 2).tolist() == [
        edge for edge, label in enumerate(labels) if label == 2
    ]


@settings(max_examples=60, deadline=None)
@given(numbers=st.lists(st.integers(0, 5) | st.just(NONE), max_size=6))
def test_what_ascends(core, numbers):
    assert core.is_ascending(array("I", numbers)) is (numbers == sorted(set(numbers)))


def test_columns_in_every_form(core):
    labels = array("I", [1 << LABEL_BITS, 5])
    for form in in_every_form(labels).values():
        assert core.edges_labelled(form, 5).tolist() == [1]


GRAPH = graph_of([[1], []])
ROW = array("Q", [0, 1]), array("I", [0])
LENGTHS = *GRAPH[:3:2], array("I", [1]), array("Q", [1])
BEYOND = array("Q", [0, 2, 2]), *LENGTHS[1:]  # edge_offset leads out of edge_label
UNEQUAL = *LENGTHS[:3], array("Q")
BAD = [
    ("birth_steps", ([array("I", [3])], 1), "names 3 of only 1"),
    ("birth_steps", ([array("I", [0]), array("I", [1])], 1), "names 1 of only 1"),
    ("birth_steps", ([], 1), "matches must be 1 to 65535 columns, not 0"),
    ("birth_steps", ([array("I")] * (1 << 16), 1), "matches must be 1 to 65535 columns"),
    ("birth_steps", ([array("Q", [0])], 1), "same must have items of type 'I'"),
    ("mark_born", (array("H", [3]), 0, array("H"), 1), "node_flags has 0 entries"),
    ("mark_born", (array("H", [3]), 0, array("H", [0]), 1 << 20), "skip_flags"),
    ("reach_marked", (*GRAPH.columns, b"\1", array("I")), "mark has 1 entries"),
    ("reach_marked", (*GRAPH.columns, b"\1\1", array("I", [2])), "entry names 2"),
    ("share_sizes", (array("Q", [1]), array("Q", [0, 2]), array("I", [0])), "row_offset"),
    ("share_sizes", (array("Q", [1]), array("Q"), array("I")), "row_offset"),
    ("share_sizes", (array("Q", [1]), array("Q", [0, 1]), array("I", [1])), "row_node names 1"),
    ("group_nodes", (array("Q", [1]), b"", array("H", [0]), 0), "mark has 0 entries"),
    ("group_nodes", (array("Q", [1]), b"\1", array("H"), 0), "node_flags has 0 entries"),
    (
        "chosen_lengths",
        (*GRAPH[:3:2], array("I", [1]), array("Q", [1]), array("I", [2])),
        "names 2 of only 2",
    ),
    (
        "chosen_lengths",
        (array("Q", [0, 2]), array("I", [0]), array("I"), array("Q"), array("I", [0])),
        "does not fit edge_label",
    ),
    (
        "chosen_lengths",
        (*GRAPH[:3:2], array("I", [1]), array("Q"), array("I", [0])),
        "same length",
    ),
    ("unlisted_nodes", (array("I", [1]), array("I", [0]), array("I")), "node names 1 of only 1"),
    ("row_lengths", (array("Q", [0, 3, 1]), array("I", [0]), *LENGTHS), "row_offset"),
    ("row_lengths", (array("Q", [0, 1]), array("I", [2]), *LENGTHS), "row_node names 2 of only 2"),
    ("row_lengths", (*ROW, *BEYOND), "edge_offset does not fit edge_label"),
    ("row_lengths", (*ROW, *UNEQUAL), "container_node and container_length must have the same"),
    ("row_gains", (*ROW, array("I", [2, 0]), *LENGTHS, *LENGTHS), "same names 2 of only 2"),
    ("row_gains", (*ROW, array("I", [0]), *LENGTHS, *LENGTHS), "edge_offset_b has 3 entries for 1"),
    ("row_gains", (*ROW, array("I", [0, 1]), *BEYOND, *LENGTHS), "edge_offset"),
    ("row_gains", (*ROW, array("I", [0, 1]), *LENGTHS, *BEYOND), "edge_offset"),
    ("row_gains", (*ROW, array("I", [0, 1]), *UNEQUAL, *LENGTHS), "must have the same length"),
    ("row_gains", (*ROW, array("I", [0, 1]), *LENGTHS, *UNEQUAL), "must have the same length"),
    ("text_keys", (array("Q"), b""), "does not fit"),
    ("text_keys", (array("Q", [0, 2]), b"x"), "does not fit"),
    ("text_keys", (array("Q", [2, 1]), b"xxx"), "does not fit"),
    ("nodes_of_types", (array("I", [1]), b"\1"), "without a mark"),
    (
        "mark_containers",
        (array("Q", [0]), array("I", [0]), b"\1", array("I"), 1),
        "must fit together",
    ),
    (
        "mark_containers",
        (array("Q", [0, 0]), array("I", [1]), b"\1", array("I"), 1),
        "node_type names 1",
    ),
    ("mark_buffers", (array("Q", [0]), array("I", [1]), 1), "container_node names 1"),
    ("nodes_flagged", (array("H", [0]), 1 << 20), "flags must be"),
    ("is_ascending", (array("Q", [0]),), "node must have items of type 'I'"),
    ("mostly_flagged", (*GRAPH.columns, array("H", [0]), 1), "node_flags has 1 entries"),
    ("mostly_flagged", (*GRAPH.columns, array("H", [0, 0]), 1 << 20), "flags must be"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), BAD)
def test_columns_that_do_not_fit_together_are_refused(core, name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(core, name)(*arguments)
