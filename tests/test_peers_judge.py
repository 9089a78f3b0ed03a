"""The rule by which benchmarks/peers judges what a tool prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers.__main__ import SHOWN_LINES
from benchmarks.peers.libraries import Case, judged

CASE = Case(
    "example",
    Path("missing"),
    {"verdict": "leak", "holder": [r"shop\._carts"], "types": ["Cart"]},
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("shop._carts grows: Cart", (True, True, False)),
        ("Root.i0_modules['shop'].__dict__['_carts']", (True, False, False)),
        ("filter_carts in shop.py", (False, False, False)),
        ("Cart.__init__ /tmp/x/repro.py:12", (False, True, True)),
        ('File "/tmp/x/repro.py", line 12', (False, False, True)),
        ("Carts and Cartesian", (False, False, False)),
        ("", (False, False, False)),
    ],
)
def test_names_are_found_as_whole_words(said: str, expected: tuple[bool, bool, bool]) -> None:
    assert judged(CASE, said) == expected


def test_what_comes_after_the_first_screen_does_not_count() -> None:
    said = "\n" * SHOWN_LINES + "shop._carts Cart repro.py:12"
    assert judged(CASE, said) == (False, False, False)
