"""The cards of suspects: who holds what grows, the path to it, where it comes from, what to do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from memlens._frame import CallPath, Frame, is_library_file
from memlens.heap.graph.allocation_sites import SiteShare
from memlens.heap.graph.paths import RetentionPath
from memlens.leaks.leak_report import LeakReport
from memlens.leaks.suspects import LeakSuspect
from memlens.report.html.keeping_lines import keeping_lines
from memlens.report.html.limits import Limits, cut_text, finite
from memlens.report.html.source import SourceReader

__all__ = ("suspects_of",)

_MAX_SUSPECTS = 100
_MAX_HOPS = 40  # of a path that are shown, half of them at each end
_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_NAMING = frozenset({"attribute", "local", "cell"})  # kinds of references that people know by name


def suspects_of(
    leaks: LeakReport, source: SourceReader, limits: Limits, first_timestamp: float | None = None
) -> list[dict[str, Any]]:
    """Return the cards of the suspects of a report, best first."""
    since = None
    if first_timestamp is not None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(first_timestamp))
        since = f"since {moment} UTC (first snapshot)"
    shown = leaks.suspects[:_MAX_SUSPECTS]
    cards = [_card(suspect, source, limits, since) for suspect in shown]
    seen: Counter[str] = Counter()
    for card in cards:  # links need identifiers, each for one card
        name = card["id"] or "suspect"
        seen[name] += 1
        card["id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return cards


def _card(
    suspect: LeakSuspect, source: SourceReader, limits: Limits, since: str | None
) -> dict[str, Any]:
    def cut(text: object) -> str:
        return cut_text(text, limits.text)

    return {
        "id": cut(suspect.fingerprint),
        "holder": cut(suspect.holder),
        "holder_type": cut(suspect.holder_type),
        "growth_bytes": suspect.retained_growth_bytes,
        "growth_elements": suspect.count_growth,
        "retained_bytes": suspect.retained_bytes,
        "bytes_per_hour": finite(suspect.growth_bytes_per_hour),
        "native": [{"text": cut(one), "bytes": one.growth_bytes} for one in suspect.native_growth],
        "gains": [cut(name) for name in suspect.growing_types],
        "path": _path(suspect.path, limits),
        "sites": _sites(suspect.sites, limits),
        "source": [*keeping_lines(suspect, source), *_source(suspect.sites, source)],
        "pattern": None if suspect.pattern is None else cut(suspect.pattern),
        "evidence": cut_text(suspect.evidence, 4 * limits.text),
        "advice": cut_text(suspect.suggestion, 4 * limits.text),
        "origin": cut(suspect.origin),
        "status": suspect.status,
        "since": since,
    }


# -- the path ------------------------------------------------------------------------------------


def _path(path: RetentionPath, limits: Limits) -> list[dict[str, Any]]:
    """Return the steps from the root to the holder.

    What stands out is the holder and the step that names it: the attribute or variable that people
    find in the code. Where no step does, the root names it.
    """
    hops = [hop for hop in path.hops if hop.text]  # the others are implied by the next
    namer = next((i for i in reversed(range(len(hops))) if hops[i].kind in _NAMING), -1)
    steps = [_step(path.root, "root", path.root_kind, namer < 0, limits)]
    for place, hop in enumerate(hops):
        is_holder = place == len(hops) - 1
        kind = "holder" if is_holder else "hop"
        steps.append(_step(hop.text, kind, hop.type_name, is_holder or place == namer, limits))
    if not hops:
        steps[0]["kind"] = "holder"
    return _without_middle(steps)


def _step(text: str, kind: str, type_name: str, stands_out: bool, limits: Limits) -> dict[str, Any]:
    return {
        "text": cut_text(text, limits.text),
        "kind": kind,
        "type": cut_text(type_name, limits.text),
        "suspect": stands_out,
    }


def _without_middle(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    hidden = len(steps) - _MAX_HOPS
    if hidden <= 0:
        return steps
    half = _MAX_HOPS // 2
    mark = {"text": f" ... {hidden} more ... ", "kind": "hop", "type": "", "suspect": False}
    return [*steps[:half], mark, *steps[-half:]]


# -- where it was allocated ------------------------------------------------------------------------


def _sites(sites: Iterable[SiteShare], limits: Limits) -> list[dict[str, Any]]:
    shares = list(sites)
    total = sum(share.shallow_bytes for share in shares)
    return [
        {
            "share": round(share.shallow_bytes / total, 4) if total > 0 else 0.0,
            "bytes": round(share.shallow_bytes),
            "frames": [_frame(frame, limits) for frame in reversed(_joined(share.call_path))],
        }
        for share in shares
    ]


def _joined(path: CallPath) -> CallPath:
    """Return a call path in which comprehensions are part of the functions that contain them."""
    frames: list[Frame] = []
    for frame in path:
        function, _, last = (frame.function or "").rpartition(".<locals>.")
        before = frames[-1] if frames else None
        is_part = last in _COMPREHENSIONS and before is not None and before.file == frame.file
        if is_part and before is not None and before.function == function:
            frames[-1] = frame._replace(function=function)
        else:
            frames.append(frame)
    return tuple(frames)


def _frame(frame: Frame, limits: Limits) -> dict[str, Any]:
    return {
        "function": cut_text(frame.function or "", limits.text),
        "file": cut_text(frame.file, limits.text),
        "line": frame.line,
    }


def _source(sites: Iterable[SiteShare], source: SourceReader) -> list[dict[str, Any]]:
    """Return the lines around each site: of the innermost call that is the program's own."""
    places = dict.fromkeys(
        frame for share in sites if (frame := _own_frame(_joined(share.call_path))) is not None
    )
    found = [source.around(frame.file, frame.line, frame.function) for frame in places]
    return [lines for lines in found if lines is not None]


def _own_frame(path: CallPath) -> Frame | None:
    own = [frame for frame in path if not is_library_file(frame.file)]
    return own[-1] if own else path[-1] if path else None
