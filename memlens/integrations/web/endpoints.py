"""Endpoints: admits requests, and answers what needs no work."""

from __future__ import annotations

import html
import json
import math
import time
from collections.abc import Callable
from urllib.parse import quote

from memlens._options import check_boolean, check_choice, check_count, check_path
from memlens.errors import OptionError
from memlens.integrations.web.access import Access
from memlens.integrations.web.contents import ENDPOINTS, Endpoint, Source
from memlens.integrations.web.guard import OF_PROCESS, RateLimit, Turn
from memlens.integrations.web.requests import (
    HTML,
    JSON,
    TEXT,
    Format,
    Request,
    RequestError,
    choose_format,
)
from memlens.integrations.web.responses import (
    Response,
    content_response,
    error_response,
    headers_of,
)
from memlens.integrations.web.work import Work
from memlens.profiler.memory_profiler import MemoryProfiler

__all__ = ("Endpoints", "ProfilerOption", "checked_prefix")

ProfilerOption = MemoryProfiler | Callable[[], MemoryProfiler | None] | None
_METHODS = ("GET", "HEAD")
_NAMES = ("plain", "hashed")
_INDEX = (TEXT, HTML, JSON)
_BUSY_SECONDS = 5


class Endpoints:
    """The endpoints of a process, for one of the two server interfaces.

    The options are those of `asgi_app`; ``clock`` and ``turn`` are replaced in tests. Raises
    ``OptionError`` for an option that is not valid, and where there is no token.
    """

    def __init__(
        self,
        profiler: ProfilerOption = None,
        *,
        token: str | None = None,
        values: bool = False,
        names: str = "plain",
        max_per_minute: int = 30,
        clock: Callable[[], float] = time.monotonic,
        turn: Turn = OF_PROCESS,
    ) -> None:
        check_boolean("values", values)
        check_choice("names", names, _NAMES)
        if values and names == "hashed":
            raise OptionError(
                "values=True stores data as text: it cannot be used with names='hashed'"
            )
        self._source = Source(_getter(profiler), values, names)
        self._limit = RateLimit(check_count("max_per_minute", max_per_minute), clock)
        self._turn = turn
        self._access = Access(token)

    def admit(self, request: Request) -> Response | Work:
        """Return the answer, or the work that makes it. Quick: does no work of its own.

        The caller must close the work.
        """
        try:
            self._access.check(request)
            return self._admitted(request)
        except RequestError as error:
            return error_response(request, error)

    def _admitted(self, request: Request) -> Response | Work:
        path = request.path.rstrip("/")
        endpoint = next((one for one in ENDPOINTS if one.path == path), None)
        if endpoint is None and path:
            raise RequestError(404, f"There is no such endpoint: {_listed()}.")
        if request.method not in _METHODS:
            raise RequestError(405, "Only GET and HEAD.", [("Allow", ", ".join(_METHODS))])
        if endpoint is None:
            return _index(request)
        form = choose_format(request, endpoint.formats)
        if endpoint.needs_profiler:
            self._source.required_profiler()
        if request.method == "HEAD":  # without the work, so without the size
            return Response(200, headers_of(form, None, file_name=endpoint.file_name(form)))
        return self._work(request, endpoint, form)

    def _work(self, request: Request, endpoint: Endpoint, form: Format) -> Work:
        turn = self._turn if endpoint.is_slow(form) else None
        if turn is not None and not turn.take():
            raise RequestError(
                409,
                "This process is making another answer, or sends it: it makes one at a time.",
                [("Retry-After", str(_BUSY_SECONDS))],
            )
        work = Work(request, endpoint, form, self._source, turn)
        seconds = self._limit.seconds_to_wait()
        if seconds:
            work.close()
            wait = math.ceil(seconds)
            raise RequestError(
                429, f"Too many requests: wait {wait} seconds.", [("Retry-After", str(wait))]
            )
        return work


def checked_prefix(prefix: str) -> str:
    """Return the path below which the endpoints answer, without a slash at its end."""
    path = check_path("prefix", prefix).rstrip("/")
    if not path.startswith("/"):
        raise OptionError(f"prefix must be a path such as '/debug'; got {prefix!r}")
    return path


def _getter(profiler: object) -> Callable[[], MemoryProfiler | None]:
    if profiler is None or isinstance(profiler, MemoryProfiler):
        return lambda: profiler
    if callable(profiler):
        return profiler
    raise OptionError(
        "profiler must be a MemoryProfiler, or a function that returns the one of this process, not"
        f" a {type(profiler).__name__}"
    )


def _listed() -> str:
    return ", ".join(endpoint.path for endpoint in ENDPOINTS)


def _index(request: Request) -> Response:
    form = choose_format(request, _INDEX)
    # One slash: with two of them the rest would be the name of a host.
    base = "/" + request.prefix.strip("/") if request.prefix.strip("/") else ""
    links = [
        (
            f"{quote(base + endpoint.path, errors='replace')}?format={one.name}",
            endpoint.title,
            one.name,
        )
        for endpoint in ENDPOINTS
        for one in endpoint.formats
    ]
    if form is JSON:
        text = json.dumps({"endpoints": [link for link, _, _ in links]}) + "\n"
    elif form is TEXT:
        text = "".join(f"{link}  {title}\n" for link, title, _ in links)
    else:
        text = _index_page(links)
    return content_response(request, form, text)


def _index_page(links: list[tuple[str, str, str]]) -> str:
    items = "".join(
        f'<li><a href="{html.escape(link)}">{html.escape(f"{title} ({name})")}</a></li>\n'
        for link, title, name in links
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>memlens</title></head>\n'
        f"<body>\n<h1>memlens</h1>\n<ul>\n{items}</ul>\n</body>\n</html>\n"
    )
