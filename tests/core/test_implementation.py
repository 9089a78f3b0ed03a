"""Which implementation each half of the core has: MEMLENS_PURE, and extensions that are missing."""

import json
import os
import subprocess
import sys
import sysconfig

import pytest

from memlens._core.pure.capture import without_deferral

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


@needs_c
@pytest.mark.skipif(
    sys.version_info >= (3, 14) or sys.platform != "linux", reason="threads do not end so"
)
def test_daemon_threads_can_end_at_exit_where_no_memory_is_left():
    """glibc loads a library for that, and aborts the process where it cannot."""
    script = f"import {CAPTURE}; print(open('/proc/self/maps').read())"
    command = [sys.executable, "-c", script]
    maps = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "libgcc_s" in maps or "musl" in maps


@pytest.mark.parametrize("absent", [GRAPH, CAPTURE, "memlens._core._sampler"])
def test_a_demanded_extension_that_is_missing_is_an_import_error(absent):
    assert "ModuleNotFoundError" in run("0", [absent])


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="a build that always has the GIL"
)
def test_the_gil_of_a_free_threaded_build_stays_off():
    source = "import memlens, sys; memlens.take_heap_snapshot(); print(sys._is_gil_enabled())"
    command = [sys.executable, "-W", "error", "-c", source]
    assert subprocess.check_output(command, text=True, timeout=120) == "False\n"


def test_counts_of_a_free_threaded_build_are_read_without_their_deferral():
    deferred = (2**63 - 1) // 8
    counts = [3, deferred + 5, deferred - 2, 3 << 30]
    assert without_deferral(counts) == [3, 5, -2, 3 << 30]
    assert without_deferral([3, 3 << 30]) == [3, 3 << 30]


def import_under(hexversion):
    """How the import of the C capture ends where the running version seems to be this one."""
    source = (
        "import sys\n"
        "import memlens\n"
        f"sys.hexversion = {hexversion}\n"
        "try:\n"
        "    import memlens._core._capture\n"
        "except ImportError as error:\n"
        "    print(error)\n"
        "else:\n"
        "    print('imported')\n"
    )
    environment = {**os.environ, "MEMLENS_PURE": "1"}  # nothing has imported it before
    command = [sys.executable, "-W", "error", "-c", source]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@needs_c
def test_a_version_that_was_not_read_is_refused_in_one_line():
    assert import_under(sys.hexversion) == "imported"
    refusal = import_under(sys.hexversion + (1 << 16))  # the next minor version
    assert "is loaded by another version" in refusal
    assert "\n" not in refusal


@needs_c
@pytest.mark.skipif(sys.version_info[:2] != (3, 14), reason="3.14 changed its collector in 3.14.5")
def test_releases_of_314_with_another_collector_are_refused():
    for micro in range(5):
        refusal = import_under(0x030E00F0 | micro << 8)
        assert "has another garbage collector" in refusal
        assert "\n" not in refusal
    assert import_under(0x030E05F0) == "imported"


@needs_c
@pytest.mark.skipif(sys.version_info[:2] != (3, 15), reason="about releases of 3.15")
def test_what_came_before_the_release_of_315_is_refused():
    assert "not for this release" in import_under(0x030F00A1)
