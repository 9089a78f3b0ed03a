"""The gates between growth and a leak."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from memlens.leaks.gates import Contents, can_be_leak, is_leak, slows_down


@st.composite
def contents(draw):
    """Any contents; many grow by a little in each interval and lose nothing."""
    count = draw(st.integers(1, 6))
    step = draw(st.sampled_from([st.integers(1, 2), st.integers(3, 30), st.integers(-2, 30)]))
    steps = draw(st.lists(step, min_size=count, max_size=count))
    lengths = [draw(st.integers(0, 50))]
    for one in steps:
        lengths.append(max(0, lengths[-1] + one))
    loss = draw(st.sampled_from([st.just(0), st.integers(0, 3)]))
    removed = draw(st.lists(loss, min_size=count, max_size=count))
    added = [max(0, one) + lost for one, lost in zip(steps, removed, strict=True)]
    kept = [max(0, gained - draw(loss)) for gained in added]
    bytes_grown = draw(st.sampled_from([0, 1 << 20, 1 << 24]))
    return Contents(
        lengths, added, removed, kept, range(count + 1), bytes_grown, draw(st.booleans())
    )


@settings(max_examples=500, deadline=None)
@given(found=contents())
def test_lengths_that_cannot_be_a_leak_are_none_whatever_the_elements(found):
    event(f"leak: {is_leak(found)}")
    if not can_be_leak(found.lengths, found.seconds, is_born=found.is_born):
        assert not is_leak(found)


def test_lengths_alone_rule_out_what_does_not_grow():
    assert can_be_leak([0, 10, 20, 30], range(4), is_born=False)
    assert not can_be_leak([10, 20, 30, 30], range(4), is_born=False)
    assert not can_be_leak([0, 1000, 1010, 1012], range(4), is_born=False)


@pytest.mark.parametrize(
    ("steps", "seconds", "slows"),
    [
        ([162, 47], [0, 1, 2], True),
        ([16, 7], [0, 1, 2], True),
        ([10, 10], [0, 1, 2], False),
        ([10, 6], [0, 1, 2], False),
        ([10, 4], [0, 10, 14], False),  # the second interval is shorter
        ([10, 10], [0, 1, 9], False),  # a busy machine
        ([0, 10], [0, 1, 2], False),
        ([10], [0, 1], False),
    ],
)
def test_growth_that_halves_in_the_second_of_two_intervals_runs_out(steps, seconds, slows):
    assert slows_down(steps, seconds) is slows
