"""IPython's history among the holders, and the same names in programs that are no notebook."""

from __future__ import annotations

import pytest

from memlens.heap.graph.paths import Hop, RetentionPath
from memlens.leaks.leak_report import find_leaks
from memlens.leaks.patterns.notebook import holder_of_ipython
from tests.leaks.test_suspects import series, table_of


def session(p, n, name, *, with_ipython=True):
    """A heap whose ``__main__`` has a dict of this name with ``n`` entries."""
    if with_ipython:
        shell = p.node("IPython.core.history.HistoryManager", 64, key="history")
        p.module("IPython.core.history", manager=shell)
    p.module("__main__", **{name: table_of(p, n)})


@pytest.mark.parametrize(
    ("name", "advice"),
    [("Out", "%reset -f out"), ("_oh", "%reset -f out"), ("_ih", "%reset -f in")],
)
def test_outputs_and_inputs_of_ipython_are_recognised(name, advice):
    (suspect,) = find_leaks(series(lambda p, n: session(p, n, name)))
    assert suspect.pattern == "notebook-history"
    assert advice in suspect.suggestion


def test_a_dict_of_the_user_in_a_notebook_is_not_the_history():
    (suspect,) = find_leaks(series(lambda p, n: session(p, n, "results")))
    assert suspect.pattern == "unbounded-cache"


def test_the_same_name_in_a_program_without_ipython_is_not_the_history():
    (suspect,) = find_leaks(series(lambda p, n: session(p, n, "Out", with_ipython=False)))
    assert suspect.pattern == "unbounded-cache"


def test_outputs_that_do_not_grow_are_no_suspect():
    assert list(find_leaks(series(lambda p, n: session(p, 30, "Out")))) == []


def test_the_session_that_gains_names_of_results_is_the_history():
    def results(p, n):
        shell = p.node("IPython.core.history.HistoryManager", 64, key="history")
        names = {f"_{i}": p.node("app.Frame", 4000, key=("frame", i)) for i in range(n)}
        p.module("__main__", shell=shell, **names)

    (suspect,) = find_leaks(series(results, step=20))
    assert suspect.holder == "__main__.__dict__"
    assert suspect.pattern == "notebook-history"


def test_names_of_the_user_in_a_session_are_not_the_history():
    def named(p, n):
        shell = p.node("IPython.core.history.HistoryManager", 64, key="history")
        names = {f"frame_{i}": p.node("app.Frame", 4000, key=("frame", i)) for i in range(n)}
        p.module("__main__", shell=shell, **names)

    (suspect,) = find_leaks(series(named, step=20))
    assert suspect.pattern == "unbounded-cache"


def path(root, *hops):
    return RetentionPath(
        root, "module", tuple(Hop(t, "attribute", k, -1, 1, None) for t, k in hops)
    )


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (path("__main__", ("._", "app.Big")), "outputs"),
        (path("__main__", (".__", "app.Big")), "outputs"),
        (path("__main__", ("._12", "app.Big")), "outputs"),
        (path("__main__", (".Out", "dict"), ("[<int>]", "app.Big")), "outputs"),
        (path("__main__", ("._i12", "str")), "inputs"),
        (path("__main__", (".In", "list"), ("[3]", "str")), "inputs"),
        (path("sys", (".last_value", "ValueError")), "last traceback"),
        (path("sys", (".displayhook", "IPython.core.displayhook.D"), ("._", "app.Big")), "outputs"),
        (path("a", (".s", "ipykernel.zmqshell.S"), (".user_ns_hidden", "dict")), "outputs"),
        (path("a", (".s", "ipykernel.zmqshell.S"), (".events", "E")), "own tables"),
    ],
)
def test_holders_of_ipython_are_named(found, what):
    assert what in holder_of_ipython(found).what


@pytest.mark.parametrize(
    "found",
    [
        path("__main__", (".df", "app.Big")),
        path("__main__", ("._cache", "dict")),
        path("__main__", (".Outputs", "dict")),
        path("__main__", ("._input", "dict")),
        path("app", (".Out", "dict")),
        path("sys", (".modules", "dict")),
        path("app", ("._", "dict")),
    ],
)
def test_names_of_the_program_are_not_ipythons(found):
    assert holder_of_ipython(found) is None
