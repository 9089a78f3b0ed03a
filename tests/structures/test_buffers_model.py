"""BufferPool against a model: leased buffers, their content and their release."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memlens.structures import BufferPool

SIZE, COUNT = 64, 4


class BuffersAgainstModel(RuleBasedStateMachine):
    """The model: the leased views with their content, and the released views."""

    def __init__(self):
        super().__init__()
        self.pool = BufferPool(SIZE, COUNT)
        self.lent = []  # [view, expected content]
        self.returned = []
        self.left_behind = []  # slices that are alive after the release of their buffer

    @precondition(lambda self: len(self.lent) < COUNT)
    @rule()
    def acquire(self):
        view = self.pool.acquire(timeout=0)
        assert (view.nbytes, view.readonly, bytes(view)) == (SIZE, False, bytes(SIZE))
        self.lent.append([view, bytes(SIZE)])

    @precondition(lambda self: len(self.lent) == COUNT)
    @rule()
    def refuse_one_more(self):
        with pytest.raises(TimeoutError, match="all 4 are leased"):
            self.pool.acquire(timeout=0)

    @precondition(lambda self: self.lent)
    @rule(position=st.integers(0, COUNT), content=st.binary(min_size=1, max_size=SIZE))
    def write(self, position, content):
        entry = self.lent[position % len(self.lent)]
        entry[0][: len(content)] = content
        entry[1] = content + entry[1][len(content) :]

    @precondition(lambda self: self.lent)
    @rule(position=st.integers(0, COUNT))
    def release(self, position):
        view, _ = self.lent.pop(position % len(self.lent))
        self.pool.release(view)
        self.returned.append(view)

    @precondition(lambda self: self.lent)
    @rule(position=st.integers(0, COUNT))
    def release_with_a_slice_alive(self, position):
        view, content = self.lent.pop(position % len(self.lent))
        part = view[: SIZE // 2]
        with pytest.raises(BufferError, match="slices of the buffer"):
            self.pool.release(view)
        self.left_behind.append((part, content[: SIZE // 2]))

    @precondition(lambda self: self.returned)
    @rule()
    def refuse_a_second_release(self):
        with pytest.raises(ValueError, match="released before"):
            self.pool.release(self.returned[-1])

    @precondition(lambda self: self.returned)
    @rule()
    def refuse_to_show_what_was_given_back(self):
        with pytest.raises(ValueError, match="released memoryview"):
            bytes(self.returned[-1])

    @rule()
    def refuse_a_foreign_buffer(self):
        with pytest.raises(ValueError, match="not on loan"):
            self.pool.release(memoryview(bytearray(SIZE)))

    @rule()
    def shrink(self):
        self.pool.shrink()

    @invariant()
    def nobody_else_writes_to_a_lent_buffer(self):
        for view, content in [*self.lent, *self.left_behind]:
            assert bytes(view) == content

    @invariant()
    def counts_add_up(self):
        stats = self.pool.stats()
        assert stats.leased == len(self.lent) == len(self.pool.unreleased())
        assert stats.total == stats.idle + stats.leased <= COUNT


BuffersAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBuffersAgainstModel = BuffersAgainstModel.TestCase
