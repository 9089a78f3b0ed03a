"""FleetProcess and FleetSuspect: what is known of one process of a fleet, as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from memlens._display import displayed
from memlens._text import format_change
from memlens.process.identity import ProcessIdentity

__all__ = ("LEAK", "UNKNOWN", "FleetProcess", "FleetSuspect")

LEAK = "leak"
UNKNOWN = "unknown"


@displayed
@dataclass(frozen=True, slots=True)
class FleetSuspect:
    """A suspect of one process. ``growth_bytes`` is what it grew by between ``since`` and the report.

    ``since``: seconds since the epoch. ``held_by``: the path to the holder. The other texts are those
    of `memlens.leaks.LeakSuspect`; ``origin`` is that of its ``str()``.
    """

    fingerprint: str
    holder: str
    held_by: str
    growing_types: tuple[str, ...]
    growth_bytes: int
    since: float
    pattern: str | None
    evidence: str
    suggestion: str
    origin: str

    def __repr__(self) -> str:
        return f"<FleetSuspect {self.holder}: {format_change(self.growth_bytes)}>"

    @classmethod
    def from_dict(cls, values: dict[str, Any], since: float) -> Self:
        """Return the suspect that a leak report has in JSON.

        Raises ``ValueError`` or ``KeyError`` for values of another form.
        """
        path, origin = values["path"], values.get("origin") or {}
        texts = (
            values["fingerprint"], values["holder"], path["text"], values["evidence"],
            values["suggestion"], values["pattern"] or "",
        )  # fmt: skip
        types, growth = values["growing_types"], values["retained_growth_bytes"]
        if not all(type(one) is str for one in (*texts, *types)) or type(growth) is not int:
            raise ValueError("a suspect has values of another type")
        name, version = origin.get("name"), origin.get("version")
        return cls(
            fingerprint=values["fingerprint"],
            holder=values["holder"],
            held_by=path["text"],
            growing_types=tuple(types),
            growth_bytes=growth,
            since=since,
            pattern=values["pattern"],
            evidence=values["evidence"],
            suggestion=values["suggestion"],
            origin=" ".join(filter(None, (name, version)))
            or f"the {origin.get('kind', 'program')}",
        )


@displayed
@dataclass(frozen=True, slots=True)
class FleetProcess:
    """The newest report or analysis of one process of a fleet.

    ``since`` and ``until``: from when to when it was observed, seconds since the epoch. ``rss_bytes``
    is None where no file records it, ``growth_bytes`` (of the heap) where no report tells it.
    ``verdict`` and ``confidence`` are those of `memlens.leaks.LeakReport`. ``source``: the file of the
    leak report; None where the snapshots were analysed instead. ``note``: why the verdict is unknown.
    """

    pid: int
    token: str
    folder: str
    identity: ProcessIdentity | None
    since: float
    until: float
    rss_bytes: int | None
    growth_bytes: int | None
    verdict: str
    confidence: str
    suspects: tuple[FleetSuspect, ...] = ()
    snapshot_count: int = 0
    source: str | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"<FleetProcess {self.pid}: {self.verdict}>"

    @property
    def label(self) -> str:
        """The name of the process, or else its kind; empty for files of an older memlens."""
        return "" if self.identity is None else self.identity.name or self.identity.kind

    @property
    def hostname(self) -> str:
        """The host; empty for files of an older memlens."""
        return "" if self.identity is None else self.identity.hostname

    @property
    def is_known(self) -> bool:
        """Whether there is a verdict."""
        return self.verdict != UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {**asdict(self), "suspects": [asdict(suspect) for suspect in self.suspects]}
