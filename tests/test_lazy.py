"""Public packages load their names on first use."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ("memlens.process", "memlens.profiler")


@pytest.mark.parametrize("package", PACKAGES)
def test_package_provides_every_name_of_its_all_from_the_module_that_defines_it(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        assert getattr(value, "__name__", name) == name
        assert not isinstance(value, type(sys))  # a submodule must not shadow a function
        assert name in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_none_of_its_modules(package):
    script = f"import sys, {package}; print([m for m in sys.modules if m.startswith('{package}.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_breakdown_is_the_function_after_its_module_was_imported():
    import memlens.process
    import memlens.process.memory_breakdown

    assert callable(memlens.process.breakdown)


def test_unknown_name_is_an_attribute_error_that_names_the_package():
    import memlens.process

    with pytest.raises(AttributeError, match=r"'memlens\.process' has no attribute 'nothing'"):
        _ = memlens.process.nothing
