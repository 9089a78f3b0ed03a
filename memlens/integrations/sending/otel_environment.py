"""What the environment variables of OpenTelemetry say about a service and where its profiles go.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from __future__ import annotations

import os
import platform
import urllib.parse
from collections.abc import Mapping

from memlens.integrations.sending.http_post import check_headers, check_url
from memlens.process.service import environment_pairs

__all__ = ("certificate_file", "otlp_headers", "otlp_url", "resource_attributes", "with_path")

PROFILES_PATH = "/v1development/profiles"
_DEFAULT_ENDPOINT = "http://localhost:4318"
_UNKNOWN = "unknown_service:python"


def otlp_url(url: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return where profiles are sent.

    ``url`` is used as it is, but gets the path of the signal if it has none. None is that of
    ``OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT``, as it is, or of ``OTEL_EXPORTER_OTLP_ENDPOINT`` with
    the path of the signal added, or a collector on this machine. Raises OptionError.
    """
    if url is not None:
        has_path = urllib.parse.urlsplit(check_url("url", url)).path.strip("/")
        return url if has_path else with_path(url, PROFILES_PATH)
    own = environment.get("OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT", "").strip()
    if own:
        return check_url("OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT", own)
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or _DEFAULT_ENDPOINT
    return with_path(check_url("OTEL_EXPORTER_OTLP_ENDPOINT", base), PROFILES_PATH)


def with_path(url: str, path: str) -> str:
    """Return the URL with a path added to its own."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(path=parts.path.rstrip("/") + path).geturl()


def otlp_headers(
    headers: Mapping[str, str] | None, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the headers of the environment, overridden by ``headers``. Raises OptionError."""
    text = environment.get("OTEL_EXPORTER_OTLP_PROFILES_HEADERS", "") or environment.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    return check_headers(environment_pairs("OTEL_EXPORTER_OTLP_HEADERS", text)) | check_headers(
        headers
    )


def certificate_file(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the file of the certificates to trust; None is the system's."""
    own = environment.get("OTEL_EXPORTER_OTLP_PROFILES_CERTIFICATE", "")
    return own or environment.get("OTEL_EXPORTER_OTLP_CERTIFICATE", "") or None


def resource_attributes(
    given: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> dict[str, str | int]:
    """Return the attributes of this process: of the environment, of the runtime, and those given.

    ``service.name`` is that of ``given``, of ``OTEL_SERVICE_NAME``, or of
    ``OTEL_RESOURCE_ATTRIBUTES``. Raises OptionError if the latter cannot be read.
    """
    text = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    found: dict[str, str | int] = {"service.name": _UNKNOWN}
    found |= environment_pairs("OTEL_RESOURCE_ATTRIBUTES", text)
    name = environment.get("OTEL_SERVICE_NAME", "").strip()
    if name:
        found["service.name"] = name
    found |= {
        "process.pid": os.getpid(),
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
    }
    return {**found, **given}
