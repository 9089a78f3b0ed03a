"""Packages from PyPI whose own test suites run under memlens: where they come from, how they run.

The tests of a package are in its sdist, the package is installed as a wheel of the same version, with
what its tests need, in an environment that `foreign_suites.py --environment DIR` keeps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ("PACKAGES", "PackageSuite", "package_command")

_QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=")


@dataclass(frozen=True)
class PackageSuite:
    """A package, what its tests need besides it, and which tests run, relative to the sdist.

    ``in_package``: the tests are part of the wheel, so ``tests`` are modules.
    """

    name: str
    needs: tuple[str, ...]
    tests: tuple[str, ...]
    options: tuple[str, ...] = ()
    in_package: bool = False


PACKAGES = {
    suite.name: suite
    for suite in (
        PackageSuite("attrs", ("hypothesis", "cloudpickle", "pympler"), ("tests",)),
        PackageSuite("jinja2", ("trio",), ("tests",)),
        PackageSuite("click", (), ("tests",), ("-m", "not stress")),
        PackageSuite(
            "sqlalchemy", (), ("test/base", "test/sql", "test/engine"), ("-p", "no:logging")
        ),
        PackageSuite(
            "aiohttp",
            (
                "blockbuster",
                "freezegun",
                "proxy.py",
                "pytest-cov",
                "pytest-mock",
                "pytest-timeout",
                "python-on-whales",
                "re-assert",
                "trustme",
                "zlib_ng",
                "isal",
                "brotli",
                "aiodns",
                "uvloop",
                "pytest_codspeed",
            ),
            ("tests",),
            ("-m", "not dev_mode and not autobahn and not internal", "-p", "no:codspeed"),
        ),
        PackageSuite(
            "pandas",
            ("hypothesis",),
            (
                "pandas.tests.indexing",
                "pandas.tests.groupby.test_groupby",
                "pandas.tests.extension",
                "pandas.tests.reshape",
            ),
            ("-m", "not slow and not network and not single_cpu"),
            in_package=True,
        ),
    )
}


def package_command(name: str, results: Path, environments: Path) -> tuple[list[str], Path]:
    """Return the command that runs the suite of a package, and the folder to run it in.

    Makes the environment and unpacks the sdist where they are not there yet.
    """
    suite = PACKAGES[name]
    folder = environments.resolve() / name
    python = folder / "venv" / "bin" / "python"
    if not (folder / "ready").exists():
        _prepare(suite, folder, python)
    version = (folder / "ready").read_text()
    source = folder if suite.in_package else next(folder.glob(f"{name}-{version}*/"))
    tests = ["--pyargs", *suite.tests] if suite.in_package else list(suite.tests)
    command = [os.fspath(python), "-m", "pytest", *_QUIET, *suite.options, f"--junit-xml={results}"]
    return [*command, *tests], source


def _prepare(suite: PackageSuite, folder: Path, python: Path) -> None:
    """Make the environment of a package and unpack its tests."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", os.fspath(folder / "venv")], check=True)
    pip = [os.fspath(python), "-m", "pip", "--disable-pip-version-check"]
    needs = ["pytest", "psutil", "objgraph", "rich", *suite.needs]
    subprocess.run([*pip, "install", "-q", suite.name, *needs], check=True)
    code = f"from importlib.metadata import version; print(version({suite.name!r}))"
    version = subprocess.run(
        [os.fspath(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not suite.in_package:
        download = [
            "download",
            "-q",
            "--no-binary",
            ":all:",
            "--no-deps",
            f"{suite.name}=={version}",
        ]
        subprocess.run([*pip, *download, "-d", os.fspath(folder)], check=True)
        with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
    (folder / "ready").write_text(version)
