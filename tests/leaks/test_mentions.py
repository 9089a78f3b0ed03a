"""The functions that mention a name, near the object that bears it."""

from __future__ import annotations

import importlib
import sys

import pytest

import memlens
from memlens.leaks.mentions import functions_mentioning

pytestmark = pytest.mark.small_process

KEPT = []
SHELF = "SHELF_OF_THINGS"  # not as a name of this module's code
NEAR = """
SHELF_OF_THINGS = {}
class Keeper:
    def keep(self, thing):
        SHELF_OF_THINGS[id(thing)] = thing
def unrelated():
    return Keeper
"""
FAR = "def elsewhere(module):\n    return module.SHELF_OF_THINGS\n"


@pytest.fixture
def modules(tmp_path, monkeypatch):
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "__init__.py").write_text(NEAR)
    (tmp_path / "far_away.py").write_text(FAR)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("near"), importlib.import_module("far_away")
    for name in ("near", "far_away"):
        del sys.modules[name]


def mentioning(module, name):
    subject = vars(module)[SHELF]
    snapshot = memlens.take_heap_snapshot(mode="inline")
    graph = snapshot.graph
    return functions_mentioning(graph, name, graph.find_address(id(subject)))


def test_functions_in_the_holders_own_file_come_alone(modules):
    near, _ = modules
    (mention,) = mentioning(near, SHELF)
    assert (mention.function, mention.location.line) == ("Keeper.keep", 4)
    assert str(mention).endswith("near/__init__.py:4)")


def test_the_code_of_a_module_mentions_names_while_it_is_alive(modules):
    near, _ = modules
    KEPT.append(compile(NEAR, near.__file__, "exec"))
    try:
        mentions = mentioning(near, SHELF)
    finally:
        KEPT.clear()
    assert [(mention.function, mention.location.line) for mention in mentions] == [
        ("<module>", 1),
        ("Keeper.keep", 4),
    ]


def test_where_the_own_file_has_none_a_few_others_do(modules):
    near, _ = modules
    del near.Keeper.keep
    assert [mention.function for mention in mentioning(near, SHELF)] == ["elsewhere"]


def test_a_name_that_many_use_far_away_tells_nothing(modules):
    near, _ = modules
    assert mentioning(near, "append") == []


@pytest.mark.parametrize("name", ("", "no_code_uses_this_name", "HELF_OF_THING"))
def test_no_function_mentions_what_is_no_name(modules, name):
    near, _ = modules
    assert mentioning(near, name) == []
