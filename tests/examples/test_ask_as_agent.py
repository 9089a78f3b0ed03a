"""The example that asks as a coding agent does, in one command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mcp")  # the extra ``agents``

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_example_finds_the_leak_of_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / "ask_as_agent.py"],
        capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "leak, confidence" in done.stdout
    assert "__main__.SESSIONS" in done.stdout
