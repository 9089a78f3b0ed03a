"""Build the C extensions in place: ``python scripts/build_core.py [flags]``.

What an install does through setuptools, without its isolation: for working on the core. Flags go to
the compiler: ``-O0 -g``, ``-fsanitize=address,undefined``. Warnings are errors.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "memlens" / "_core"
NATIVE = CORE / "native"
TABLES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
# What an install compiles.
SOURCES = {
    table["name"].rpartition(".")[2]: [ROOT / name for name in table["sources"]] for table in TABLES
}
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-sign-compare"]
# The internal headers of CPython are not clean themselves.
WARNINGS += ["-Wno-missing-field-initializers", "-Wno-cast-function-type"]


def main(flags: list[str]) -> None:
    """Compile and link all extensions with the interpreter's own compiler."""
    for name, sources in SOURCES.items():
        build(name, sources, flags)


def build(name: str, sources: list[Path], flags: list[str]) -> None:
    """Compile and link one extension module."""
    target = CORE / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
    shared = (
        ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    )
    include = sysconfig.get_path("include")
    options = ["-O3", "-g", "-fPIC", "-fno-strict-aliasing", "-fwrapv", "-std=c11", "-DNDEBUG"]
    options += ["-fvisibility=hidden"]
    command = [*compiler, *options, *WARNINGS, f"-isystem{include}", f"-I{NATIVE}", *shared, *flags]
    command += [*map(str, sources), "-o", str(target), "-lm"]
    subprocess.run(command, check=True)
    print(target.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
