"""Which strings a capture says are equal: groups, and nothing of the contents."""

import sys
from array import array

import pytest

from memlens._core.layout import SECTIONS

pytestmark = pytest.mark.small_process

TEXTS = [
    "plain " * 9,
    "l\xe4tin " * 9,
    "sn\u2603wman " * 9,
    "fa\U0001f600e " * 9,
    "half \ud800" * 9,
]
RAW = [b"bytes " * 9, b"\0\xff" * 30]


class Text(str):
    __hash__ = str.__hash__

    def __eq__(self, other):
        raise AssertionError("a capture runs no code of the program")


def copies(values, count):
    """Equal objects that are not the same object."""
    return [value[:7] + value[7:] for value in values for _ in range(count)]


@pytest.fixture(scope="module")
def captured(core):
    kept = {"texts": copies(TEXTS, 3), "raw": copies(RAW, 2), "lone": "nobody else " + "is so " * 9}
    kept["subclass"] = [Text(TEXTS[0]), Text(TEXTS[0])]
    kept["array"] = [bytearray(RAW[0]), bytearray(RAW[0])]
    kept["looks equal"] = [str(b"pure" * 9, "ascii"), b"pure" * 9]
    sections = core.capture()
    node_of = {address: node for node, address in enumerate(sections["node_address"])}
    groups = dict(zip(sections["equal_node"], sections["equal_group"], strict=True))
    return kept, sections, lambda obj: groups.get(node_of[id(obj)])


def test_equal_strings_and_bytes_are_in_one_group_each(captured):
    kept, _, group_of = captured
    texts = [group_of(text) for text in kept["texts"]]
    raw = [group_of(value) for value in kept["raw"]]
    assert None not in texts + raw
    expected = [copy for text in range(len(TEXTS)) for copy in [text] * 3]
    assert [sorted({*texts}, key=texts.index).index(group) for group in texts] == expected
    assert len({*texts} | {*raw}) == len(TEXTS) + len(RAW)
    assert raw[0] == raw[1] != raw[2] == raw[3]


def test_a_string_without_an_equal_is_in_no_group(captured):
    kept, _, group_of = captured
    assert group_of(kept["lone"]) is None
    text, raw = kept["looks equal"]
    assert group_of(text) is None or group_of(text) != group_of(raw)


def test_only_exact_strings_and_bytes_are_compared(captured):
    kept, _, group_of = captured
    assert [group_of(one) for one in [*kept["subclass"], *kept["array"]]] == [None] * 4


def test_groups_are_numbered_from_0_with_two_members_at_least(captured):
    _, sections, _ = captured
    nodes, groups = array("I", sections["equal_node"]), array("I", sections["equal_group"])
    assert nodes.tolist() == sorted({*nodes})
    counts = [0] * (max(groups) + 1)
    for group in groups:
        counts[group] += 1
    assert min(counts) >= 2


def test_comparing_takes_no_reference_and_stores_no_contents(core):
    kept = copies(["refe" * 30], 2)
    before = [sys.getrefcount(one) for one in kept]
    sections = core.capture()
    assert [sys.getrefcount(one) for one in kept] == before
    stored = [bytes(memoryview(section)) for section in sections.values()]
    assert not any(b"referefe" in section for section in stored)
    assert {*SECTIONS} <= {*sections}


LONG = 1 << 20


def nearly_equal():
    """Long contents: some equal, some that differ in a single byte anywhere."""
    base = bytes(range(256)) * (LONG // 256)
    places = [0, 4095, 4096, LONG // 2 + 7, LONG - 4097, LONG - 1]
    others = [base[:place] + b"!" * (base[place] != 33) + base[place + 1 :] for place in places]
    return [base, bytes(bytearray(base))], others


def test_long_contents_are_equal_only_if_every_byte_is(core):
    same, others = nearly_equal()
    texts = [content.decode("latin-1") for content in same]
    wide = [text[:-1] + "\N{SNOWMAN}" for text in texts]
    others.append(same[0][:-1])
    sections = core.capture()
    node_of = {address: node for node, address in enumerate(sections["node_address"])}
    groups = dict(zip(sections["equal_node"], sections["equal_group"], strict=True))
    for pair in (same, texts, wide):
        numbers = {groups.get(node_of[id(content)]) for content in pair}
        assert len(numbers) == 1
        assert None not in numbers
    assert not any(node_of[id(content)] in groups for content in others)
