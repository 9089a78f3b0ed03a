"""The example of tests of memory runs, and its leak is told when nobody expects it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integrations.inner_runs import PLUGIN, environment, only_on_c

pytestmark = only_on_c

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "test_memory_example.py"


def run(*command, folder):
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment(), capture_output=True, text=True
    )


def test_the_example_runs(tmp_path):
    done = run(EXAMPLE, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed, 1 xfailed" in done.stdout
    assert "memory, by memlens" in done.stdout


def test_without_the_mark_its_leak_is_reported(tmp_path):
    text = EXAMPLE.read_text(encoding="utf-8")
    mark = '@pytest.mark.xfail(strict=True, reason="sessions are never removed")\n'
    (tmp_path / "test_it.py").write_text(text.replace(mark, ""), encoding="utf-8")
    done = run("-m", "pytest", *PLUGIN, "-k", "leak", "test_it.py", folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_it.LEAKING._sessions grows: +20 elements" in done.stdout
