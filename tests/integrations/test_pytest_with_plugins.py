"""memlens's plugin for pytest beside pytest-xdist, pytest-cov, pytest-asyncio and Hypothesis.

With the extra ``plugins``; without it the tests are skipped.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from memlens.leaks.baselines import Baseline
from tests.integrations.inner_runs import PLUGIN, environment

pytest.importorskip("xdist")
pytest.importorskip("pytest_cov")
pytest.importorskip("pytest_asyncio")

SOURCE = """
import asyncio
import pytest
from hypothesis import HealthCheck, given, settings, strategies

KEPT = []

class Session:
    pass

@pytest.mark.no_leaks
def test_leak():
    KEPT.append(Session())

@pytest.mark.no_leaks
def test_healthy(tmp_path):
    (tmp_path / "new").mkdir()

@pytest.mark.limit_memory("2 MiB")
def test_above():
    bytearray(3_000_000)

@pytest.mark.no_leaks
@pytest.mark.asyncio
async def test_async_leak():
    await asyncio.sleep(0)
    KEPT.append(Session())

@pytest.mark.no_leaks
@pytest.mark.limit_memory("2 MiB")
@pytest.mark.asyncio
async def test_async_healthy():
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))

@pytest.mark.limit_memory("2 MiB")
@pytest.mark.asyncio
async def test_async_above():
    await asyncio.sleep(0)
    bytearray(3_000_000)

@pytest.mark.no_leaks
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.lists(strategies.text()))
def test_hypothesis_healthy(texts):
    assert sorted(sorted(texts)) == sorted(texts)

@pytest.mark.no_leaks
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.integers())
def test_hypothesis_leak(number):
    KEPT.append(Session())
"""
FAILING = {"test_leak", "test_above", "test_async_leak", "test_async_above", "test_hypothesis_leak"}


def run(folder, *options):
    """Run the tests in a process of their own; return its output and the names that failed."""
    (folder / "test_it.py").write_text(SOURCE)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    plugins = [f"-p{name}" for name in ("xdist", "pytest_cov", "asyncio", "hypothesispytest")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *PLUGIN, *options, "test_it.py"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    failed = {
        line.partition("::")[2].split()[0] for line in lines if line.startswith(("FAILED", "ERROR"))
    }
    return done.stdout, failed


def test_async_and_generated_tests_are_checked(tmp_path):
    output, failed = run(tmp_path)
    assert failed == FAILING, output
    assert "allocated at test_async_leak" in output


def test_results_come_from_workers_and_coverage_is_complete(tmp_path):
    path = tmp_path / "known.json"
    output, failed = run(tmp_path, "-n2", "--cov=.", "--memlens", f"--memlens-save-baseline={path}")
    assert failed == {"test_above", "test_async_above"}, output
    assert "2.86 MiB" in output
    assert re.search(r"^test_it\.py +\d+ +0 +100%$", output, re.MULTILINE), output
    assert [known.holder for known in Baseline.load(path)] == ["test_it.KEPT"]

    output, failed = run(tmp_path, "-n2", f"--memlens-baseline={path}")
    assert failed == {"test_above", "test_async_above"}, output
    assert "memlens: 1 suspects of the baseline were found, 0 were not, 0 are new" in output
