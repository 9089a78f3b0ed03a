"""decimal_rows and identity_numbers: both cores, by definition and against each other."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .conftest import IMPLEMENTATIONS

MAXIMA = {"B": 1 << 8, "I": 1 << 32, "Q": 1 << 64}


@st.composite
def column_sets(draw):
    codes = draw(st.lists(st.sampled_from("BIQ"), min_size=1, max_size=16))
    rows = draw(st.integers(0, 5))
    return [
        array(code, draw(st.lists(st.integers(0, MAXIMA[code] - 1), min_size=rows, max_size=rows)))
        for code in codes
    ]


@given(column_sets())
def test_rows_are_the_numbers_in_decimal(core, columns):
    expected = "".join(f"{number}," for row in zip(*columns, strict=True) for number in row)
    assert core.decimal_rows(columns) == expected.encode()


def test_the_greatest_and_the_least_numbers(core):
    columns = [array("Q", [0, (1 << 64) - 1, 1 << 32, (1 << 32) - 1, 10, 9])]
    expected = b"0,18446744073709551615,4294967296,4294967295,10,9,"
    assert core.decimal_rows(columns) == expected


def test_a_slice_of_a_column_is_a_column(core):
    numbers = memoryview(array("I", range(100)))
    assert core.decimal_rows((numbers[98:], b"\1\2")) == b"98,1,99,2,"


def test_many_rows(core):
    numbers = array("I", range(100_000))
    text = core.decimal_rows((numbers, numbers))
    assert list(map(int, text[:-1].split(b",")))[::2] == numbers.tolist()


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ([], "columns must be from 1 to 16, not 0"),
        ([b"1"] * 17, "columns must be from 1 to 16, not 17"),
        ([b"12", b"123"], "columns have 2 and 3 entries"),
        ([array("i", [1])], "columns must have items of type B, I or Q, not 'i'"),
        ([array("H", [1])], "columns must have items of type B, I or Q, not 'H'"),
        ([memoryview(b"1234")[::2]], "columns must be one flat buffer without gaps"),
    ],
)
def test_other_columns_are_refused(core, columns, complaint):
    with pytest.raises(ValueError, match=complaint):
        core.decimal_rows(columns)


def test_what_is_no_buffer_is_refused(core):
    with pytest.raises(TypeError):
        core.decimal_rows([[1, 2]])
    with pytest.raises(TypeError):
        core.decimal_rows(5)


# -- identity_numbers ------------------------------------------------------------------------------

WORDS = st.integers(0, (1 << 64) - 1)


@st.composite
def identities(draw):
    nodes = draw(st.lists(st.tuples(WORDS, st.integers(0, 2), WORDS), max_size=30))
    keys = draw(st.lists(WORDS, min_size=3, max_size=3))
    sized = draw(st.lists(st.integers(0, 1), min_size=3, max_size=3))
    return identity_columns(nodes, keys, sized)


def identity_columns(nodes, keys=(1, 2, 3), sized=(0, 0, 1)):
    columns = zip(*nodes, strict=True) if nodes else ((), (), ())
    address, kind, size = (array(code, part) for code, part in zip("QIQ", columns, strict=True))
    return address, kind, size, array("Q", keys), bytes(sized)


@given(identities(), st.integers(0, 40))
def test_numbers_are_distinct_and_below_the_limit(core, columns, spare):
    limit = max(len(columns[0]), 1) + 1 + spare
    numbers = core.identity_numbers(*columns, limit).tolist()
    assert len(numbers) == len(columns[0])
    assert numbers[:1] == [0] * len(numbers[:1])
    assert len({*numbers[1:]}) == len(numbers[1:])
    assert all(0 < number < limit for number in numbers[1:])


@given(identities(), st.integers(0, 1 << 31))
def test_both_cores_give_the_same_numbers(columns, spare):
    limit = max(len(columns[0]), 1) + 1 + spare % 1000
    found = {
        tuple(implementation.identity_numbers(*columns, limit))
        for implementation in IMPLEMENTATIONS.values()
    }
    assert len(found) == 1


def test_a_number_follows_from_address_type_and_fixed_size(core):
    def number(address, kind, size):
        columns = identity_columns([(0, 0, 0), (address, kind, size)])
        return core.identity_numbers(*columns, 1 << 30)[1]

    assert number(4096, 0, 8) == number(4096, 0, 16) != number(4112, 0, 8)
    assert number(4096, 0, 8) != number(4096, 1, 8)
    assert number(4096, 2, 8) != number(4096, 2, 16)


def test_other_objects_hardly_change_a_number(core):
    addresses = range(1 << 20, (1 << 20) + 16 * 5000, 16)
    everything = [(0, 0, 0), *((address, 0, 8) for address in addresses)]
    numbers = core.identity_numbers(*identity_columns(everything), 1 << 30)
    half = core.identity_numbers(*identity_columns(everything[::2]), 1 << 30)
    assert sum(a == b for a, b in zip(numbers[2::2], half[1:], strict=True)) >= 2495


@pytest.mark.parametrize(
    ("change", "value", "complaint"),
    [
        (1, array("I", [0]), "node_type has 1 entries for 2 nodes"),
        (2, array("Q", [0]), "node_size has 1 entries for 2 nodes"),
        (1, array("I", [0, 3]), "node_type names 3 of only 3"),
        (4, b"12", "type_key and type_is_sized must have the same length"),
        (5, 2, "limit must be from 3 to 4294967295, not 2"),
        (5, 1 << 32, "limit must be from 3 to 4294967295, not 4294967296"),
    ],
)
def test_inconsistent_identities_are_refused(core, change, value, complaint):
    arguments = [*identity_columns([(0, 0, 0), (16, 1, 8)]), 100]
    arguments[change] = value
    with pytest.raises(ValueError, match=complaint):
        core.identity_numbers(*arguments)
