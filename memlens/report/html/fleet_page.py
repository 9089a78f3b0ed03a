"""The HTML report of a fleet: the answers to questions as cards and tables, in one file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from memlens._atomic import checked_path, write_whole
from memlens._text import format_count
from memlens.report.html.limits import Limits, cut_text, finite
from memlens.report.html.page import Page, installed_page

__all__ = ("fleet_document", "fleet_html", "write_fleet")

_FORMAT = 1
_MAX_DATA_BYTES = 4_800_000
_MAX_CARDS = 12  # of each service
_MAX_SKIPPED = 50
_UNITS = {
    "text": "text",
    "count": "count",
    "bytes": "bytes",
    "bytes per hour": "bytes_per_hour",
    "share": "percent",
    "seconds": "seconds",
    "time": "time",
    "number": "number",
}
_CARD_TEXTS = ("status", "first_release", "held_by", "pattern", "site", "suggestion")
_CARD_NUMBERS = ("share", "growth_bytes_per_hour", "growth_bytes", "since", "hosts")


def write_fleet(path: str | os.PathLike[str], **values: Any) -> int:
    """Write the report of a fleet to a file; return its size in bytes.

    ``values`` are named as for `fleet_document`. Raises ``OutputError`` if the file cannot be written.
    """
    return write_whole(checked_path(path), fleet_html(**values))


def fleet_html(**values: Any) -> bytes:
    """Return the report as one HTML file of at most 5 MB; ``values`` as for `fleet_document`."""
    page = Page.load(installed_page(), "fleet_main.js")
    limits = Limits()
    while True:
        text = _json(fleet_document(**values, limits=limits))
        if len(text) <= _MAX_DATA_BYTES or limits == limits.halved():
            return page.html(text)
        limits = limits.halved()


def fleet_document(
    *,
    title: str,
    services: Sequence[Mapping[str, Any]],
    skipped: Sequence[Mapping[str, Any]] = (),
    facts: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """Return the data of the report as JSON-ready values.

    ``services``: each with ``service`` (its name), ``summary`` and ``answers``, which are those of
    ``Answer.to_dict``. ``skipped``: ``path`` and ``reason`` of each file that was not read. ``facts``:
    label and value of what else is known of the report.
    """
    bounds = limits or Limits()
    ordered = sorted(services, key=_leak_count, reverse=True)  # what leaks is the headline
    parts = [_service(one, number, bounds) for number, one in enumerate(ordered)]
    return {
        "format": _FORMAT,
        "memlens": _version(),
        "title": cut_text(title, bounds.text),
        "made_at": time.time(),
        "services": parts,
        "skipped": [
            f"{cut_text(one['path'], bounds.text)}: {cut_text(one['reason'], bounds.text)}"
            for one in skipped[:_MAX_SKIPPED]
        ],
        "skipped_count": len(skipped),
        "facts": [[label, cut_text(value, bounds.text)] for label, value in (facts or {}).items()],
    }


def _service(one: Mapping[str, Any], number: int, limits: Limits) -> dict[str, Any]:
    name = cut_text(one["service"], limits.text)
    answers = one["answers"]
    cards = [card for answer in answers for card in _cards(answer, number, limits)]
    return {
        "service": name,
        "summary": cut_text(one.get("summary", ""), limits.text),
        "sentence": cut_text(answers[0]["sentence"], 2 * limits.text) if answers else "",
        "leaks": cards[:_MAX_CARDS],
        "leak_count": _leak_count(one),
        "tables": [_table(answer, number, limits) for answer in answers],
    }


def _leak_count(service: Mapping[str, Any]) -> int:
    return max((one["row_count"] for one in service["answers"] if _tells_leaks(one)), default=0)


def _tells_leaks(answer: Mapping[str, Any]) -> bool:
    return {"fingerprint", "holder"} <= {column["name"] for column in answer["columns"]}


def _key(answer: Mapping[str, Any], number: int) -> str:
    return f"{answer['question']}-{number + 1}" if number else str(answer["question"])


def _cards(answer: Mapping[str, Any], number: int, limits: Limits) -> list[dict[str, Any]]:
    """Return the leaks of an answer that has any, as the cards show them."""
    if not _tells_leaks(answer):
        return []
    cards = []
    for row in answer["rows"][:_MAX_CARDS]:
        card: dict[str, Any] = {
            "table": _key(answer, number),
            "fingerprint": cut_text(row["fingerprint"], limits.text),
            "holder": cut_text(row["holder"], limits.text),
            "unit": "hosts" if "observed_hosts" in row else "processes",
            "of_hosts": finite(row.get("observed_hosts")),
        }
        for name in _CARD_TEXTS:
            text = row.get(name)
            card[name] = None if text is None else cut_text(text, limits.text)
        card.update((name, finite(row.get(name))) for name in _CARD_NUMBERS)
        cards.append(card)
    return cards


def _table(answer: Mapping[str, Any], number: int, limits: Limits) -> dict[str, Any]:
    columns = answer["columns"]
    rows = answer["rows"][: limits.rows]
    left = answer["row_count"] - len(rows)
    return {
        "key": _key(answer, number),
        "label": cut_text(answer["title"], limits.text),
        "help": cut_text(answer["sentence"], 2 * limits.text),
        "columns": [_column(column, limits) for column in columns],
        "rows": [[_cell(row[one["name"]], one["unit"], limits) for one in columns] for row in rows],
        "omitted": {"rows": left, "text": f"and {format_count(left)} more"} if left > 0 else None,
        "notes": [cut_text(note, 2 * limits.text) for note in answer["notes"]],
    }


def _column(column: Mapping[str, str], limits: Limits) -> dict[str, str]:
    name, unit = column["name"], _UNITS.get(column["unit"], "number")
    if unit == "bytes" and name.startswith(("change", "growth")):
        unit = "change_bytes"
    title = cut_text(column["title"], limits.text)
    return {"key": name, "label": title, "unit": unit, "help": ""}


def _cell(value: Any, unit: str, limits: Limits) -> str | int | float | None:
    if value is None:
        return None
    if unit == "text":
        return cut_text(value, limits.text)
    number = finite(value)
    return 100 * number if number is not None and unit == "share" else number


def _json(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _version() -> str:
    from memlens import __version__

    return str(__version__)
