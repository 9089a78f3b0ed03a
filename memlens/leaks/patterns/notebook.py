"""Rules for IPython and notebooks: the history and the caches in which results of cells stay."""

from __future__ import annotations

import re
from typing import NamedTuple

from memlens.heap.graph.heap_graph import HeapGraph
from memlens.heap.graph.paths import RetentionPath
from memlens.leaks.patterns.case import Case, Diagnosis

__all__ = ("IPythonHolder", "history", "holder_of_ipython")

_OUTPUTS = (
    "IPython's cache of outputs",
    "%xdel NAME (or %xdel _12 for Out[12]) releases one object, %reset -f out all outputs; end a cell"
    " with a semicolon so that its result is not kept, or set InteractiveShell.cache_size = 0.",
)
_INPUTS = (
    "IPython's history of inputs",
    "It keeps the text of each cell only; %reset -f in empties it.",
)
_TRACEBACK = (
    "the last traceback, kept for %debug and %tb",
    "It keeps the variables of the functions that were running. The next exception replaces it: run"
    " a cell with 1/0, for example.",
)
_SHELL = ("IPython's own tables", "%reset -f releases what the cells of this session left behind.")

_PLACES = (  # by the beginning of the path: root and first name
    (re.compile(r"__main__\.(?:Out|_oh)\b|__main__\._+(?:\d+)?(?![\w])"), _OUTPUTS),
    (re.compile(r"__main__\.(?:In|_ih|_i+\d*)(?!\w)"), _INPUTS),
    (re.compile(r"sys\.last_(?:value|traceback|exc|type)\b"), _TRACEBACK),
)
# What objects of IPython hold, by the attribute of theirs.
_ATTRIBUTES = {
    "output_hist": _OUTPUTS,
    "user_ns_hidden": _OUTPUTS,
    "last_execution_result": _OUTPUTS,
    "displayhook": _OUTPUTS,
    "_": _OUTPUTS,
    "__": _OUTPUTS,
    "___": _OUTPUTS,
    "input_hist_parsed": _INPUTS,
    "input_hist_raw": _INPUTS,
    "output_hist_reprs": _INPUTS,
    "InteractiveTB": _TRACEBACK,
    "tb": _TRACEBACK,
}
_LIBRARIES = ("IPython.", "ipykernel.")
_MADE_NAMES = re.compile(r"_i?\d+|_{1,3}|_i{1,3}")


class IPythonHolder(NamedTuple):
    """What of IPython holds an object, and how to release it."""

    what: str
    advice: str


def holder_of_ipython(path: RetentionPath) -> IPythonHolder | None:
    """Return what of IPython is on a path; None if the program itself holds the object.

    The names are those of IPython, so a path through them is judged only where IPython runs.
    """
    texts = [hop.text for hop in path.hops if hop.text]
    start = path.root + "".join(texts[:1])
    for pattern, place in _PLACES:
        if pattern.match(start):
            return IPythonHolder(*place)
    is_within = False
    found = None
    for hop in path.hops:
        if is_within:
            found = _ATTRIBUTES.get(hop.text.strip(".")) or found
        is_within = is_within or hop.type_name.startswith(_LIBRARIES)
    return IPythonHolder(*(found or _SHELL)) if is_within else None


def history(case: Case) -> Diagnosis | None:
    """The outputs, inputs and tracebacks that IPython keeps of the cells of a session."""
    if not _has_ipython(case.graph):
        return None
    holder = holder_of_ipython(case.path)
    if holder is None and _is_namespace_of_cells(case):
        holder = IPythonHolder(*_OUTPUTS)
    if holder is None or holder[:] == _SHELL:
        return None
    return Diagnosis(
        "notebook-history", f"{holder.what} keeps them for the whole session", holder.advice
    )


def _has_ipython(graph: HeapGraph) -> bool:
    return any(name.startswith("IPython.core.") for name in graph.type_names)


def _is_namespace_of_cells(case: Case) -> bool:
    """Tell whether the namespace of the session gained only names that IPython makes for results."""
    entries = set(case.holder.entries)
    names = [edge.name for edge in case.edges if edge.target in entries and edge.name]
    is_session = case.path.root == "__main__" and all(
        hop.text in ("", ".__dict__") for hop in case.path.hops
    )
    return is_session and bool(names) and all(map(_MADE_NAMES.fullmatch, names))
