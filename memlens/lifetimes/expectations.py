"""expect_collected: follow objects that should be gone by now, and find those that are late.

The idea is that of LeakCanary. An object is followed by a weak reference, which costs about as much
as the reference itself. Only if objects are late is garbage collected, the heap captured, and
searched for what keeps them alive.

No lock is taken and no thread started: an expectation is one entry of a dict, and single operations
of a dict are atomic. So finalizers and signal handlers may expect objects, too.
"""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from memlens._fork import call_in_forked_child
from memlens._options import check_callable, check_seconds, check_text
from memlens.errors import NotCollectedError, NotWeakReferenceableError

if TYPE_CHECKING:
    from memlens.lifetimes.late_objects import LateObject, OverdueReport

__all__ = (
    "DEFAULT_SECONDS",
    "OF_PROCESS",
    "Expectations",
    "assert_collected",
    "expect_collected",
    "overdue",
)

DEFAULT_SECONDS = 5.0


class _Reference(weakref.ref[Any]):
    """A weak reference that knows the ``id()`` of its object after that has gone."""

    __slots__ = ("key",)
    key: int


class _Entry(NamedTuple):
    """What is known of one expected object, beside its weak reference."""

    reference: _Reference
    deadline: float
    seconds: float  # the time that it was given
    reason: str
    number: int


class Expectations:
    """Objects that are expected to be collected, each with a deadline.

    ``clock`` returns seconds. A forked child starts without any: those of its parent are not its own.
    `expect_collected`, `overdue` and `assert_collected` of the package use one instance for the
    whole process, which `memlens.MemoryProfiler` checks, too.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        check_callable("clock", clock)
        self._clock = clock
        # By the id() of the object, so that one that is expected again has one entry.
        self._entries: dict[int, tuple[_Reference, float, float, str, int]] = {}
        self._reported: set[int] = set()
        self._numbers = count()
        entries, reported = self._entries, self._reported

        def forget(reference: _Reference) -> None:
            entries.pop(reference.key, None)
            if reported:
                reported.discard(reference.key)

        self._forget = forget
        call_in_forked_child(self.clear)

    def __len__(self) -> int:
        """Return how many expected objects are not known to be collected."""
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Expectations: {len(self)} objects>"

    def clear(self) -> None:
        """Stop following all objects."""
        self._entries.clear()
        self._reported.clear()

    @property
    def mark(self) -> int:
        """The number of the next expectation; see ``since`` of `assert_collected`."""
        return next(self._numbers)

    def expect_collected(
        self, obj: object, within: float = DEFAULT_SECONDS, reason: str = "expected"
    ) -> None:
        """Expect an object to be collected ``within`` seconds; see `memlens.expect_collected`.

        An object that is expected again gets a new deadline.
        """
        if type(within) is not float or not 0.0 <= within < inf:
            within = check_seconds("within", within, 0)
        if type(reason) is not str:
            reason = check_text("reason", reason)
        try:
            reference = _Reference(obj, self._forget)
        except TypeError:
            raise _not_referenceable(obj) from None
        key = reference.key = id(obj)
        deadline = self._clock() + within
        self._entries[key] = reference, deadline, within, reason, next(self._numbers)

    def withdraw(self, obj: object) -> None:
        """Stop following an object: it is used again."""
        self._entries.pop(id(obj), None)
        self._reported.discard(id(obj))

    @property
    def has_new_overdue(self) -> bool:
        """Whether an object is late that `overdue` has not reported. Searches nothing."""
        now = self._clock()
        return any(
            entry[1] <= now and key not in self._reported and entry[0]() is not None
            for key, entry in list(self._entries.items())
        )

    def overdue(self) -> OverdueReport:
        """Return what is late, with what keeps it alive; see `memlens.lifetimes.overdue`."""
        now = self._clock()
        return self._search([entry for entry in self._sorted() if entry.deadline <= now])

    def assert_collected(self, since: int = 0) -> None:
        """Raise ``NotCollectedError`` if an expected object is alive, whatever its deadline.

        ``since``: check only those that were expected after `mark` had this value.
        """
        report = self._search([entry for entry in self._sorted() if entry.number >= since])
        if report:
            raise NotCollectedError(str(report), report)

    def _sorted(self) -> list[_Entry]:
        """Return the entries in the order in which they were expected."""
        entries = [_Entry(*entry) for entry in list(self._entries.values())]
        return sorted(entries, key=lambda entry: entry.number)

    def _search(self, wanted: list[_Entry]) -> OverdueReport:
        from memlens.lifetimes.late_objects import OverdueReport, report_on

        alive = [entry for entry in wanted if entry.reference() is not None]
        if alive:
            gc.collect()  # what only a cycle of garbage holds is no leak
            alive = [entry for entry in alive if entry.reference() is not None]
        if not alive:
            return OverdueReport.empty()
        keys = [entry.reference.key for entry in alive]
        self._reported.update(key for key in keys if key in self._entries)
        now = self._clock()
        return report_on([_late(entry, now) for entry in alive])


def _late(entry: _Entry, now: float) -> LateObject:
    from memlens.lifetimes.late_objects import LateObject

    expected_at = entry.deadline - entry.seconds
    return LateObject(entry.reference, entry.reason, entry.seconds, now - expected_at)


def _not_referenceable(obj: object) -> NotWeakReferenceableError:
    name: str = type.__dict__["__qualname__"].__get__(type(obj))
    return NotWeakReferenceableError(
        f"objects of type {name} cannot be weakly referenced, so they cannot be followed; expect the"
        " object that owns it, or add '__weakref__' to the __slots__ of its class"
    )


OF_PROCESS = Expectations()


def expect_collected(
    obj: object, within: float = DEFAULT_SECONDS, reason: str = "expected"
) -> None:
    """Expect an object to be collected ``within`` seconds, because nothing needs it any more.

    The object is followed by a weak reference. If it is late, `memlens.lifetimes.overdue` and
    `memlens.MemoryProfiler` report it with what keeps it alive. ``reason`` says why it should be
    gone: ``"session closed"``. Takes no lock: finalizers and signal handlers may call it.

    Raises ``NotWeakReferenceableError`` for an object without weak references, such as a dict or a
    string, and ``OptionError`` for a bad option.
    """
    OF_PROCESS.expect_collected(obj, within, reason)


def overdue() -> OverdueReport:
    """Return the expected objects that are late, grouped by what keeps them alive.

    If none is late, this costs one pass over the expectations. Else garbage is collected, and the
    heap is captured, which pauses the program as long as a snapshot does.
    """
    return OF_PROCESS.overdue()


def assert_collected(since: int = 0) -> None:
    """Raise ``NotCollectedError``, an ``AssertionError``, if an expected object is alive.

    For tests: deadlines do not count, garbage is collected before. The message says what keeps the
    object alive; a local variable of the test counts, too. ``since``: check only what was expected
    after ``Expectations.mark`` had this value.
    """
    OF_PROCESS.assert_collected(since)
