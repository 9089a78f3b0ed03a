"""Exports of allocation profiles, opened by the viewers' own loaders from npm.

``MEMLENS_NODE_MODULES`` is a folder with the packages ``speedscope`` and
``@firefox-devtools/profiler-cli``.
"""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile, ProfileFacts
from memlens.allocations.profile.rows import MEASURES, AllocationRow
from memlens.files import export

pytestmark = pytest.mark.node

FACTS = ProfileFacts("sampling", 512 * 1024, 1000.5, 2.5, 42, "3.12.1", 10_000_000)
MAIN = Frame("main", "/app/run.py", 3)
SERVE = Frame("Server.serve", "/app/server.py", 7)
SERVE_MORE = Frame("Server.serve", "/app/server.py", 9)  # another line of the same function
UNNAMED = Frame(None, "/app/native;世.py", 1)
IMPORTER = Path(__file__).with_name("speedscope_importer.cjs")


def row(path, live_bytes, live_count, more=0):
    sizes = live_bytes, 0.0, live_count, 0.0, live_bytes + more, 0.0, live_count + 1, 0.0
    return AllocationRow(tuple(path), *sizes, 1, 2)


PROFILE = AllocationProfile(
    [
        row([MAIN], 1000.5, 3),
        row([MAIN, SERVE], 1 << 20, 40, more=500),
        row([MAIN, SERVE_MORE], 4096, 1),
        row([MAIN, SERVE, SERVE], 77, 7),  # recursion
        row([SERVE, UNNAMED], 1 << 33, 2),
        row([UNNAMED], 0, 0, more=12),  # only allocated
    ],
    FACTS,
)


@pytest.fixture(scope="module")
def modules():
    folder = os.environ.get("MEMLENS_NODE_MODULES")
    assert folder, "set MEMLENS_NODE_MODULES to a folder with the packages of npm"
    return folder


def expected(measure, key):
    """The totals of the profile by what ``key`` makes of a frame: of itself, and of all above it."""
    own, total = Counter(), Counter()
    for one in PROFILE.rows:
        amount = getattr(one, measure)
        if amount:
            own[key(one.call_path[-1])] += amount
            for frame in set(map(key, one.call_path)):
                total[frame] += amount
    return {frame: (own[frame], total[frame]) for frame in total}


def name_of(frame):
    return frame.function or frame.location


def test_speedscope_shows_our_totals(modules, tmp_path):
    path = tmp_path / "a.speedscope.json"
    export(PROFILE, path)
    command = ["node", str(IMPORTER), modules, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    group = json.loads(done.stdout)
    assert group["name"] == "memlens allocations"
    assert [one["name"] for one in group["profiles"]] == [m.replace("_", " ") for m in MEASURES]
    for measure, shown in zip(MEASURES, group["profiles"], strict=True):
        assert shown["unit"] == ("bytes" if measure.endswith("bytes") else "none")
        assert shown["total"] == getattr(PROFILE.total, measure)
        found = {
            (name, file, line): (own, total) for name, file, line, own, total in shown["frames"]
        }
        assert found == expected(measure, lambda frame: (name_of(frame), frame.file, frame.line))


class FirefoxProfiler:
    """The command line of the Firefox Profiler, which loads a file in a process that goes on."""

    def __init__(self, modules, folder):
        script = Path(modules, "@firefox-devtools", "profiler-cli", "dist", "profiler-cli.js")
        self._command = ["node", str(script)]
        self._environment = {**os.environ, "PROFILER_CLI_SESSION_DIR": str(folder)}

    def run(self, *words):
        done = subprocess.run(
            [*self._command, *map(str, words)],
            capture_output=True, text=True, timeout=100, env=self._environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, *words):
        return json.loads(self.run(*words, "--json"))


@pytest.fixture
def firefox(modules, tmp_path):
    profiler = FirefoxProfiler(modules, tmp_path / "sessions")
    yield profiler
    profiler.run("stop", "--all")


def test_firefox_profiler_shows_our_totals(firefox, tmp_path):
    path = tmp_path / "a.firefox.json"
    export(PROFILE, path)
    firefox.run("load", path)
    threads = {one["name"]: one["threadHandle"] for one in firefox.ask("thread", "list")["threads"]}
    assert list(threads) == [measure.replace("_", " ") for measure in MEASURES]
    for measure in MEASURES:
        handle = threads[measure.replace("_", " ")]
        found = firefox.ask("thread", "functions", "--thread", handle)
        assert found["weightType"] == ("bytes" if measure.endswith("bytes") else "samples")
        functions = {
            one["name"]: (one["selfSamples"], one["totalSamples"]) for one in found["functions"]
        }
        assert functions == expected(measure, name_of)
        tree = firefox.ask("thread", "samples-top-down", "--thread", handle)["regularCallTree"]
        assert tree["totalSamples"] == getattr(PROFILE.total, measure)


def test_firefox_profiler_refuses_another_file(firefox, tmp_path):
    """A loader that accepts everything would prove nothing."""
    path = tmp_path / "a.speedscope.json"
    export(PROFILE, path)
    with pytest.raises(AssertionError, match="Profile load failed"):
        firefox.run("load", path)
