"""Tell what the program holds from what the tools of its tests hold, such as pytest itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath
from memlens.leaks.fingerprints import fingerprint_of, stable_place
from memlens.leaks.origins import PROGRAM
from memlens.leaks.patterns.case import package_of
from memlens.leaks.people_paths import short_text
from memlens.leaks.suspects import LeakSuspect

__all__ = ("is_of_tool", "suspects_of_program")

_TOOLS = frozenset({"_pytest", "pytest", "pluggy", "hypothesis", "coverage", "xdist", "execnet"})
_FIXTURE = "_pytest.fixtures.FixtureDef"
_VALUE = "[0]"  # of the tuple `cached_result`


def is_of_tool(type_name: str) -> bool:
    """Tell whether a type or a module belongs to pytest, a plugin of it, or a tool of tests."""
    package = package_of(type_name) or type_name
    return package in _TOOLS or package.startswith("pytest_")


def suspects_of_program(
    suspects: Sequence[LeakSuspect], graph: HeapGraph, item: pytest.Item
) -> list[LeakSuspect]:
    """Return the suspects without those that only a tool holds.

    The value of a fixture belongs to the program: it is named after the fixture.
    """
    return list(_of_program(suspects, graph, item))


def _of_program(
    suspects: Sequence[LeakSuspect], graph: HeapGraph, item: pytest.Item
) -> Iterator[LeakSuspect]:
    names = {id(fixture): fixture for fixture in _fixtures_of(item)}
    for suspect in suspects:
        path = suspect.path
        if not any(map(is_of_tool, [path.root, *(hop.type_name for hop in path.hops)])):
            yield suspect
            continue
        for place, hop in reversed([*enumerate(path.hops)]):
            if hop.type_name == _FIXTURE and graph.node_address[hop.node] in names:
                yield _of_fixture(suspect, names[graph.node_address[hop.node]], place)
                break


def _of_fixture(suspect: LeakSuspect, fixture: Any, place: int) -> LeakSuspect:
    """Return a suspect named after the fixture in whose value it is."""
    hops = suspect.path.hops[place + 1 :]
    value = next((number for number, hop in enumerate(hops) if hop.text == _VALUE), -1)
    root = f"fixture {fixture.argname} ({fixture.scope})"
    path = RetentionPath(root, "fixture", hops[value + 1 :])
    kinds = (suspect.holder_type, *suspect.growing_types[:1])
    return replace(
        suspect,
        holder=short_text(path),
        path=path,
        fingerprint=fingerprint_of(stable_place(path), kinds, suspect.pattern),
        suggestion="If the fixture is meant to keep it until the end of its scope, put this id into"
        f" no_leaks(ignore=...). {suspect.suggestion.partition(' Look at ')[0]}",
        origin=PROGRAM,
    )


def _fixtures_of(item: pytest.Item) -> Iterator[Any]:
    info = getattr(item, "_fixtureinfo", None)
    for fixtures in info.name2fixturedefs.values() if info is not None else ():
        yield from fixtures
