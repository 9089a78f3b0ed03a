"""Whether a large text or buffer still begins as it did, on both cores."""

import io
import sys
from array import array

import pytest

pytestmark = pytest.mark.small_process

BYTES = bytes(range(256)) * 4


def prefixes(core, *objects):
    """The hash of the beginning of each object, None where there is none."""
    sections = core.capture()
    number = {address: node for node, address in enumerate(sections["node_address"])}
    hashes = dict(zip(sections["prefix_node"], sections["prefix_hash"], strict=True))
    return [hashes.get(number[id(one)]) for one in objects]


def grown(value):
    return value + value[:1] * 700


@pytest.mark.parametrize("kind", [bytes, bytearray, lambda raw: raw.decode("latin-1"), list])
def test_what_is_appended_keeps_the_hash_of_the_beginning(core, kind):
    kept = [array("d", range(200))] if kind is list else [kind(BYTES)]
    kept.append(grown(kept[0]))
    before, after = prefixes(core, *kept)
    assert before == after is not None


def test_zeros_may_not_have_been_written_yet(core):
    kept = [bytearray(2000), bytes(2000)]
    assert prefixes(core, *kept) == [None, None]


def test_an_int_that_gains_higher_bits_keeps_its_lowest(core):
    low = int.from_bytes(BYTES, "little")
    more, other, negative, empty = low | 1 << 20_000, low + 1, -low, 1 << 20_000
    late = low << 3000  # its first bits are high: no number below was seen
    found = prefixes(core, low, more, other, late, late | 1 << 40_000, negative, empty)
    assert found[0] == found[1] != found[2]
    assert found[3] == found[4]
    assert None not in found[:5]
    assert found[5:] == [None] * 2


def test_numbers_have_the_hash_of_their_content(core):
    big, other, number, text = 1 << 40, (1 << 40) + 1, 2.5 * len(BYTES), float("nan")
    kept = [big, other, big + 0, number, number + 1.0, text, 5000 + len(BYTES), 1024, -5000]
    found = prefixes(core, *kept)
    digits = array("I", [0, 1 << 10])
    assert found[0] == hash(digits.tobytes()) & 0xFFFF_FFFF
    assert found[0] == found[2] != found[1]
    assert found[3] == hash(array("d", [number]).tobytes()) & 0xFFFF_FFFF
    assert found[3] != found[4] is not None
    assert found[5] is not None is not found[6]
    assert found[7:] == [None, None], "shared by many, and negative"


def test_both_cores_note_the_same_digits_of_an_int(core):
    value = int.from_bytes(BYTES, "little")
    digits = array("I", [value >> 30 * place & (1 << 30) - 1 for place in range(64)])
    assert prefixes(core, value) == [hash(digits.tobytes()) & 0xFFFF_FFFF]


def test_another_beginning_has_another_hash(core):
    texts = ["a" + "x" * 600, "b" + "x" * 600]
    buffers = [bytearray(b"a" + BYTES), bytearray(b"b" + BYTES)]
    found = prefixes(core, *texts, *buffers)
    assert len(set(found)) == 4
    assert None not in found


def test_wider_characters_later_in_a_text_do_not_change_its_beginning(core):
    narrow = "plain text " * 60
    texts = [narrow, narrow + "\u20ac", narrow + "\U0001f40d\ud800"]
    assert len(set(prefixes(core, *texts))) == 1


def test_short_texts_and_bytes_have_the_hash_of_python(core):
    kept = ["short " * 5, "\u20acuro" * 7, b"raw" * 9, "\ud800" * 20]
    assert prefixes(core, *kept) == [hash(one) & 0xFFFF_FFFF for one in kept]


def test_small_buffers_and_subclasses_have_none(core):
    class Text(str):
        pass

    kept = [bytearray(b"x" * 100), Text("x" * 2000), [0] * 2000, array("d", [1.0])]
    assert prefixes(core, *kept) == [None] * len(kept)


def test_the_hash_is_that_of_the_bytes_of_python(core):
    kept = bytearray(BYTES)
    assert prefixes(core, kept) == [hash(BYTES[:256]) & 0xFFFF_FFFF]


def test_the_bytes_in_a_bytes_io_have_one(core):
    stream = io.BytesIO()
    stream.write(BYTES * 3)
    sections = core.capture()
    node = list(sections["node_address"]).index(id(stream))
    first, end = sections["edge_offset"][node : node + 2]
    hashes = dict(zip(sections["prefix_node"], sections["prefix_hash"], strict=True))
    held = [hashes[t] for t in sections["edge_target"][first:end] if t in hashes]
    is_seen = core.__name__ == "C" or sys.version_info >= (3, 12)  # before, nothing shows the bytes
    assert held == [hash(BYTES[:256]) & 0xFFFF_FFFF] * is_seen


def test_arrays_of_numpy_that_own_numbers_in_order_have_one(core):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(500.0)
    longer = numpy.append(array, [1.0] * 300)
    others = [longer[50:], array.reshape(20, 25).T.copy(order="F"), longer.astype(object)]
    others.append(longer.astype("datetime64[s]"))
    before, after, *rest = prefixes(core, array, longer, *others)
    assert before == after is not None
    assert rest == [None] * len(others)
