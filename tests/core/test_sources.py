"""An install builds the extensions from all of their sources: a missing one disables the C code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("folder", ["native", "sampler", "."])
def test_every_c_file_is_among_the_sources_of_the_extension(folder):
    prefix = "" if folder == "." else f"{folder}/"
    listed = re.findall(
        rf'"(memlens/_core/{prefix}\w+\.[ch])"', (ROOT / "pyproject.toml").read_text()
    )
    there = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "memlens" / "_core" / folder).glob("*.[ch]")
    ]
    assert there
    assert sorted(listed) == sorted(there)


def test_only_one_file_of_the_sampler_depends_on_the_version_of_cpython():
    """A new version of CPython then means a change to one file."""
    internal = re.compile(
        r"PY_VERSION_HEX|Py_GIL_DISABLED|pycore_|\b_Py[A-Z]\w+|tstate->|CPython 3"
    )
    folder = ROOT / "memlens" / "_core" / "sampler"
    assert [path.name for path in folder.iterdir() if internal.search(path.read_text())] == [
        "frames.h"
    ]
