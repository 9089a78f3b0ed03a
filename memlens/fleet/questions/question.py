"""Question: what can be asked of the tables of a service, and the options of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memlens.fleet.answers import Answer
from memlens.fleet.engine import Engine
from memlens.fleet.questions.fleet_facts import FleetFacts

__all__ = ("LONG_ENOUGH_SECONDS", "Options", "Question")

LONG_ENOUGH_SECONDS = 6 * 3600.0  # a process that ran for less tells nothing of slow growth


@dataclass(frozen=True, slots=True)
class Options:
    """How to answer. ``limit``: rows of an answer. ``before``, ``after``: the releases of `deploy`."""

    limit: int = 20
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question: its name on the command line, its title, and what answers it."""

    name: str
    title: str
    answer: Callable[[Engine, FleetFacts, Options], Answer]
