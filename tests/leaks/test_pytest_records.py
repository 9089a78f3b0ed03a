"""`memlens run -m pytest` names what tests leak, and does not blame pytest for its own records."""

import json
import os
import subprocess
import sys

import pytest

from memlens import _core

pytestmark = pytest.mark.skipif(
    _core.fork_capture is None, reason="captures in the process would make the tests too slow"
)

TESTS = """
import time

import pytest

CACHE = {}


class Session:
    def __init__(self, name):
        self.lines = [f"{name} {index}" for index in range(50)]


@pytest.fixture
def session(request):
    session = Session(request.node.name)
    if LEAKS:
        CACHE[request.node.name] = session
    yield session


@pytest.mark.parametrize("number", range(1500))
def test_session(session, number):
    time.sleep(0.002)  # so that they run for several intervals
    assert session.lines
"""


@pytest.fixture(scope="module")
def report_of(tmp_path_factory):
    def run(leaks):
        folder = tmp_path_factory.mktemp("run")
        (folder / "test_session.py").write_text(f"LEAKS = {leaks}\n{TESTS}")
        command = ["-m", "memlens", "run", "-o", "out", "--json"]
        done = subprocess.run(
            [sys.executable, *command, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
            cwd=folder,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((folder / "out" / "report.json").read_text())["leaks"]

    return run


def test_what_tests_leak_is_named(report_of):
    leaks = report_of(True)
    first = leaks["suspects"][0]
    assert first["holder"] == "test_session.CACHE"
    assert first["growing_types"][0] == "test_session.Session"


def test_the_records_of_pytest_are_no_leak(report_of):
    leaks = report_of(False)
    assert leaks["suspects"] == []
    assert leaks["pytest_records"]["holder_count"] > 0
    assert leaks["pytest_records"]["growth_bytes"] > 0
