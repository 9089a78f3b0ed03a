"""The options of memlens's plugin for pytest, and that it costs nothing where it is not used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from memlens.leaks.baselines import Baseline
from tests.integrations.inner_runs import PLUGIN, environment, only_on_c

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.small_process

LEAK = """
import pytest
KEPT = []
class Session: pass
class Request: pass
@pytest.mark.no_leaks(rounds=9, warmup=1)
def test_one():
    KEPT.append(Session())
"""
NO_BASELINE = "memlens: 0 suspects of the baseline were found, 1 were not, 1 are new"


def test_the_hungriest_tests_are_listed(run):
    inner = run(
        """
        KEPT = []
        def test_small(): bytearray(1_000_000)
        def test_large(): bytearray(3_000_000)
        def test_keeps(): KEPT.append(bytearray(2_000_000))
        def test_fails():
            bytearray(500_000)
            raise OSError
        """,
        *("--memlens", "--memlens-rows", "3"),
    )
    rows = inner.result.outlines[inner.result.outlines.index("    peak       kept  test") :]
    assert [row.split()[-1] for row in rows[1:4]] == [
        "test_it.py::test_large", "test_it.py::test_keeps", "test_it.py::test_small",
    ]  # fmt: skip
    assert rows[1].startswith("2.86 MiB  ")
    assert "1.91 MiB  +1.91 MiB" in rows[2]
    assert rows[4] == "... and 1 more; --memlens-rows 4"
    inner.result.assert_outcomes(passed=3, failed=1)


@only_on_c
def test_a_baseline_lets_known_suspects_pass(run, tmp_path):
    path = tmp_path / "known.json"
    inner = run(LEAK, "--memlens-save-baseline", str(path))
    inner.result.assert_outcomes(passed=1)
    assert f"memlens: 1 suspects written to {path}" in inner.result.outlines
    (known,) = Baseline.load(path)
    assert known.holder == "test_it.KEPT"

    inner = run(LEAK, "--memlens-baseline", str(path))
    inner.result.assert_outcomes(passed=1)
    assert inner.values("test_one")["suspects"][0]["status"] == "known"

    inner = run(LEAK.replace("append(Session", "append(Request"), "--memlens-baseline", str(path))
    inner.result.assert_outcomes(failed=1)
    assert "new, in the program" in inner.text("test_one")
    assert NO_BASELINE in inner.result.outlines


def test_what_cannot_be_read_or_written_is_said(run, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]")
    inner = run("def test_one(): pass", "--memlens-baseline", str(wrong))
    assert inner.result.ret == pytest.ExitCode.USAGE_ERROR
    inner.result.stderr.fnmatch_lines(["ERROR: --memlens-baseline: *--memlens-save-baseline"])
    inner = run("def test_one(): pass", "--memlens", "--memlens-rows", "0")
    inner.result.stderr.fnmatch_lines(["ERROR: --memlens-rows must be a whole number, 1 or more*"])
    missing = tmp_path / "no folder" / "known.json"
    inner = run("def test_one(): pass", "--memlens-save-baseline", str(missing))
    inner.result.stdout.fnmatch_lines(["memlens: the baseline was not written: *no folder*"])
    inner.result.assert_outcomes(passed=1)


def test_the_markers_are_registered(run):
    run("def test_one(): pass", "--markers").result.stdout.fnmatch_lines(
        [
            "@pytest.mark.limit_memory(limit, *",
            "@pytest.mark.no_leaks(rounds=20, *",
            "@pytest.mark.limit_leaked_objects(limit, *",
        ]
    )


def test_the_markers_of_pytest_memray_are_left_to_it(run, pytester):
    pytester.makeconftest(
        """
        class Memray: pass
        def pytest_configure(config):
            config.pluginmanager.register(Memray(), "memray_manager")
        """
    )
    inner = run("""
        import pytest
        @pytest.mark.limit_memory("1 MB", current_thread_only=True)
        @pytest.mark.limit_leaked_objects(0, filter_fn=len)
        def test_one(): bytearray(3_000_000)
    """)
    inner.result.assert_outcomes(passed=1)


UNUSED = """
import sys
def test_one(request):
    hooks = request.config.hook
    for name in ("pytest_runtest_setup", "pytest_runtest_call", "pytest_runtest_logreport"):
        users = [one.plugin for one in getattr(hooks, name).get_hookimpls()]
        assert not [user for user in users if "memlens" in str(user)], name
    print(*sorted(name for name in sys.modules if name.startswith("memlens")))
"""


def test_a_run_that_does_not_use_it_imports_nothing_and_adds_no_hook(tmp_path):
    (tmp_path / "test_it.py").write_text(UNUSED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", *PLUGIN, "test_it.py"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    imported = next(line for line in done.stdout.splitlines() if line.startswith("memlens")).split()
    assert imported == [
        "memlens",
        "memlens._lazy",
        "memlens.integrations",
        "memlens.integrations.pytest",
        "memlens.lifetimes",
        "memlens.lifetimes.pytest_plugin",
    ]


def test_results_are_plain_values(run):
    """So that they travel between the processes of pytest-xdist."""
    inner = run(LEAK, "--memlens")
    values = inner.values("test_one")
    assert json.loads(json.dumps(values)) == values
    assert values["peak_bytes"] > 0
