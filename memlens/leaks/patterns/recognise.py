"""The rules in their order, and what is said where none knows the case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from memlens._text import format_count
from memlens.heap.graph.heap_graph import PYTHON
from memlens.leaks.patterns.callables import captures, listeners
from memlens.leaks.patterns.case import Case, Diagnosis
from memlens.leaks.patterns.collections import (
    bounded_by_nothing,
    buffers,
    classes,
    mappings,
    members,
    namespaces,
    pinned_keys,
)
from memlens.leaks.patterns.interpreter import (
    chains,
    cycles,
    detached,
    exceptions,
    interpreter_lists,
    native_holders,
    tracebacks,
)
from memlens.leaks.patterns.native_values import advice_on_values
from memlens.leaks.patterns.notebook import history
from memlens.leaks.patterns.queues import queues
from memlens.leaks.patterns.standard import standard_places

__all__ = ("recognise",)

Rule = Callable[[Case], "Diagnosis | None"]

_RULES: tuple[Rule, ...] = (
    cycles,
    native_holders,
    history,
    tracebacks,
    standard_places,
    queues,
    chains,
    bounded_by_nothing,
    interpreter_lists,
    buffers,
    exceptions,
    detached,
    captures,
    listeners,
    classes,
    pinned_keys,
    namespaces,
    mappings,
    members,
)


def recognise(case: Case) -> Diagnosis:
    """Return what the first rule that knows the case says of it."""
    # The rules are about types and idioms of Python.
    for rule in _RULES if case.graph.language == PYTHON else ():
        finding = rule(case)
        if finding is not None:
            return replace(finding, suggestion=finding.suggestion + advice_on_values(case))
    return Diagnosis(
        None,
        f"it gained {format_count(case.holder.count_growth)} entries and lost none",
        f"Find what adds to it and what should take away again, or bound it.{case.where()}",
    )
