"""Columns stay where they are while the core computes over them, without the GIL."""

from __future__ import annotations

import sys

import pytest

from .graphs import chain

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ is new in 3.12")


def can_be_resized(column):
    try:
        column.append(0)
    except BufferError:
        return False
    column.pop()
    return True


def test_columns_cannot_be_resized_from_their_check_on(core):
    if core.__name__ != "C":
        pytest.skip("the reference reads columns as Python objects: nothing can move under it")
    graph = chain(100)
    seen = {}

    class Sizes:
        """The last column, read when the others have been checked."""

        def __buffer__(self, flags):
            seen["checked"] = [can_be_resized(column) for column in graph.columns]
            return memoryview(graph.node_size)

    core.dominator_tree(*graph.columns, Sizes())
    assert seen["checked"] == [False] * 3
    assert all(can_be_resized(column) for column in graph)
