"""The objects of a pool that are on loan: since when, and which code acquired them."""

from __future__ import annotations

import sys
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from types import CodeType
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ("LoanTable", "UnreleasedLease")

T = TypeVar("T")
_OWN_FOLDER = __file__.rpartition("_loans")[0]
_MAX_LOST_KEPT = 100
Site = tuple[tuple[CodeType, int], ...]


class UnreleasedLease(NamedTuple):
    """An object that was acquired from a pool and not released."""

    type_name: str
    age_seconds: float
    where: tuple[str, ...]  # "file:line in function", innermost first
    lost: bool  # True: no reference is left, so it will never be released

    def __str__(self) -> str:
        state = "lost without release" if self.lost else f"on loan for {self.age_seconds:.1f} s"
        place = " <- ".join(self.where) or "an unknown place (frames=0)"
        return f"{self.type_name} {state}, acquired at {place}"

    def __repr__(self) -> str:
        return f"<UnreleasedLease: {self._replace(where=self.where[:1])}>"


def acquired_at(frames: int) -> Site:
    """Return the calling code outside this package, as code objects: they keep no frame alive."""
    site: list[tuple[CodeType, int]] = []
    frame = sys._getframe(1) if frames else None
    while frame is not None and len(site) < frames:
        code = frame.f_code
        if site or not code.co_filename.startswith(_OWN_FOLDER):
            site.append((code, frame.f_lasti))  # the line is looked up only when needed
        frame = frame.f_back
    return tuple(site)


def _describe(code: CodeType, last_instruction: int) -> str:
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= last_instruction < end and number is not None:
            line = number
    return f"{code.co_filename}:{line} in {code.co_name}"


class WeakLoan(weakref.ref[Any]):
    """A weak reference to an object on loan."""

    __slots__ = ("number", "payload", "since", "site", "type")
    number: int
    since: float
    site: Site
    type: type
    payload: Any


class StrongLoan:
    """A strong reference to an object on loan whose type does not support weak references."""

    __slots__ = ("item", "number", "payload", "since", "site", "type")
    number: int
    since: float
    site: Site
    type: type
    payload: Any

    def __init__(self, item: object) -> None:
        self.item = item


Loan = WeakLoan | StrongLoan


class LoanTable(Generic[T]):
    """The objects on loan, by identity.

    Objects that support weak references are referenced weakly. When one is freed, its loan ends and
    is added to ``dead``. The garbage collector may do this at any moment, so ``on_death`` must not
    wait for a lock. Other objects (bytearray, list, dict) are kept alive, so that their identity
    stays unique. They are lost when only this table refers to them.
    """

    __slots__ = ("__weakref__", "_clock", "_frames", "_notice", "by_id", "dead", "lost", "on_death")

    def __init__(self, frames: int, clock: Callable[[], float]) -> None:
        self._frames = frames
        self._clock = clock
        self._notice = _death_notice(weakref.ref(self))
        self.on_death: Callable[[], object] = lambda: None
        self.by_id: dict[int, Loan] = {}
        self.dead: deque[WeakLoan] = deque()  # freed on loan; not yet handled by the pool
        self.lost: deque[UnreleasedLease] = deque(maxlen=_MAX_LOST_KEPT)

    def lend(self, item: T, payload: object = None) -> None:
        """Record that an object is on loan, and which code acquired it."""
        loan: Loan
        try:
            loan = WeakLoan(item, self._notice)
        except TypeError:
            loan = StrongLoan(item)
        loan.number = id(item)
        loan.type = type(item)
        loan.since = self._clock()
        loan.site = acquired_at(self._frames)
        loan.payload = payload
        self.by_id[loan.number] = loan

    def end(self, item: T) -> Loan | None:
        """End the loan of an object and return it; None if the object is not on loan."""
        return self.by_id.pop(id(item), None)

    def take_abandoned(self) -> list[StrongLoan]:
        """End and return the loans of strongly referenced objects without other references."""
        abandoned = []
        for loan in list(self.by_id.values()):
            # Two references are ours: the attribute and the argument of the call.
            if type(loan) is StrongLoan and sys.getrefcount(loan.item) <= 2:
                del self.by_id[loan.number]
                abandoned.append(loan)
        return abandoned

    def report_lost(self, loan: Loan) -> None:
        """Keep a report of a lost object and issue a ResourceWarning."""
        report = self._report(loan, self._clock(), lost=True)
        self.lost.append(report)
        warnings.warn(f"never released to its pool: {report}", ResourceWarning, stacklevel=2)

    def unreleased(self, min_seconds: float) -> list[UnreleasedLease]:
        """Return reports of objects on loan for at least ``min_seconds``, longest first."""
        now = self._clock()
        loans = sorted(self.by_id.copy().values(), key=lambda loan: loan.since)
        return [
            self._report(loan, now, lost=False) for loan in loans if now - loan.since >= min_seconds
        ]

    def _report(self, loan: Loan, now: float, *, lost: bool) -> UnreleasedLease:
        where = tuple(_describe(code, position) for code, position in loan.site)
        return UnreleasedLease(loan.type.__qualname__, now - loan.since, where, lost)


def _death_notice(table: weakref.ref[LoanTable[Any]]) -> Callable[[WeakLoan], None]:
    def notice(loan: WeakLoan) -> None:
        alive = table()
        if alive is not None and alive.by_id.get(loan.number) is loan:
            del alive.by_id[loan.number]
            alive.dead.append(loan)
            alive.on_death()
            alive.report_lost(loan)

    return notice
