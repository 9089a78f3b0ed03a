"""What ``import memlens`` gives, and what it costs."""

from __future__ import annotations

import collections
import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import memlens
import memlens.errors

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


PUBLIC_MODULES = (
    "memlens",
    "memlens.allocations",
    "memlens.errors",
    "memlens.heap",
    "memlens.leaks",
    "memlens.lifetimes",
    "memlens.process",
    "memlens.profiler",
    "memlens.structures",
    "memlens.stuck",
)


def test_all_is_sorted_and_true():
    assert list(memlens.__all__) == sorted(memlens.__all__)
    for name in memlens.__all__:
        assert getattr(memlens, name) is not None


def test_the_root_has_about_30_names():
    assert len(memlens.__all__) <= 35


PUBLIC = [
    (module, name)
    for module in PUBLIC_MODULES
    for name in getattr(importlib.import_module(module), "__all__", ())
]


def is_generated(cls, docstring):
    """Whether a docstring is what ``dataclass`` or ``NamedTuple`` writes: the signature."""
    return docstring.startswith(f"{cls.__name__}(")


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_public_name_has_a_docstring_of_its_own(module, name):
    thing = getattr(importlib.import_module(module), name)
    if isinstance(thing, type):
        docstring = vars(thing).get("__doc__")  # not the one of a base class
        assert docstring
        assert not is_generated(thing, docstring)
    elif callable(thing):
        assert thing.__doc__


def test_a_generated_docstring_is_recognised():
    @dataclasses.dataclass
    class Row:
        size_bytes: int

    assert is_generated(Row, Row.__doc__)
    Pair = collections.namedtuple("Pair", "left right")
    assert is_generated(Pair, Pair.__doc__)
    assert not is_generated(Row, "A row of a table.")


def test_every_error_is_ours_and_a_built_in_one():
    errors = [getattr(memlens.errors, name) for name in memlens.errors.__all__]
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
