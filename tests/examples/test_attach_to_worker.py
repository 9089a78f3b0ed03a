"""The example runs in one command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attach.programs import HAS_GDB, HAS_REMOTE, ROOT


@pytest.mark.skipif(not HAS_GDB and not HAS_REMOTE, reason="needs gdb or Python 3.14")
def test_the_leak_of_a_worker_is_found_from_outside(tmp_path):
    done = subprocess.run(
        [sys.executable, str(Path(ROOT) / "examples" / "attach_to_worker.py")],
        env={**os.environ, "PYTHONPATH": ROOT, "TMPDIR": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "__main__._JOBS" in done.stdout
    assert "the profiler in process" in done.stdout
    assert os.listdir(tmp_path) == []
