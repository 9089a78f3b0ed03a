"""The public package memlens.heap: what it exports, what that costs, and how it is shown."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import types

import pytest

import memlens.heap
from memlens import _core
from tests.heap.test_views import with_everything

CLASSES = [name for name in memlens.heap.__all__ if name[0].isupper()]


def test_all_is_sorted_and_every_name_resolves():
    assert list(memlens.heap.__all__) == sorted(memlens.heap.__all__)
    for name in memlens.heap.__all__:
        assert getattr(memlens.heap, name).__name__ == name
    assert {*memlens.heap.__all__} <= {*dir(memlens.heap)}
    with pytest.raises(AttributeError, match=r"'memlens\.heap' has no attribute 'nothing'"):
        memlens.heap.nothing


@pytest.mark.parametrize("name", CLASSES)
def test_class_has_a_docstring_and_a_repr(name):
    value = getattr(memlens.heap, name)
    assert value.__doc__
    assert not value.__doc__.startswith(f"{name}("), "the docstring is generated"
    assert value.__repr__ is not object.__repr__


def test_repr_is_one_line():
    snapshot = with_everything()
    path = snapshot.path_to(5)
    values = [
        snapshot, snapshot.graph, snapshot.graph.dominators, snapshot.largest(1)[0],
        snapshot.select("*"), snapshot.summary(), snapshot.statistics(), snapshot.duplicates(),
        snapshot.sparse_collections(), snapshot.compare(snapshot), snapshot.containment(),
        snapshot.dominators(), snapshot.dominators().big_drops(), path, *path.hops,
        memlens.heap.RetentionPathFinder(snapshot.graph), memlens.heap.Retention("str", [path]),
    ]  # fmt: skip
    for value in values:
        assert "\n" not in repr(value)
        assert type(value).__name__ in repr(value)


def classes_in(function):
    """Yield the classes of memlens in the return annotation of a function."""
    for word in re.findall(r"\w+", function.__annotations__.get("return") or ""):
        found = function.__globals__.get(word)
        if inspect.isclass(found) and found.__module__.startswith("memlens"):
            yield found


def public_functions():
    for name in memlens.heap.__all__:
        value = getattr(memlens.heap, name)
        if isinstance(value, types.FunctionType):
            yield name, value
            continue
        for attribute, member in inspect.getmembers(value):
            function = getattr(member, "fget", None) or getattr(member, "func", member)
            if not attribute.startswith("_") and isinstance(function, types.FunctionType):
                yield f"{name}.{attribute}", function


def test_classes_that_public_functions_return_are_public():
    public = {getattr(memlens.heap, name) for name in memlens.heap.__all__}
    hidden = {
        f"{name} returns {found.__name__}"
        for name, function in public_functions()
        for found in classes_in(function)
        if found not in public and not hasattr(memlens, found.__name__)
    }
    assert hidden == set()


def loaded_after(script):
    """Return the modules of the pure core that a script loads in a new interpreter."""
    code = f"{script}\nimport json, sys\nprint(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return {m for m in json.loads(done.stdout.splitlines()[-1]) if m.startswith("memlens.")}


@pytest.mark.skipif(_core.IMPLEMENTATION == "pure", reason="loads the pure core by definition")
def test_native_core_loads_no_module_of_the_pure_core():
    loaded = loaded_after(
        "import memlens\n"
        "for mode in ('inline', 'fork'):\n"
        "    snapshot = memlens.take_heap_snapshot(mode=mode)\n"
        "snapshot.summary(); snapshot.duplicates(); snapshot.dominators().big_drops()\n"
        "memlens.why_alive(memlens)"
    )
    assert {name for name in loaded if name.startswith("memlens._core.pure")} == set()


def test_importing_the_package_loads_no_views():
    loaded = loaded_after("import memlens.heap")
    assert {name for name in loaded if name.startswith("memlens.heap.")} == set()
