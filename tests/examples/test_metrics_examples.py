"""The examples of docs/metrics.md run in one command."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sampler import need_sampler

ROOT = Path(__file__).resolve().parents[2]


def run(name: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / name)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(
    importlib.util.find_spec("prometheus_client") is None, reason="needs memlens[prometheus]"
)
def test_prometheus_metrics():
    need_sampler()
    shown = run("prometheus_metrics.py")
    assert "memlens_running 1.0" in shown
    assert 'memlens_live_bytes{site="load_sessions (examples/prometheus_metrics.py:' in shown


@pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry") is None
    or importlib.util.find_spec("opentelemetry.sdk") is None,
    reason="needs memlens[opentelemetry] and opentelemetry-sdk",
)
def test_opentelemetry_metrics():
    need_sampler()
    lines = run("opentelemetry_metrics.py").splitlines()
    names = {line.split()[0] for line in lines}
    assert {"process.memory.usage", "cpython.gc.collections", "memlens.allocations.live"} <= names
    assert any("load_sessions (examples/opentelemetry_metrics.py:" in line for line in lines)


def test_otlp_profiles():
    need_sampler()
    shown = run("otlp_profiles.py")
    assert "/v1development/profiles: " in shown
    assert shown.count(": True") == 4
    assert "failures: 0" in shown
