"""Middlewares that expect the requests of web frameworks to be collected. They import none."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from memlens._options import check_seconds
from memlens.lifetimes.expectations import OF_PROCESS, Expectations

__all__ = ("ASGIRequests", "RequestMark", "django_requests")

REQUEST_SECONDS = 30.0  # a server may keep a request until the connection is closed
_REASON = "request finished"
_KEY = "memlens.request"
_Scope = MutableMapping[str, Any]
_Application = Callable[[_Scope, Any, Any], Awaitable[None]]


class RequestMark:
    """Lies in the scope of an ASGI request and lives as long as the scope.

    The scope itself is a dict, which cannot be weakly referenced.
    """

    __slots__ = ("__weakref__", "path")

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"<RequestMark: {self.path}>"


class ASGIRequests:
    """An ASGI middleware that expects each request to be collected after it is answered.

    For Starlette and FastAPI: ``app.add_middleware(ASGIRequests)``. Who keeps a ``Request`` alive
    keeps its scope, in which a `RequestMark` lies. ``within``: seconds after the answer.
    """

    def __init__(
        self,
        app: _Application,
        *,
        within: float = REQUEST_SECONDS,
        expectations: Expectations | None = None,
    ) -> None:
        self.app = app
        self._within = float(check_seconds("within", within, 0))
        self._expectations = OF_PROCESS if expectations is None else expectations

    async def __call__(self, scope: _Scope, receive: Any, send: Any) -> None:
        """Call the application; after its answer expect the mark in the scope to be collected."""
        if scope.get("type") not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        mark = scope[_KEY] = RequestMark(str(scope.get("path", "")))
        try:
            await self.app(scope, receive, send)
        finally:
            self._expectations.expect_collected(mark, self._within, _REASON)


def django_requests(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a Django middleware that expects each request to be collected after its response.

    In the settings: ``MIDDLEWARE = ["memlens.lifetimes.django_requests", ...]``. Serves synchronous
    and asynchronous handlers.
    """
    if _is_async(get_response):

        async def answer_later(request: Any) -> Any:
            try:
                return await get_response(request)
            finally:
                OF_PROCESS.expect_collected(request, REQUEST_SECONDS, _REASON)

        return answer_later

    def answer(request: Any) -> Any:
        try:
            return get_response(request)
        finally:
            OF_PROCESS.expect_collected(request, REQUEST_SECONDS, _REASON)

    return answer


# What Django asks of a middleware; its decorator sets these attributes, too.
django_requests.sync_capable = True  # type: ignore[attr-defined]
django_requests.async_capable = True  # type: ignore[attr-defined]


def _is_async(function: Callable[..., Any]) -> bool:
    # asgiref marks functions by an attribute where Python has no mark of its own (before 3.12).
    return inspect.iscoroutinefunction(function) or hasattr(function, "_is_coroutine")
