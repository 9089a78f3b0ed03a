"""HttpPoster: send bytes by HTTP or HTTPS with the standard library, within bounds of time and size.

Redirects are not followed: the headers may hold a token, which would go to another host. Proxies are
those of the environment (``http_proxy``, ``https_proxy``, ``no_proxy``).
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from memlens._options import check_text, shown
from memlens.errors import OptionError

__all__ = ("Answer", "HttpPoster", "PostError", "check_headers", "check_url", "shown_url")

_HEADER_NAME = re.compile(r"[\w.-]+", re.ASCII)
MAX_ANSWER_BYTES = 4 << 20  # recommended by the OTLP specification


class PostError(Exception):
    """No answer: the server cannot be reached, is too slow, or has closed the connection."""


class Answer(NamedTuple):
    """The answer of a server. ``retry_after_seconds`` is None if it did not name a time."""

    status: int
    retry_after_seconds: float | None
    body: bytes


def check_url(name: str, url: object) -> str:
    """Return the URL of a server. Raises OptionError if it is not one of http or https.

    Also if it holds a password: that belongs to the headers, since URLs are shown in logs.
    """
    text = check_text(name, url)
    try:
        parts = urllib.parse.urlsplit(text)
        host, _ = parts.hostname, parts.port  # raises if it is no number
    except ValueError as error:
        raise OptionError(f"{name} is not a URL: {error}") from None
    if "@" in parts.netloc:
        raise OptionError(f"{name} must not hold a user or a password: give them in headers")
    if parts.scheme not in ("http", "https") or not host or any(c <= " " for c in text):
        raise OptionError(f"{name} must be a URL of http or https; got {shown(url)}")
    return text


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers. Raises OptionError for a name or a value that HTTP does not allow.

    The message does not show the value, which may be secret.
    """
    if headers is not None and not isinstance(headers, Mapping):
        raise OptionError(f"headers must be a mapping of strings; got {type(headers).__name__}")
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise OptionError(f"headers: {shown(name)} is no name of a header")
        if not isinstance(value, str) or not value.isprintable() or not _is_latin(value):
            raise OptionError(f"headers: the value of {name} must be text in one line")
    return dict(headers or {})


def _is_latin(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def shown_url(url: str) -> str:
    """Return a URL without its query, for messages."""
    return urllib.parse.urlsplit(url)._replace(query="", fragment="").geturl()


class HttpPoster:
    """Sends requests, one at a time, each within ``timeout_seconds`` altogether.

    ``ca_file``: certificates to trust instead of the system's.
    """

    def __init__(self, timeout_seconds: float, ca_file: str | None = None) -> None:
        self._timeout_seconds = timeout_seconds
        self._socket: socket.socket | None = None
        self._is_aborted = False
        self._opener = urllib.request.OpenerDirector()
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise OptionError(f"cannot read the certificates {ca_file!r}: {error}") from error
        # No handler of redirects, files or FTP; no HTTPErrorProcessor: every answer is returned.
        for handler in (
            urllib.request.ProxyHandler(),
            _HttpHandler(self._track),
            _HttpsHandler(self._track, context),
        ):
            self._opener.add_handler(handler)

    def __repr__(self) -> str:
        return f"<HttpPoster: {self._timeout_seconds:g} s>"

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request and return the answer, whatever its status is. Raises PostError."""
        request = urllib.request.Request(url, body, dict(headers), method="POST")
        # The timeout of a socket begins anew with each byte that comes.
        watchdog = threading.Timer(self._timeout_seconds, self.abort)
        watchdog.daemon = True
        watchdog.name = "memlens-timeout"
        self._is_aborted = False
        try:
            watchdog.start()
            with self._opener.open(request, timeout=self._timeout_seconds) as response:
                answer: bytes = response.read(MAX_ANSWER_BYTES + 1)
                if len(answer) > MAX_ANSWER_BYTES:
                    answer = b""
                after = _retry_after(response.headers.get("Retry-After"), time.time)
                if self._is_aborted:  # headers that end too early look complete
                    raise TimeoutError("the answer was not complete in time")
                return Answer(response.status, after, answer)
        except (OSError, http.client.HTTPException, ValueError, RuntimeError) as error:
            raise PostError(_reason(error)) from error
        finally:
            watchdog.cancel()
            self._socket = None

    def abort(self) -> None:
        """End the request that is under way: it raises PostError in its thread."""
        self._is_aborted = True
        current = self._socket
        if current is not None:
            with suppress(OSError):  # closed meanwhile
                current.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Forget the connection of the parent process, in a forked child."""
        self._socket = None
        self._is_aborted = False

    def _track(self, connected: socket.socket | None) -> None:
        self._socket = connected


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return f"{type(error).__name__}: {error}"


def _retry_after(value: str | None, now: Callable[[], float]) -> float | None:
    """Return the seconds of a ``Retry-After`` header, a number or a date; None if it is neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None


_Track = Callable[[socket.socket | None], None]


def _tracked(kind: Any, track: _Track) -> Any:
    """Return a class of connections whose sockets are told to ``track``."""

    class Connection(kind):  # type: ignore[misc]
        def connect(self) -> None:
            create = self.__dict__["_create_connection"]

            def create_and_track(*arguments: Any) -> socket.socket:
                raw: socket.socket = create(*arguments)
                track(raw)  # a handshake may take long, too
                return raw

            self.__dict__["_create_connection"] = create_and_track
            super().connect()
            track(self.sock)

    return Connection


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, track: _Track) -> None:
        super().__init__()
        self._connection = _tracked(http.client.HTTPConnection, track)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a connection whose socket is tracked."""
        return self.do_open(self._connection, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, track: _Track, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._connection = _tracked(http.client.HTTPSConnection, track)
        self._tls = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a connection whose socket is tracked."""
        return self.do_open(self._connection, req, context=self._tls)
