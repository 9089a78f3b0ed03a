"""Responses, and the headers that keep what they show where it belongs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import BinaryIO

from memlens.integrations.web.requests import JSON, TEXT, Format, Request, RequestError

__all__ = ("Response", "content_response", "error_response", "headers_of", "page_policy")

_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_META = re.compile(rb'<meta http-equiv="Content-Security-Policy" content="([ -~]*?)">')
_HEAD_BYTES = 4096  # the policy of a report stands in its first lines


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its status, headers, and its content as bytes or as an open file.

    A file has no name any more. `Work.close` closes it.
    """

    status: int
    headers: Sequence[tuple[str, str]]
    content: bytes = b""
    file: BinaryIO | None = field(default=None, repr=False)

    @property
    def status_line(self) -> str:
        """The status with its phrase, as WSGI wants it."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def headers_of(
    form: Format,
    size_bytes: int | None,
    *,
    policy: str = _POLICY,
    file_name: str | None = None,
) -> list[tuple[str, str]]:
    """Return the headers of an answer; ``file_name``: a browser saves it under that name."""
    headers = [
        ("Content-Type", form.media_type),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", policy),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("Vary", "Accept, Authorization"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
    ]
    if size_bytes is not None:
        headers.append(("Content-Length", str(size_bytes)))
    if file_name is not None:
        headers.append(("Content-Disposition", f'attachment; filename="{file_name}"'))
    return headers


def page_policy(file: BinaryIO) -> str:
    """Return the policy that a report states for itself, which names its script and its style.

    A report without one is refused: its script would run under any policy that allows it.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    found = _META.search(head)
    if found is None:
        raise ValueError("the report has no Content-Security-Policy")
    return f"{found[1].decode('ascii')}; frame-ancestors 'none'"


def error_response(request: Request, error: RequestError) -> Response:
    """Return an error as JSON where the client asked for it, else as text."""
    form = JSON if request.wants_json else TEXT
    text = (
        json.dumps({"status": error.status, "error": error.text})
        if form is JSON
        else f"{error.status} {HTTPStatus(error.status).phrase}\n{error.text}"
    )
    content = f"{text}\n".encode()
    headers = [*headers_of(form, len(content)), *error.headers]
    return Response(error.status, headers, b"" if request.method == "HEAD" else content)


def content_response(request: Request, form: Format, text: str) -> Response:
    """Return a short answer that is made at once."""
    content = text.encode()
    headers = headers_of(form, len(content))
    return Response(200, headers, b"" if request.method == "HEAD" else content)
