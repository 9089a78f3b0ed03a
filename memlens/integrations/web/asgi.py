"""The endpoints as an ASGI application: FastAPI, Starlette, Django; uvicorn, hypercorn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, BinaryIO

from memlens._options import check_callable
from memlens._own_thread import OwnThread
from memlens.integrations.web.endpoints import Endpoints, ProfilerOption, checked_prefix
from memlens.integrations.web.requests import Request, RequestError
from memlens.integrations.web.responses import Response, error_response
from memlens.integrations.web.work import CHUNK_BYTES, MAX_SECONDS, Work

__all__ = ("ASGIEndpoints", "asgi_app")

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Application = Callable[[Any, Any, Any], Awaitable[None]]


def asgi_app(
    profiler: ProfilerOption = None,
    *,
    token: str | None = None,
    app: _Application | None = None,
    prefix: str = "/debug",
    values: bool = False,
    names: str = "plain",
    max_per_minute: int = 30,
) -> ASGIEndpoints:
    """Return an ASGI application with the endpoints, for ``app.mount("/debug", ...)``.

    * ``profiler``: the `MemoryProfiler` of this process, or a function without arguments that
      returns it or None, where it is made later (in a lifespan, after a fork). Without one only
      ``/heap-snapshot`` works.
    * ``token``: what clients must send. None takes the environment variable ``MEMLENS_TOKEN``.
    * ``app``: another application. Then the endpoints answer below ``prefix``, and all else is
      passed to it. For frameworks that cannot mount an application.
    * ``values``: snapshots contain the text of strings and numbers, and the keys of dicts: user data.
    * ``names``: ``"hashed"`` hides names in snapshots that were made from data; as for
      `take_heap_snapshot`.
    * ``max_per_minute``: how many answers may be made in 60 seconds; others are refused with 429.

    Raises ``OptionError`` if there is no token, if it can be guessed, or for another wrong option.
    """
    endpoints = Endpoints(
        profiler, token=token, values=values, names=names, max_per_minute=max_per_minute
    )
    return ASGIEndpoints(endpoints, app, prefix)


class ASGIEndpoints:
    """An ASGI application that answers the endpoints and passes other scopes to ``app``."""

    def __init__(
        self, endpoints: Endpoints, app: _Application | None = None, prefix: str = "/debug"
    ) -> None:
        if app is not None:
            check_callable("app", app)
        self._endpoints = endpoints
        self._app = app
        self._prefix = checked_prefix(prefix) if app is not None else ""

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Answer a request, or the start and the end of the server."""
        path = _path_below_root(scope)
        is_ours = scope["type"] == "http" and f"{path}/".startswith(f"{self._prefix}/")
        if self._app is not None and not is_ours:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(self._request(scope, path), receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            raise ValueError(f"memlens answers no ASGI scope of the type {scope['type']!r}")

    def _request(self, scope: _Scope, path: str) -> Request:
        return Request(
            method=scope["method"],
            path=path.removeprefix(self._prefix),
            prefix=scope.get("root_path", "") + self._prefix,
            query=scope.get("query_string", b"").decode("latin-1"),
            headers={
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in scope["headers"]
            },
        )

    async def _answer(self, request: Request, receive: _Receive, send: _Send) -> None:
        answer = self._endpoints.admit(request)
        if isinstance(answer, Response):
            await _send_whole(answer, send)
            return
        gone = asyncio.ensure_future(_until_disconnected(receive))
        try:
            await _send_work(answer, request, gone, send)
        finally:
            _close(answer)
            if not gone.cancel() and not gone.cancelled():
                gone.exception()  # of the server's receive(): told by its send(), too


def _path_below_root(scope: _Scope) -> str:
    """Return the path below the mount. Some versions of frameworks leave it out of ``path``."""
    path, root = str(scope.get("path", "")), str(scope.get("root_path", "")).rstrip("/")
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path


async def _live(receive: _Receive, send: _Send) -> None:
    """Answer the lifespan of a server that serves nothing else."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _until_disconnected(receive: _Receive) -> None:
    """Return when the client has left; what it sends is not used."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_work(work: Work, request: Request, gone: asyncio.Future[None], send: _Send) -> None:
    """Make an answer in a thread of its own and send it, unless the client leaves before."""
    made = _in_thread(work, request)
    await asyncio.wait((made, gone), return_when=asyncio.FIRST_COMPLETED)
    if not made.done():
        return  # closing the work stops it
    response = made.result()
    if response.file is None:
        work.close()
        await _send_whole(response, send)
        return
    await send(_start(response))
    last = await _send_parts(response.file, gone, send)
    # To free a large file takes a while. Before the client has all of it, and sends the next request.
    await asyncio.to_thread(work.close)
    if last is not None:
        await send({"type": "http.response.body", "body": last, "more_body": False})


async def _send_parts(file: BinaryIO, gone: asyncio.Future[None], send: _Send) -> bytes | None:
    """Send a file but for its last part, and return that; None if the client leaves or is too slow.

    Then the server closes the connection, as the answer is not complete.
    """
    try:
        async with asyncio.timeout(MAX_SECONDS):
            chunk = await asyncio.to_thread(file.read, CHUNK_BYTES)
            while following := await asyncio.to_thread(file.read, CHUNK_BYTES):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if gone.done():
                    return None
                chunk = following
    except TimeoutError:
        return None
    return chunk


def _in_thread(work: Work, request: Request) -> asyncio.Future[Response]:
    """Run a work in a thread that the program's own executor does not miss."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Response] = loop.create_future()

    def store(response: Response) -> None:
        if not future.done():
            future.set_result(response)

    def run() -> None:
        response = work.run()
        try:
            loop.call_soon_threadsafe(store, response)
        except RuntimeError:  # the loop has ended: nobody waits
            work.close()

    try:
        OwnThread(run, "memlens-web").start()
    except RuntimeError:
        store(error_response(request, RequestError(503, "No thread can be started.")))
    return future


def _close(work: Work) -> None:
    """Close a work, in a thread where that would keep the event loop waiting."""
    if work.is_running:
        try:
            OwnThread(work.close, "memlens-web").start()
            return
        except RuntimeError:  # no thread can be started
            pass
    work.close()


def _start(response: Response) -> dict[str, Any]:
    headers = [
        (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.headers
    ]
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _send_whole(response: Response, send: _Send) -> None:
    await send(_start(response))
    await send({"type": "http.response.body", "body": response.content, "more_body": False})
