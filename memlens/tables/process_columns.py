"""ProcessColumns: the columns that each row of a table has: of which process it is, and when."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Self

from memlens import __version__
from memlens.process.identity import ProcessIdentity, identify
from memlens.process.service import release_of, service_of
from memlens.process.start import UNKNOWN_TOKEN, process_token, started_monotonic

__all__ = ("Columns", "ProcessColumns", "microseconds_of")

Columns = dict[str, list[Any]]  # the rows of a table: for each of its columns a list of values

_EPOCH = date(1970, 1, 1)
_DAY_SECONDS = 86_400
_UNKNOWN = "unknown"
_SAME_START_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ProcessColumns:
    """Which process the rows of tables are of.

    The first seven fields are columns of `memlens.tables.schema`. ``started_at``: seconds since the
    epoch; ``started_monotonic``: seconds of the monotonic clock of that process. Each is None where
    it is not known.
    """

    service: str
    release: str | None
    host: str
    process: str
    kind: str
    python: str
    memlens: str
    started_at: float | None = None
    started_monotonic: float | None = None

    def __repr__(self) -> str:
        return f"<ProcessColumns: {self.process} of {self.service}>"

    @classmethod
    def of(
        cls,
        identity: ProcessIdentity,
        service: str | None = None,
        release: str | None = None,
        *,
        token: str | None = None,
        python: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Return the columns of the process with this identity.

        ``service`` and ``release``: see `memlens.process.service`; None takes them from
        ``environment``, that of this process by default. ``token``: that of the start of the process
        (`memlens.process.start.process_token`). Of this process the token, the version of Python and
        the start are known; of another one the version is empty where ``python`` does not tell it.
        Raises OptionError if ``service`` or ``release`` is not a text.
        """
        is_this = _is_this(identity)
        environment = os.environ if environment is None else environment
        if token is None:
            token = process_token(identity.pid) if is_this else _token_of_start(identity)
        if python is None:
            python = platform.python_version() if is_this else ""
        host = identity.hostname or _UNKNOWN
        return cls(
            service=service_of(service, identity.program, environment),
            release=release_of(release, environment),
            host=host,
            process=f"{host}/{identity.pid}-{token or UNKNOWN_TOKEN}",
            kind=identity.kind,
            python=python,
            memlens=__version__,
            started_at=identity.started_at,
            started_monotonic=started_monotonic() if is_this else None,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the columns that `to_dict` gave to another process."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def unknown(cls, pid: int, *, python: str = "") -> Self:
        """Return the columns of a process of which only the process id is known."""
        return cls.of(ProcessIdentity(pid, 0, None, _UNKNOWN, None, "", None), python=python)

    def uptime(self, time: float, monotonic_seconds: float | None = None) -> float | None:
        """Return how long the process had run, in seconds; None where its start is not known.

        By the monotonic clock where that is given. The wall clock ``time``, which may have been set
        since the start, is used only without it.
        """
        if monotonic_seconds is not None and self.started_monotonic is not None:
            return max(0.0, monotonic_seconds - self.started_monotonic)
        return None if self.started_at is None else max(0.0, time - self.started_at)

    def columns(self, times: Sequence[float], uptimes: Sequence[float | None]) -> Columns:
        """Return the columns of the process for rows that were observed at these times.

        ``times``: seconds since the epoch; they become integers of microseconds. ``uptimes``: seconds
        since the process began, by a clock that is never set.
        """
        count = len(times)
        stamps = [microseconds_of(time) for time in times]
        days: dict[int, date] = {}
        return {
            "service": [self.service] * count,
            "release": [self.release] * count,
            "day": [_day(stamp, days) for stamp in stamps],
            "host": [self.host] * count,
            "process": [self.process] * count,
            "kind": [self.kind] * count,
            "python": [self.python] * count,
            "memlens": [self.memlens] * count,
            "time": stamps,
            "uptime_seconds": list(uptimes),
        }

    def same_moment(self, count: int, time: float, uptime_seconds: float | None) -> Columns:
        """Return the columns of the process for ``count`` rows of one moment.

        ``uptime_seconds``: None takes it from ``time``, the wall clock.
        """
        uptime = self.uptime(time) if uptime_seconds is None else uptime_seconds
        return self.columns([time] * count, [uptime] * count)


def _is_this(identity: ProcessIdentity) -> bool:
    """Return whether an identity is that of this process: ids are alike in many containers."""
    if identity.pid != os.getpid():
        return False
    own = identify()
    started = (identity.started_at, own.started_at)
    return identity.hostname == own.hostname and (
        None in started or abs((started[0] or 0.0) - (started[1] or 0.0)) < _SAME_START_SECONDS
    )


def microseconds_of(time: float) -> int:
    """Return seconds since the epoch as microseconds."""
    return round(time * 1_000_000)


def _day(stamp: int, known: dict[int, date]) -> date:
    number = stamp // (_DAY_SECONDS * 1_000_000)
    if number not in known:
        known[number] = _EPOCH + timedelta(days=number)
    return known[number]


def _token_of_start(identity: ProcessIdentity) -> str:
    """Return a token of a process of which only the time of its start is known."""
    started = identity.started_at
    return UNKNOWN_TOKEN if started is None else f"{round(started * 100):x}"
