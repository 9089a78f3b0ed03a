"""What can be told of the extension without IPython."""

from __future__ import annotations

import subprocess
import sys

import pytest

import memlens
from memlens.errors import MissingExtraError
from memlens.integrations.notebooks.notebook_memory import (
    KeptObject,
    NotebookMemory,
    growth_by_cell,
    kept_objects,
)
from tests.heap.planted import Planter


def test_outside_of_ipython_the_error_names_the_extra():
    with pytest.raises(MissingExtraError, match=r"pip install memlens\[notebook\]"):
        memlens.load_ipython_extension(None)


def test_unloading_what_was_not_loaded_does_nothing():
    memlens.unload_ipython_extension(None)


def test_memlens_imports_nothing_of_ipython():
    code = "import sys, memlens, memlens.integrations.ipython as _; print('IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def kept(sizes, old=None):
    p = Planter()
    nodes = {name: p.node(kind, size, key=name) for name, (kind, size) in sizes.items()}
    p.module("__main__", **nodes)
    graph = p.graph()
    addresses = {graph.node_address[node]: name for name, node in nodes.items()}
    holders = {address: [f"the name {name}"] for address, name in addresses.items()}
    advice = {address: f"del {name}" for address, name in addresses.items()}
    known = None if old is None else frozenset(a for a, name in addresses.items() if name in old)
    return kept_objects(graph, {**holders, 12345: ["gone"]}, advice, {}, known)


def test_objects_are_listed_without_small_ones_modules_and_functions():
    found = kept(
        {
            "df": ("pandas.DataFrame", 5000), "small": ("list", 100), "np": ("module", 9000),
            "load": ("function", 9000), "cls": ("type", 9000),
        }
    )  # fmt: skip
    assert [(row.type_name, row.holders, row.advice) for row in found] == [
        ("pandas.DataFrame", ("the name df",), "del df")
    ]


def test_objects_that_came_since_the_start_are_new():
    found = kept({"a": ("list", 5000), "b": ("list", 6000)}, old={"a"})
    assert [row.is_new for row in found] == [False, True]
    assert [row.is_new for row in kept({"a": ("list", 5000)})] == [False]


def test_the_table_shows_holders_and_advice():
    rows = [
        KeptObject("list", 2000, ("the name a",), "del a", "In [3]"),
        KeptObject("dict", 9000, ("the name b", "Out[4]"), "%xdel b", None, True),
    ]
    text = str(NotebookMemory(rows, 10**6, "In [2]"))
    title = " ".join(text.split("\n\n")[0].split())
    assert title == (
        "The notebook keeps 2 objects of 1.00 KiB or more;"
        " since cell In [2] the heap changed by +977 KiB"
    )
    assert text.index("the name b") < text.index("Out[4]") < text.index("-> %xdel b")
    assert text.index("-> %xdel b") < text.index("the name a")
    assert NotebookMemory(rows).to_dict()["rows"][0]["holders"] == ("the name b", "Out[4]")


def heap(size):
    p = Planter()
    p.module("__main__", acc=p.node("list", size, key="acc"))
    return p.graph()


def test_growth_is_named_by_cell_from_the_first_cell_of_the_object_on():
    steps = [("", heap(9000)), ("earlier cells", heap(20_000)), ("In [5]", heap(20_500))]
    steps += [("In [6]", heap(30_000)), ("In [7]", heap(1000))]
    graph = steps[0][1]
    (address,) = [
        graph.node_address[n] for n in range(len(graph.node_address)) if graph.type_of(n) == "list"
    ]
    assert growth_by_cell(steps, address, None) == ("earlier cells", "In [6]")
    assert growth_by_cell(steps, address, "In [2]") == ("In [6]",)  # its snapshot is gone
    assert growth_by_cell(steps, address, "In [6]") == ()
    assert growth_by_cell(steps, address + 1, None) == ()
    assert growth_by_cell([], address, None) == ()
