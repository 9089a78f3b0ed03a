"""What ``import memlens`` gives, and what it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import memlens

# Heavy or foreign: none may be loaded by a bare ``import memlens``.
FORBIDDEN = {
    "argparse",
    "asyncio",
    "cachetools",
    "email",
    "html",
    "http",
    "importlib.metadata",
    "networkx",
    "numpy",
    "objgraph",
    "opentelemetry",
    "prometheus_client",
    "psutil",
    "rich",
    "socket",
    "ssl",
    "unittest",
    "urllib.request",
}


def test_all_is_sorted_and_true():
    assert list(memlens.__all__) == sorted(memlens.__all__)
    for name in memlens.__all__:
        assert getattr(memlens, name) is not None


def test_every_public_thing_has_a_docstring():
    for name in memlens.__all__:
        assert getattr(memlens, name).__doc__, name


def test_every_error_is_ours_and_a_built_in_one():
    errors = [getattr(memlens, name) for name in memlens.__all__ if name.endswith("Error")]
    assert len(errors) >= 9
    for error in errors:
        assert issubclass(error, memlens.MemlensError)
        if error is not memlens.MemlensError:
            assert len(error.__bases__) == 2, f"{error.__name__} derives from a built-in one too"


def test_importing_memlens_loads_nothing_heavy():
    script = "import sys, json, memlens; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(_root())!r}); {script}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert not FORBIDDEN & set(json.loads(output))


def _root() -> Path:
    return Path(memlens.__file__).resolve().parent.parent
