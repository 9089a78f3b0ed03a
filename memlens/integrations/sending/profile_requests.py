"""Requests that carry an allocation profile: to OpenTelemetry (OTLP) and to Pyroscope."""

from __future__ import annotations

import gzip
import json
import re
import secrets
import urllib.parse
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from memlens._options import check_text
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.errors import OptionError
from memlens.formats.otlp_profiles import SpanLink, otlp_profiles_bytes
from memlens.formats.pprof import pprof_bytes
from memlens.formats.protobuf import fields_of
from memlens.integrations.sending.http_post import check_headers, check_url
from memlens.integrations.sending.otel_environment import (
    otlp_headers,
    otlp_url,
    resource_attributes,
    with_path,
)

__all__ = (
    "OtlpRequests",
    "PyroscopeRequests",
    "Request",
    "Requests",
    "TooLargeError",
    "check_attributes",
)

MAX_BODY_BYTES = 64 << 20  # before compression, recommended by the OTLP specification

# Which unit a measure has and how values of several times become one: as Pyroscope's Go client.
_SAMPLE_TYPES = {
    "alloc_objects": {"units": "objects"},
    "alloc_space": {"units": "bytes"},
    "inuse_objects": {"units": "objects", "aggregation": "average"},
    "inuse_space": {"units": "bytes", "aggregation": "average"},
}
_NOT_IN_A_LABEL = re.compile(r"[{}=,\"\\\s]+")
_NOT_IN_A_NAME = re.compile(r"\W+", re.ASCII)
_NOT_IN_A_SERVICE = re.compile(r"[^\w./-]+", re.ASCII)


class TooLargeError(Exception):
    """The profile is larger than receivers accept."""


class Request(NamedTuple):
    """What to send: the URL with its query, headers and body."""

    url: str
    headers: dict[str, str]
    body: bytes


class Requests(Protocol):
    """Makes requests for one kind of receiver; ``url`` is where they go, without a query."""

    url: str

    def request(self, profile: AllocationProfile, link: SpanLink | None) -> Request:
        """Return the request with a profile. Raises TooLargeError."""

    def complaint(self, answer: bytes) -> str | None:
        """Return what a receiver that accepted the request says against it, or None."""


class OtlpRequests:
    """Requests of OTLP over HTTP, in binary protobuf, compressed. Raises OptionError."""

    def __init__(
        self, url: str | None, headers: Mapping[str, str] | None, attributes: Mapping[str, str]
    ) -> None:
        from memlens import __version__

        self.url = otlp_url(url)
        self._headers = otlp_headers(headers)
        self._attributes = attributes
        self._version = __version__
        resource_attributes(attributes)  # so that a mistake in the environment shows now

    def request(self, profile: AllocationProfile, link: SpanLink | None) -> Request:
        """Return the request with a profile. Raises TooLargeError."""
        body = otlp_profiles_bytes(
            profile,
            resource=resource_attributes(self._attributes),  # a forked child has another pid
            scope_version=self._version,
            link=link,
        )
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError(f"the profile has {len(body):,} bytes, more than receivers accept")
        own = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
            "User-Agent": f"memlens/{self._version}",
        }
        return Request(self.url, self._headers | own, gzip.compress(body, mtime=0))

    def complaint(self, answer: bytes) -> str | None:
        """Return the message of ``partial_success``, or None."""
        for partial in fields_of(answer).get(1, []):
            if not isinstance(partial, bytes):
                continue
            fields = fields_of(partial)
            rejected = [number for number in fields.get(1, []) if isinstance(number, int)]
            message = [text for text in fields.get(2, []) if isinstance(text, bytes)]
            text = b"".join(message).decode("utf-8", "replace")
            if any(rejected) or text:
                return f"the receiver rejected {sum(rejected)} profiles: {text}"
        return None


class PyroscopeRequests:
    """Requests to ``/ingest`` of Pyroscope: pprof in a form, as its Go client sends it.

    The application name is ``service.name``; ``attributes`` become labels. Raises OptionError.
    """

    def __init__(
        self, url: str | None, headers: Mapping[str, str] | None, attributes: Mapping[str, str]
    ) -> None:
        from memlens import __version__

        if url is None:
            raise OptionError("url must be the address of Pyroscope, as http://localhost:4040")
        self.url = with_path(check_url("url", url), "/ingest")
        self._headers = check_headers(headers)
        self._version = __version__
        service = str(resource_attributes(attributes)["service.name"])
        labels = ",".join(
            f"{_NOT_IN_A_NAME.sub('_', key)}={_NOT_IN_A_LABEL.sub('_', value)}"
            for key, value in attributes.items()
            if key != "service.name"
        )
        self._name = f"{_NOT_IN_A_SERVICE.sub('_', service)}{{{labels}}}"

    def request(self, profile: AllocationProfile, link: SpanLink | None) -> Request:
        """Return the request with a profile; ``link`` is left out, because pprof has none."""
        facts = profile.facts
        start_ns = int(facts.started_at * 1e9)
        query = {
            "name": self._name,
            "from": start_ns,
            "until": start_ns + int(facts.duration_seconds * 1e9),
            "spyName": "memlens",
        }  # no "format": a server that is told "pprof" reads the body as bare pprof and no form
        # Labels of samples would become series: one for each thread that there ever was.
        rows = [row._replace(thread=None, domain=None) for row in profile.by_call_path()]
        data = pprof_bytes(AllocationProfile(rows, facts))
        if len(data) > MAX_BODY_BYTES:
            raise TooLargeError(f"the profile has {len(data):,} bytes, more than receivers accept")
        body, content_type = _form(
            {
                "profile": ("profile.pprof", data),
                "sample_type_config": ("sample_type_config.json", _sample_types()),
            }
        )
        own = {"Content-Type": content_type, "User-Agent": f"memlens/{self._version}"}
        url = urllib.parse.urlsplit(self.url)._replace(query=urllib.parse.urlencode(query)).geturl()
        return Request(url, self._headers | own, body)

    def complaint(self, answer: bytes) -> str | None:
        """Return None: Pyroscope accepts all or nothing."""
        return None


def _sample_types() -> bytes:
    return json.dumps(_SAMPLE_TYPES).encode()


def _form(files: Mapping[str, tuple[str, bytes]]) -> tuple[bytes, str]:
    """Return the body and the content type of a form with files, by field: their name and data."""
    boundary = f"memlens-{secrets.token_hex(16)}"
    parts = []
    for field, (name, data) in files.items():
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        parts.append(head.encode() + data + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def check_attributes(attributes: Mapping[str, str] | None) -> dict[str, str]:
    """Return attributes of the process. Raises OptionError unless they are texts by name."""
    if attributes is not None and not isinstance(attributes, Mapping):
        raise OptionError(f"attributes must be a mapping; got {type(attributes).__name__}")
    for key, value in (attributes or {}).items():
        check_text(f"attributes[{key!r}]", value)
        if not check_text("the name of an attribute", key):
            raise OptionError("the name of an attribute must not be empty")
    return dict(attributes or {})
