from __future__ import annotations

from array import array
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memlens._core.layout import NONE, NodeFlag

from .graphs import in_every_form

TYPE_COUNT = 9
SKIPPED = NodeFlag.GARBAGE | NodeFlag.OWN

nodes = st.tuples(st.integers(0, TYPE_COUNT - 1), st.integers(0, 1 << 50), st.integers(0, 0xFFFF))
# Few addresses and keys, so that all that can happen to a pair of them does.
heaps = st.dictionaries(st.integers(1, 40), st.sampled_from([0, 1, (1 << 64) - 1]), max_size=30)
process_keys = st.sampled_from([0, 1])


def columns_of(rows):
    types, sizes, flags = zip(*rows, strict=True)
    return array("I", types), array("Q", sizes), array("H", flags)


def identities_of(heap, process_key):
    """Columns of objects by address: of each a type of its own, whose key is given."""
    count = len(heap) + 1
    keys = array("Q", [process_key, *heap.values()])
    return (
        array("Q", [0, *heap]),
        array("I", range(count)),
        array("Q", range(count)),
        keys,
        array("B", bytes(count)),
    )


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(nodes, min_size=1, max_size=80), skip_flags=st.integers(0, 0xFFFF))
def test_counts_and_sizes_are_those_of_a_counter(core, rows, skip_flags):
    expected_counts, expected_bytes = Counter(), Counter()
    for type_row, size_bytes, flags in rows[1:]:
        if not flags & skip_flags:
            expected_counts[type_row] += 1
            expected_bytes[type_row] += size_bytes
    counts, total_bytes = core.count_types(*columns_of(rows), TYPE_COUNT, skip_flags)
    assert (counts.typecode, total_bytes.typecode) == ("Q", "Q")
    assert counts.tolist() == [expected_counts[row] for row in range(TYPE_COUNT)]
    assert total_bytes.tolist() == [expected_bytes[row] for row in range(TYPE_COUNT)]


def test_by_default_no_object_is_skipped(core):
    columns = columns_of([(0, 0, 0), (1, 10, 0xFFFF), (1, 5, 0)])
    counts, total_bytes = core.count_types(*columns, 2)
    assert (counts.tolist(), total_bytes.tolist()) == ([0, 2], [0, 15])


def test_any_of_the_skipped_flags_leaves_a_node_out(core):
    flags = [0, NodeFlag.GARBAGE, NodeFlag.OWN, SKIPPED, NodeFlag.TRACKED]
    columns = columns_of([(0, 1, flag) for flag in flags])
    counts, total_bytes = core.count_types(*columns, 1, SKIPPED)
    assert (counts.tolist(), total_bytes.tolist()) == ([1], [1])
    assert core.count_types(*columns, 1, skip_flags=SKIPPED) == (counts, total_bytes)


def test_the_process_itself_is_not_counted(core):
    counts, total_bytes = core.count_types(*columns_of([(0, 99, 0)]), 1)
    assert (counts.tolist(), total_bytes.tolist()) == ([0], [0])


@pytest.mark.parametrize("column", range(3))
def test_counts_take_any_flat_buffer(core, column):
    columns = columns_of([(0, 0, 0), (2, 1 << 40, 2), (1, 7, 1)])
    for form, buffer in in_every_form(columns[column]).items():
        changed = [*columns[:column], buffer, *columns[column + 1 :]]
        assert core.count_types(*changed, 3, 2) == core.count_types(*columns, 3, 2), form


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({0: array("I")}, "node_type is empty"),
        ({0: array("I", [0, 3])}, "node_type names type 3 of only 3"),
        ({0: array("Q", [0, 1])}, "node_type must have items of type 'I'"),
        ({1: array("Q", [0])}, "node_size has 1 entries for 2 nodes"),
        ({1: array("Q", [1 << 63, 1 << 63])}, "node_size sums to"),
        ({2: array("H", [0, 0, 0])}, "node_flags has 3 entries for 2 nodes"),
        ({2: bytes(3)}, "node_flags has 3 bytes"),
        ({3: 0}, "node_type names type 1 of only 0"),
        ({3: -1}, "node_type names type 1 of only -1"),
        ({4: -1}, "skip_flags must be from 0 to 65535, not -1"),
        ({4: 1 << 16}, "skip_flags must be from 0 to 65535, not 65536"),
    ],
)
def test_counts_refuse_columns_that_do_not_fit(core, change, complaint):
    arguments = [array("I", [0, 1]), array("Q", [0, 10]), array("H", [0, 0]), 3, 0]
    for place, value in change.items():
        arguments[place] = value
    with pytest.raises(ValueError, match=complaint):
        core.count_types(*arguments)


@settings(max_examples=150, deadline=None)
@given(before=heaps, after=heaps, process_key_a=process_keys, process_key_b=process_keys)
def test_nodes_match_by_address_and_key(core, before, after, process_key_a, process_key_b):
    place = {identity: node for node, identity in enumerate(before.items(), 1)}
    expected = [0] + [place.get(identity, NONE) for identity in after.items()]
    matched = core.match_nodes(
        *identities_of(before, process_key_a), *identities_of(after, process_key_b)
    )
    assert (matched.typecode, matched.tolist()) == ("I", expected)


def test_an_object_at_a_reused_address_is_another_object(core):
    before = identities_of({0x1000: 5, 0x2000: 6}, 0)
    after = identities_of({0x2000: 6, 0x1000: 7}, 0)
    assert core.match_nodes(*before, *after).tolist() == [0, 2, NONE]


def test_only_node_0_matches_node_0(core):
    before = identities_of({0x1000: 5}, 5)
    after = identities_of({0: 5}, 6)
    assert core.match_nodes(*before, *after).tolist() == [0, NONE]


@settings(max_examples=100, deadline=None)
@given(
    before=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([8, 9])), min_size=1, max_size=9),
    after=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([8, 9])), min_size=1, max_size=9),
    keys=st.lists(st.sampled_from([1, (1 << 64) - 9]), min_size=3, max_size=3),
    sized=st.lists(st.sampled_from([0, 1]), min_size=3, max_size=3),
)
def test_the_size_counts_where_it_is_fixed(core, before, after, keys, sized):
    def columns_by(rows):
        types, sizes = zip(*rows, strict=True)
        addresses = array("Q", range(0, 16 * len(rows), 16))
        return addresses, array("I", types), array("Q", sizes), array("Q", keys), array("B", sized)

    def identity(row, size):
        return (keys[row] + size * sized[row]) % (1 << 64)

    expected = [
        node if node < len(before) and identity(*before[node]) == identity(*now) else NONE
        for node, now in enumerate(after)
    ]
    matched = core.match_nodes(*columns_by(before), *columns_by(after))
    assert matched.tolist() == [0, *expected[1:]]


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(
        st.tuples(st.sampled_from([0, 1, 7, NONE - 4, NONE]), st.integers(1, 5)), max_size=8
    )
)
def test_runs_stand_for_matches(core, parts):
    same = array("I")
    for was, count in parts:
        same.extend([NONE] * count if was == NONE else range(was, min(was + count, NONE)))
    runs = core.match_runs(same)
    assert runs.typecode == "Q"
    assert len(runs) <= len(parts)
    assert core.matches_of_runs(runs, len(same)) == same


def test_a_run_ends_where_the_matches_do_not_follow_each_other(core):
    same = array("I", [0, 1, 2, NONE, NONE, 3, 9, 8])
    runs = [(0, 0), (3, NONE), (5, 3), (6, 9), (7, 8)]
    assert core.match_runs(same).tolist() == [node << 32 | was for node, was in runs]


@pytest.mark.parametrize(
    ("runs", "count"),
    [
        ([], 1),
        ([0], 0),
        ([0], -1),
        ([0], NONE),
        ([1 << 32], 2),
        ([0, 0], 2),
        ([0, 2 << 32], 2),
        ([NONE - 1], 2),
        ([0, 3 << 32, 2 << 32], 4),
    ],
)
def test_runs_that_stand_for_no_matches_are_refused(core, runs, count):
    with pytest.raises(ValueError, match=f"runs do not fit {count} nodes"):
        core.matches_of_runs(array("Q", runs), count)


@pytest.mark.parametrize("column", range(10))
def test_matching_takes_any_flat_buffer(core, column):
    columns = [
        *identities_of({0x1000: 5, 1 << 47: 1 << 63}, 0),
        *identities_of({1 << 47: 1 << 63, 0x1000: 6}, 0),
    ]
    for form, buffer in in_every_form(columns[column]).items():
        changed = [*columns[:column], buffer, *columns[column + 1 :]]
        assert core.match_nodes(*changed).tolist() == [0, 2, NONE], form


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        (0, array("Q"), "address_a is empty"),
        (0, array("Q", [0, 1]), "type_a has 3 entries for 2 nodes"),
        (0, array("Q", [0, 1, 1]), "address_a has the same address"),
        (1, array("I", [0, 1]), "type_a has 2 entries for 3 nodes"),
        (1, array("Q", [0, 1, 2]), "type_a must have items of type 'I'"),
        (1, array("I", [0, 3, 1]), "type_a names 3 of only 3"),
        (2, array("Q", [0, 1]), "size_a has 2 entries for 3 nodes"),
        (4, bytes(2), "type_is_sized_a has 2 entries for 3 types"),
        (5, array("Q"), "address_b is empty"),
        (6, array("I", [0, 9]), "type_b names 9 of only 2"),
        (8, array("Q", [0]), "type_is_sized_b has 2 entries for 1 types"),
        (8, bytes(9), "type_key_b has 9 bytes"),
    ],
)
def test_matching_refuses_columns_that_do_not_fit(core, column, value, complaint):
    columns = [*identities_of({1: 1, 2: 2}, 0), *identities_of({1: 1}, 0)]
    columns[column] = value
    with pytest.raises(ValueError, match=complaint):
        core.match_nodes(*columns)
