"""The example of a fleet finds the worker that leaks, and no other."""

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "fleet_of_workers.py"


def test_leaking_worker_is_named_and_no_other(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    options = {"env": environment, "capture_output": True, "text": True, "check": True}
    command = [sys.executable, "-W", "error", str(EXAMPLE), str(tmp_path / "profiles")]
    done = subprocess.run(command, timeout=120, **options)
    notes = [line for line in done.stderr.splitlines() if "sampler is C only" not in line]
    assert notes == []
    assert "Fleet: 1 leak in 1 of 4 processes." in done.stdout
    assert "finished grows in 1 of 4 processes" in done.stdout
    command = [sys.executable, "-m", "memlens", "fleet", "--json", str(tmp_path / "profiles")]
    values = json.loads(subprocess.run(command, **options).stdout)
    leaking = [one["identity"]["name"] for one in values["processes"] if one["suspects"]]
    assert leaking == ["worker-2"]
