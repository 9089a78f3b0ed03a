"""The service and the release that a process belongs to: given, or from its environment."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping

from memlens._options import check_text
from memlens.errors import OptionError

__all__ = ("RELEASE_VARIABLE", "SERVICE_VARIABLE", "environment_pairs", "release_of", "service_of")

SERVICE_VARIABLE = "MEMLENS_SERVICE"
RELEASE_VARIABLE = "MEMLENS_RELEASE"
_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
_UNKNOWN = "unknown"


def service_of(
    given: str | None, program: str | None, environment: Mapping[str, str] = os.environ
) -> str:
    """Return the name of the service of this process.

    The first there is of ``given``, ``MEMLENS_SERVICE``, ``OTEL_SERVICE_NAME``, ``service.name`` of
    ``OTEL_RESOURCE_ATTRIBUTES``, the name of the program, and ``unknown``. Raises OptionError if
    ``given`` is not a text.
    """
    found = (
        _given("service", given)
        or environment.get(SERVICE_VARIABLE, "").strip()
        or environment.get("OTEL_SERVICE_NAME", "").strip()
        or _attributes(environment).get("service.name")
    )
    # `python -c` and an embedded interpreter have no name of a program.
    return found or (program if program and not program.startswith("-") else _UNKNOWN)


def release_of(given: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the release that runs, None if nothing says it.

    The first there is of ``given``, ``MEMLENS_RELEASE`` and ``service.version`` of
    ``OTEL_RESOURCE_ATTRIBUTES``. Raises OptionError if ``given`` is not a text.
    """
    found = (
        _given("release", given)
        or environment.get(RELEASE_VARIABLE, "").strip()
        or _attributes(environment).get("service.version")
    )
    return found or None


def environment_pairs(name: str, text: str) -> dict[str, str]:
    """Return ``a=b,c=d`` of an environment variable as a dict; values are percent-encoded.

    Raises OptionError, which names the variable, for another form.
    """
    found = {}
    for pair in filter(str.strip, text.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise OptionError(f"{name} must be a list of key=value, separated by commas")
        found[urllib.parse.unquote(key.strip())] = urllib.parse.unquote(value.strip())
    return found


def _given(name: str, value: str | None) -> str:
    return "" if value is None else check_text(name, value).strip()


def _attributes(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the resource attributes; none if they cannot be read, as OpenTelemetry asks for."""
    try:
        return environment_pairs(_ATTRIBUTES, environment.get(_ATTRIBUTES, ""))
    except OptionError:
        return {}
