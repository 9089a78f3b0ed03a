"""The endpoints as a WSGI application: Flask, Django, gunicorn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from memlens._options import check_callable
from memlens.integrations.web.endpoints import Endpoints, ProfilerOption, checked_prefix
from memlens.integrations.web.requests import Request
from memlens.integrations.web.responses import Response
from memlens.integrations.web.work import CHUNK_BYTES, MAX_SECONDS, Work

__all__ = ("WSGIEndpoints", "wsgi_app")

_Environ = dict[str, Any]
_Application = Callable[[_Environ, Callable[..., Any]], Iterable[bytes]]


def wsgi_app(
    profiler: ProfilerOption = None,
    *,
    token: str | None = None,
    app: _Application | None = None,
    prefix: str = "/debug",
    values: bool = False,
    names: str = "plain",
    max_per_minute: int = 30,
) -> WSGIEndpoints:
    """Return a WSGI application with the endpoints; the options are those of `asgi_app`.

    Raises ``OptionError`` as that does. For Flask: ``app.wsgi_app = wsgi_app(profiler,
    app=app.wsgi_app)``.
    """
    endpoints = Endpoints(
        profiler, token=token, values=values, names=names, max_per_minute=max_per_minute
    )
    return WSGIEndpoints(endpoints, app, prefix)


class WSGIEndpoints:
    """A WSGI application that answers the endpoints and passes other paths to ``app``."""

    def __init__(
        self, endpoints: Endpoints, app: _Application | None = None, prefix: str = "/debug"
    ) -> None:
        if app is not None:
            check_callable("app", app)
        self._endpoints = endpoints
        self._app = app
        self._prefix = checked_prefix(prefix) if app is not None else ""

    def __call__(self, environ: _Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if self._app is not None and not f"{path}/".startswith(f"{self._prefix}/"):
            return self._app(environ, start_response)
        answer = self._endpoints.admit(self._request(environ, path))
        if isinstance(answer, Response):
            start_response(answer.status_line, list(answer.headers))
            return [answer.content] if answer.content else []
        try:
            response = answer.run()
            start_response(response.status_line, list(response.headers))
        except BaseException:
            answer.close()
            raise
        return _Body(answer, response)

    def _request(self, environ: _Environ, path: str) -> Request:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        return Request(
            method=environ["REQUEST_METHOD"],
            path=path.removeprefix(self._prefix),
            prefix=environ.get("SCRIPT_NAME", "") + self._prefix,
            query=environ.get("QUERY_STRING", ""),
            headers=headers,
        )


class _Body:
    """The content of an answer in parts.

    The server calls `close` at the end, or when the client has left.
    """

    def __init__(self, work: Work, response: Response) -> None:
        self._work = work
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        file = self._response.file
        try:
            if file is None:
                self._work.close()
                yield self._response.content
                return
            end = time.monotonic() + MAX_SECONDS
            chunk = file.read(CHUNK_BYTES)
            while following := file.read(CHUNK_BYTES):
                yield chunk
                if time.monotonic() > end:
                    raise TimeoutError(f"the client took longer than {MAX_SECONDS:g} seconds")
                chunk = following
            # Before the client has all of it, and sends the next request.
            self._work.close()
            yield chunk
        finally:
            self._work.close()

    def close(self) -> None:
        """Give up what the answer holds."""
        self._work.close()
