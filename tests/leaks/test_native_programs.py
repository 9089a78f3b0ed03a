"""Programs that leak memory of libraries: the first suspect is the holder, its bytes the library's."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memlens import _core
from tests.leaks.native_kinds import BASE, KINDS, SLICES

pytestmark = pytest.mark.skipif(
    _core.fork_capture is None, reason="only the native core can capture in a forked child"
)
ROOT = Path(__file__).resolve().parents[2]
MAX_ERROR = 0.05
HOLDERS = {
    "module": "__main__.HELD",
    "instance": "__main__.STORE.items",
    "local": "leak_and_twin() local 'kept'",
}
# Each kind has one of the holders; a whole table would be three times as many processes.
PLANTED = [(kind, list(HOLDERS)[number % 3]) for number, kind in enumerate(KINDS)]


def run(kind, holder, packages):
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.leaks.native_program", kind.__name__, holder],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("kind", "holder"), PLANTED, ids=[f"{kind.__name__}-{holder}" for kind, holder in PLANTED]
)
def test_a_leak_has_its_holder_and_bytes_and_a_bounded_cache_is_silent(kind, holder):
    found = run(kind, holder, KINDS[kind])
    leak, twin = found["leak"], found["twin"]
    assert leak["suspects"], leak["text"]
    first = leak["suspects"][0]
    assert first["holder"] == HOLDERS[holder]
    assert first["count_growth"] == 30
    assert abs(first["retained_growth_bytes"] - leak["grown"]) <= MAX_ERROR * leak["grown"]
    # What else is named may be a part of what was added, never the memory itself.
    others = sum(one["retained_growth_bytes"] for one in leak["suspects"][1:])
    assert others <= MAX_ERROR * leak["grown"]
    assert twin["suspects"] == [], twin["text"]
    assert leak["incomplete"] == twin["incomplete"] == []


@pytest.mark.parametrize("kind", SLICES, ids=lambda kind: kind.__name__)
def test_more_slices_of_one_storage_are_no_growth_of_memory(kind):
    found = run(kind, "slices", SLICES[kind])["slices"]
    for suspect in found["suspects"]:  # the slices are objects, of some hundred bytes each
        assert suspect["native_growth"] == []
        assert suspect["retained_growth_bytes"] < BASE / 100
