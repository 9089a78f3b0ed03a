"""Which implementation each half of the core has: MEMLENS_PURE, and extensions that are missing."""

import json
import os
import subprocess
import sys

import pytest

from .conftest import CAPTURE, GRAPH, IMPLEMENTATIONS

needs_c = pytest.mark.skipif("C" not in IMPLEMENTATIONS, reason="the C core is not built")

SOURCE = """
import json, sys
for absent in {absent!r}:
    sys.modules[absent] = None  # its import then fails as if it were not there
from memlens import _core
sections = _core.capture()
columns = [sections[name] for name in ("edge_offset", "edge_target", "edge_label", "node_size")]
assert _core.dominator_tree(*columns)[1][0] > 0
functions = _core.capture, _core.dominator_tree
print(json.dumps([_core.IMPLEMENTATION, _core.fork_capture is not None,
                  *[type(one).__name__[:7] for one in functions]]))
"""


def run(setting, absent=()):
    """[IMPLEMENTATION, whether it forks, kinds of capture and dominator_tree] in a new process."""
    environment = {name: value for name, value in os.environ.items() if name != "MEMLENS_PURE"}
    if setting is not None:
        environment["MEMLENS_PURE"] = setting
    command = [sys.executable, "-W", "error", "-c", SOURCE.format(absent=[*absent])]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    if result.returncode:
        return result.stderr.strip().splitlines()[-1]
    return json.loads(result.stdout)


C, PURE = "builtin", "functio"  # the names of the types of their functions


@needs_c
def test_both_halves_are_c_where_they_are_built():
    assert run(None) == run("0") == ["C", True, C, C]


def test_pure_python_can_be_demanded():
    assert run("1") == ["pure", False, PURE, PURE]


def test_without_extensions_all_is_pure():
    assert run(None, [GRAPH, CAPTURE]) == ["pure", False, PURE, PURE]


@needs_c
def test_each_half_falls_back_by_itself():
    assert run(None, [CAPTURE]) == ["C graph, pure capture", False, PURE, C]
    assert run(None, [GRAPH]) == ["pure graph, C capture", True, C, PURE]


@pytest.mark.parametrize("absent", [GRAPH, CAPTURE, "memlens._core._sampler"])
def test_a_demanded_extension_that_is_missing_is_an_import_error(absent):
    assert "ModuleNotFoundError" in run("0", [absent])
