"""Any sharing of native memory among objects, on both cores, against a second way to join blocks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .test_capture_native import Blob, of_blobs

pytestmark = pytest.mark.small_process

BLOCKS = st.tuples(st.integers(1, 30).map(lambda n: n * 64), st.integers(0, 200))
BLOBS = st.lists(st.lists(BLOCKS, max_size=4), min_size=1, max_size=8)
APART = 1 << 16  # bytes between the memory of two groups


def expected_blocks(blobs):
    """The blocks by a second way: outermost ranges, each with all owners of what lies within."""
    rows = [(address, size, id(blob)) for blob in blobs for address, size, *_ in blob.held if size]
    blocks = []
    for address, size, owner in sorted(rows, key=lambda row: (row[0], -row[1])):
        for block in blocks[-1:]:
            if address < block[0] + block[1] and address + size <= block[0] + block[1]:
                block[2].add(owner)
                break
        else:
            blocks.append((address, size, {owner}))
    return {address: (size, frozenset(owners)) for address, size, owners in blocks}


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.lists(BLOBS, min_size=1, max_size=10))
def test_any_sharing(core, groups):
    """Several groups in one capture, each with memory of its own: a capture takes a second."""
    blobs = [
        Blob(*((group * APART + address, size) for address, size in blocks))
        for group, held in enumerate(groups)
        for blocks in held
    ]
    _, found = of_blobs(core, *blobs)
    assert {a: (b.size, b.owners) for a, [b] in found.items()} == expected_blocks(blobs)
