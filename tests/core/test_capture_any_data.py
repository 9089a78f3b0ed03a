"""Any data is captured as it is: many random trees of values, in one capture."""

from __future__ import annotations

import collections

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.heaps import PLANT, take

pytestmark = pytest.mark.small_process

VALUES = st.recursive(
    st.integers() | st.text(max_size=5) | st.none() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
        | st.builds(collections.deque, st.lists(inner, max_size=3))
    ),
    max_leaves=20,
)


@pytest.fixture
def trees():
    PLANT.trees = []

    @settings(
        max_examples=300,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(VALUES)
    def plant(tree):
        PLANT.trees.append(tree)

    plant()
    yield PLANT.trees
    del PLANT.trees


def test_any_data_is_captured_as_it_is(core, trees):
    heap = take(core)
    seen = collections.Counter()
    pending = [trees]
    while pending:
        obj = pending.pop()
        seen[type(obj)] += 1
        assert edges_with_data(heap, obj) == sorted(expected_edges(obj))
        pending += obj.values() if isinstance(obj, dict) else obj if is_sequence(obj) else ()
    assert min(seen[kind] for kind in (list, tuple, dict, collections.deque, int, str)) > 50


def is_sequence(obj):
    return isinstance(obj, (list, tuple, collections.deque))


def edges_with_data(heap, obj):
    """The edges of an object; of sequences those with a position only: a deque has its blocks."""
    return sorted(edge for edge in heap.edges(obj) if edge[0] == "INDEX" or not is_sequence(obj))


def expected_edges(obj):
    if is_sequence(obj):
        return [("INDEX", place, id(item)) for place, item in enumerate(obj)]
    if isinstance(obj, dict):
        keys = [("ITEM", "", id(key)) for key in obj]
        return keys + [("KEY", f"<{type(k).__name__}>", id(value)) for k, value in obj.items()]
    return []
