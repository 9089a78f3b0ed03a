"""Profiles without the inside of memlens."""

from __future__ import annotations

import os

import pytest

from memlens._frame import Frame
from memlens._package import CODE_FOLDER
from memlens.report.html.own_frames import without_own_frames
from tests.report.test_flame import profile_of

FRAMES = {
    "o": Frame("walk", os.path.join(CODE_FOLDER, "heap", "walk.py"), 3),
    "s": Frame("put", os.path.join(CODE_FOLDER, "structures", "cache.py"), 3),
    "l": Frame("dumps", "/usr/lib/python3.11/json/__init__.py", 5),
    "p": Frame("main", "/srv/app.py", 7),
    "I": Frame("memlens itself", "", 0),
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pl", "pl"),
        ("olp", "lp"),
        ("oolplp", "lplp"),
        ("polo", "pI"),
        ("opool", "pI"),
        ("pop", "pop"),
        ("ps", "ps"),
        ("lol", "lI"),
    ],
)
def test_calls_inside_memlens_are_one_frame(path, expected):
    profile = without_own_frames(profile_of([([FRAMES[one] for one in path], 10, 20)]))
    assert profile.rows[0].call_path == tuple(FRAMES[one] for one in expected)
    assert profile.total.live_bytes == 10
