"""Programs that end while profilers run: as they do without memlens.

The programs are those of ``scripts/faults``, which runs each of them many times.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from memlens import _core

FAULTS = Path(__file__).resolve().parent.parent.parent / "scripts" / "faults"
QUICK = (  # others wait for seconds, or differ by the moment at which they end
    "a finalizer of a module's variable",
    "a finalizer in garbage",
    "a watched function in a finalizer",
    "a watched generator, and one more that begins in a finalizer",
    "functions at exit, before and after those of memlens",
    "modules that memlens uses are gone",
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or _core.fork_capture is None, reason="needs a forked capture"
)


@pytest.fixture(scope="module")
def endings():
    sys.path.insert(0, str(FAULTS))
    try:
        import endings
    finally:
        sys.path.remove(str(FAULTS))
    yield endings
    for name in ("endings", "trials"):
        del sys.modules[name]


@pytest.mark.parametrize("name", QUICK)
def test_a_program_ends_as_without_memlens(endings, tmp_path, name):
    assert endings.problems_of(name, tmp_path, 0.1) == []


@pytest.mark.slow
def test_programs_end_at_every_stage_as_without_memlens(endings, tmp_path):
    for number, name in enumerate(endings.ENDINGS):
        (tmp_path / str(number)).mkdir()
        assert endings.problems_of(name, tmp_path / str(number), 0.05 * (number % 4)) == [], name
