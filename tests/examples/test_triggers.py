"""The examples of triggers, each as a stranger would run it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import memlens

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


def run(name, *arguments, cwd):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TMPDIR": str(cwd), "PYTHONPATH": str(EXAMPLES.parent)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGUSR2")
def test_files_are_copied_to_a_directory(tmp_path):
    lines = run("upload_directory.py", tmp_path / "uploaded", cwd=tmp_path)
    assert [line.split(":")[0] for line in lines] == [
        "uploaded snapshot for signal",
        "uploaded snapshot for exit",
    ]
    uploaded = sorted((tmp_path / "uploaded").iterdir(), key=lambda path: path.name)
    assert [path.name.split("-2")[0] for path in uploaded] == ["heap-exit", "heap-signal"]
    assert all(memlens.load(path).object_count > 10_000 for path in uploaded)


@pytest.mark.skipif(
    importlib.util.find_spec("sentry_sdk") is None, reason="sentry-sdk is not installed"
)
def test_event_with_the_snapshot_attached_goes_to_sentry(tmp_path):
    event, attachment = run("sentry_attachment.py", cwd=tmp_path)
    assert event.startswith("event: memory snapshot: exit ")
    assert "'memlens.reason': 'exit'" in event
    assert attachment.startswith("attachment: heap-exit-")
    assert attachment.endswith(" bytes)")
