"""No function of the C core keeps memory, references or descriptors, whatever it is called with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import IMPLEMENTATIONS

PROGRAM = Path(__file__).with_name("own_leaks.py")
MOST = {  # a call; less is what the measurement itself leaves once, divided by the calls
    "blocks": 0.5,
    "objects": 0.3,
    "references to None": 0.3,
    "bytes of malloc": 64.0,
    "descriptors": 0.01,
}

pytestmark = pytest.mark.skipif("C" not in IMPLEMENTATIONS, reason="the C core is not built")


def what_calls_left(seconds):
    environment = {name: value for name, value in os.environ.items() if name != "MEMLENS_PURE"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM, str(seconds)],
        env=environment | {"PYTHONMALLOC": "pymalloc"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("seconds", [0.02, pytest.param(0.5, marks=pytest.mark.slow)])
def test_no_function_leaves_anything(seconds):
    left = what_calls_left(seconds)
    assert [name for name, measures in left.items() if measures is None] == []  # never called
    assert len(left) > 80
    kept = {
        name: {what: amount for what, amount in measures.items() if amount > MOST[what]}
        for name, measures in left.items()
    }
    assert {name: measures for name, measures in kept.items() if measures} == {}
