"""Build the C core in place, for the Python that runs this: ``python scripts/build_core.py [flags]``.

What an install does through setuptools, without its isolation: for working on the core. Flags go to
the compiler: ``-O0 -g``, ``-fsanitize=address,undefined``. Warnings are errors.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "memlens" / "_core" / "native"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-sign-compare"]
# The internal headers of CPython are not clean themselves.
WARNINGS += ["-Wno-missing-field-initializers", "-Wno-cast-function-type"]


def main(flags: list[str]) -> None:
    """Compile and link all sources with the interpreter's own compiler."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    target = ROOT / "memlens" / "_core" / f"_native{suffix}"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
    shared = (
        ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    )
    include = sysconfig.get_path("include")
    options = ["-O3", "-g", "-fPIC", "-fno-strict-aliasing", "-fwrapv", "-std=c11", "-DNDEBUG"]
    command = [*compiler, *options, *WARNINGS, f"-isystem{include}", *shared, *flags]
    command += [*map(str, sorted(SOURCES.glob("*.c"))), "-o", str(target)]
    subprocess.run(command, check=True)
    print(target.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
