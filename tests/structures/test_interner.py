"""StringInterner against a dict, its bounds, and size_of."""

from __future__ import annotations

import array
import json
import threading
import tracemalloc
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from memlens.structures import StringInterner, size_of


def fresh(text):
    """Return an equal string that is another object, if the interpreter creates one."""
    return "".join([text[:1], text[1:]])


class InternerAgainstModel(RuleBasedStateMachine):
    """The model: strings by last use. The newest half must always be present."""

    def __init__(self):
        super().__init__()
        self.interner = StringInterner(max_entries=6)
        self.order = []
        self.objects = {}
        self.calls = 0

    @rule(number=st.integers(0, 12))
    def intern(self, number):
        text = f"word number {number}"
        kept = self.interner.intern(fresh(text))
        assert kept == text
        if text in self.order[-3:]:
            assert kept is self.objects[text]
        self.objects[text] = kept
        self.order = [other for other in self.order if other != text] + [text]
        self.calls += 1

    @invariant()
    def bounded_and_counted(self):
        stats = self.interner.stats()
        assert len(self.interner) == stats.entries <= 6
        assert stats.hits + stats.misses == self.calls
        assert (stats.saved_bytes > 0) == (stats.hits > 0)


TestInternerAgainstModel = InternerAgainstModel.TestCase


def test_equal_json_keys_and_values_become_one_object():
    interner = StringInterner(max_length=20)
    text = '{"kind": "alpha beta", "tags": ["alpha beta", {"kind": "x"}], "long": "%s"}' % (
        "y" * 30
    )
    first, second = (json.loads(text, object_pairs_hook=interner.intern_json) for _ in range(2))
    assert first == json.loads(text)
    assert first["kind"] is second["kind"] is first["tags"][0]
    assert first["long"] is not second["long"]


def test_memory_is_bounded_and_threads_agree():
    interner = StringInterner(max_entries=1000)
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]

        def work(seed):
            for number in range(20_000):
                interner.intern(f"a rather long string, number {number * seed % 7919}")

        threads = [threading.Thread(target=work, args=(seed,)) for seed in (3, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = tracemalloc.get_traced_memory()[0] - base
    finally:
        tracemalloc.stop()
    stats = interner.stats()
    assert stats.entries <= 1000
    assert stats.hits + stats.misses == 40_000
    assert used < stats.bytes + 1000 * 150 + 50_000


def test_objects_other_than_exact_strings_are_refused():
    class Text(str):
        __slots__ = ()

    for value in (Text("a"), b"a", 1):
        with pytest.raises(TypeError, match="exactly str"):
            StringInterner().intern(value)
    with pytest.raises(ValueError, match="max_entries"):
        StringInterner(max_entries=1)


class Record:
    def __init__(self, text):
        self.text = text


@given(
    st.sampled_from(["text", "bytes", "array", "list", "dict", "deque", "record", "view"]),
    st.integers(10_000, 60_000),
)
def test_size_estimate_is_close_to_traced_memory(kind, length):
    make = {
        "text": lambda: "x" * length,
        "bytes": lambda: bytes(length),
        "array": lambda: array.array("d", bytes(8 * length)),
        "list": lambda: [str(number) for number in range(length)],
        "dict": lambda: {str(number): number for number in range(1000, length + 1000)},
        "deque": lambda: deque(str(number + 10_000) for number in range(length)),
        "record": lambda: Record("x" * length),
        "view": lambda: memoryview(bytes(length)),
    }[kind]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        value = make()
        allocated = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # 1,000 bytes for frames and free lists of the interpreter at the first call.
    assert 0.8 * allocated - 1000 <= size_of(value) <= 1.35 * allocated + 1000


def test_size_of_handles_cycles_and_counts_shared_objects_once():
    loop = []
    loop.append(loop)
    assert size_of(loop) < 200
    text = "x" * 10_000
    assert size_of([text, text]) < 1.1 * size_of([text])
    assert size_of(len) < 200
