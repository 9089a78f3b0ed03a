"""Who has what: the objects of a pool that are lent, since when, and where they were taken."""

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
    """An object that was taken from a pool and not given back."""

    type_name: str
    age_seconds: float
    where: tuple[str, ...]  # "file:line in function", the innermost first
    lost: bool  # True: nobody has it any more, so it will never be released

    def __str__(self) -> str:
        state = "lost without release" if self.lost else f"out for {self.age_seconds:.1f} s"
        place = " <- ".join(self.where) or "an unknown place (frames=0)"
        return f"{self.type_name} {state}, taken at {place}"


def taken_at(frames: int) -> Site:
    """Return the calling code outside this package: code objects, no frames, nothing kept alive."""
    site: list[tuple[CodeType, int]] = []
    frame = sys._getframe(1) if frames else None
    while frame is not None and len(site) < frames:
        code = frame.f_code
        if site or not code.co_filename.startswith(_OWN_FOLDER):
            site.append((code, frame.f_lasti))  # the line is looked up only if it is asked for
        frame = frame.f_back
    return tuple(site)


def _describe(code: CodeType, last_instruction: int) -> str:
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= last_instruction < end and number is not None:
            line = number
    return f"{code.co_filename}:{line} in {code.co_name}"


class WeakLoan(weakref.ref[Any]):
    """A lent object that may die on loan."""

    __slots__ = ("number", "payload", "since", "site", "type")
    number: int
    since: float
    site: Site
    type: type
    payload: Any


class StrongLoan:
    """A lent object of a type that allows no weak references."""

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
    """Lent objects by identity.

    What allows weak references is referred to weakly: its death ends the loan and is noted in
    ``dead`` (by the garbage collector, at any moment: ``on_death`` must not wait for a lock).
    Anything else (bytearray, list, dict) is kept alive, so that its identity stays its own, and
    counts as lost once nothing but this table refers to it.
    """

    __slots__ = ("__weakref__", "_clock", "_frames", "_notice", "by_id", "dead", "lost", "on_death")

    def __init__(self, frames: int, clock: Callable[[], float]) -> None:
        self._frames = frames
        self._clock = clock
        self._notice = _death_notice(weakref.ref(self))
        self.on_death: Callable[[], object] = lambda: None
        self.by_id: dict[int, Loan] = {}
        self.dead: deque[WeakLoan] = deque()  # died on loan; the pool has not taken note yet
        self.lost: deque[UnreleasedLease] = deque(maxlen=_MAX_LOST_KEPT)

    def lend(self, item: T, payload: object = None) -> None:
        """Note that an object is lent, and where."""
        loan: Loan
        try:
            loan = WeakLoan(item, self._notice)
        except TypeError:
            loan = StrongLoan(item)
        loan.number = id(item)
        loan.type = type(item)
        loan.since = self._clock()
        loan.site = taken_at(self._frames)
        loan.payload = payload
        self.by_id[loan.number] = loan

    def end(self, item: T) -> Loan | None:
        """End the loan of an object; None if it is not lent."""
        return self.by_id.pop(id(item), None)

    def take_abandoned(self) -> list[StrongLoan]:
        """End the loans of strongly held objects that nobody else refers to; return them."""
        abandoned = []
        for loan in list(self.by_id.values()):
            # Two references are ours: the attribute and the argument of the call.
            if type(loan) is StrongLoan and sys.getrefcount(loan.item) <= 2:
                del self.by_id[loan.number]
                abandoned.append(loan)
        return abandoned

    def report_lost(self, loan: Loan) -> None:
        """Keep a report of a lost object and warn of it."""
        report = self._report(loan, self._clock(), lost=True)
        self.lost.append(report)
        warnings.warn(f"never released to its pool: {report}", ResourceWarning, stacklevel=2)

    def unreleased(self, min_seconds: float) -> list[UnreleasedLease]:
        """Return what is lent for so long, longest first."""
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
