"""Objects of a static type that its extension has not passed to PyType_Ready, as cffi makes them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from memlens import _core

PLANT = """
import ctypes
import memlens

name = ctypes.create_string_buffer(b"planted.canary")
unready = (ctypes.c_size_t * 128)()  # a PyTypeObject; its ob_type stays NULL
unready[0], unready[3], unready[4] = 1, ctypes.addressof(name), 32
planted = (ctypes.c_size_t * 4)()
planted[0], planted[1] = 1 << 20, ctypes.addressof(unready)
KEPT = [ctypes.cast(ctypes.addressof(planted), ctypes.py_object).value]
"""


def run(script, core="0"):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PLANT + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "MEMLENS_PURE": core},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.skipif(_core.fork_capture is None, reason="the C core reads them")
@pytest.mark.parametrize("mode", ["inline", "fork"])
def test_they_are_captured_with_their_name_and_holder(mode):
    script = f"""
    snapshot = memlens.take_heap_snapshot(mode={mode!r}, values=True)
    snapshot.verify()
    (node,) = snapshot.select("planted.canary")
    print(node.type_name, node.shallow_bytes)
    print(snapshot.retention_paths(node)[0])
    print(snapshot.summary() is not None, memlens.find_leaks([snapshot, snapshot]).verdict)
    """
    name, path, last = run(script)
    assert name == "planted.canary 32"
    assert "KEPT" in path
    assert last == "True unknown"  # two snapshots tell nothing yet


def test_the_pure_core_refuses_instead_of_crashing():
    script = """
    try:
        memlens.take_heap_snapshot()
    except memlens.MemlensError as error:
        print(type(error).__name__, "not ready" in str(error))
    """
    assert run(script, core="1") == ["CaptureError True"]
