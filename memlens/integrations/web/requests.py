"""What the endpoints read of a request, and the choice of a format for its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl

__all__ = ("HTML", "JSON", "TEXT", "Format", "Request", "RequestError", "choose_format")


class Format(NamedTuple):
    """A form of an answer: the word after ``?format=``, its media type and the suffix of a file.

    ``is_download``: a browser saves it instead of showing it.
    """

    name: str
    media_type: str
    suffix: str
    is_download: bool = False

    @property
    def kind(self) -> str:
        """The media type without parameters, as the header Accept names it."""
        return self.media_type.partition(";")[0]


HTML = Format("html", "text/html; charset=utf-8", ".html")
JSON = Format("json", "application/json", ".json")
TEXT = Format("text", "text/plain; charset=utf-8", ".txt")


@dataclass(frozen=True, slots=True)
class Request:
    """A request: ``path`` is below the mount, ``prefix`` is the path of the mount.

    ``headers`` has the names in lower case. It is left out of the representation, because it has
    the token.
    """

    method: str
    path: str
    prefix: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def wants_json(self) -> bool:
        """Whether an error is to be told as JSON."""
        accept = self.headers.get("accept", "").lower()
        return "format=json" in self.query.split("&") or (
            JSON.kind in accept and HTML.kind not in accept
        )


class RequestError(Exception):
    """A request that cannot be answered: the status, and a text that may be shown to the client."""

    def __init__(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = tuple(headers)


def choose_format(request: Request, formats: Sequence[Format]) -> Format:
    """Return the format that the query names, or else the best one that Accept allows.

    Among equals the first of ``formats`` is taken. Raises `RequestError`: 400 for an unknown
    parameter or format, 406 where Accept allows none.
    """
    names = ", ".join(one.name for one in formats)
    chosen = None
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        if name == "token":
            raise RequestError(
                400, "Send the token in the header Authorization: addresses are logged."
            )
        if name != "format":
            raise RequestError(400, f"The only parameter is format: one of {names}.")
        chosen = value
    if chosen is not None:
        for one in formats:
            if one.name == chosen:
                return one
        raise RequestError(400, f"Unknown format: use one of {names}.")
    accepted = _accepted(request.headers.get("accept", "") or "*/*")
    best = max(formats, key=lambda one: _quality(one, accepted))
    if _quality(best, accepted) <= 0:
        raise RequestError(406, f"Accept allows none of the formats {names}.")
    return best


def _accepted(header: str) -> dict[str, float]:
    """Return the quality of each media range of an Accept header."""
    ranges: dict[str, float] = {}
    for part in header.lower().split(","):
        kind, *parameters = (word.strip() for word in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                quality = _number(value)
        ranges[kind] = max(quality, ranges.get(kind, 0.0))
    return ranges


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _quality(one: Format, accepted: Mapping[str, float]) -> float:
    """Return the quality of the most specific range that contains a format."""
    for kind in (one.kind, f"{one.kind.partition('/')[0]}/*", "*/*"):
        if kind in accepted:
            return accepted[kind]
    return 0.0
