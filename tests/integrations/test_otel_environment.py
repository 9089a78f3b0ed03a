"""What the environment variables of OpenTelemetry mean."""

from __future__ import annotations

import os
import platform

import pytest

from memlens.errors import OptionError
from memlens.integrations.sending.otel_environment import (
    certificate_file,
    otlp_headers,
    otlp_url,
    resource_attributes,
)


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        (None, {}, "http://localhost:4318/v1development/profiles"),
        (
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.test:4318"},
            "https://c.test:4318/v1development/profiles",
        ),
        (
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.test/base/"},
            "https://c.test/base/v1development/profiles",
        ),
        (
            None,
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.test",
                "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT": "http://p.test/exactly",
            },
            "http://p.test/exactly",
        ),
        ("http://c:1", {}, "http://c:1/v1development/profiles"),
        ("http://c:1/", {}, "http://c:1/v1development/profiles"),
        ("http://c:1/mine", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, "http://c:1/mine"),
        (
            None,
            {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
            "http://localhost:4318/v1development/profiles",
        ),
    ],
)
def test_where_profiles_go(url, environment, expected):
    assert otlp_url(url, environment) == expected


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT"]
)
def test_a_wrong_endpoint_is_refused_by_its_name(name):
    with pytest.raises(OptionError, match=name):
        otlp_url(None, {name: "collector:4317"})


def test_headers_are_those_of_the_environment_and_those_given():
    environment = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b, x-other=1,"}
    assert otlp_headers({"x-other": "2"}, environment) == {"api-key": "a b", "x-other": "2"}
    environment["OTEL_EXPORTER_OTLP_PROFILES_HEADERS"] = "only=this"
    assert otlp_headers(None, environment) == {"only": "this"}


@pytest.mark.parametrize("text", ["novalue", "=x", "a=b%0aX: y"])
def test_headers_that_cannot_be_read_are_refused_without_showing_them(text):
    with pytest.raises(OptionError) as refusal:
        otlp_headers(None, {"OTEL_EXPORTER_OTLP_HEADERS": text})
    assert "novalue" not in str(refusal.value)


def test_the_name_of_the_service():
    environment = {}
    assert resource_attributes({}, environment)["service.name"] == "unknown_service:python"
    environment["OTEL_RESOURCE_ATTRIBUTES"] = "service.name=shop,deployment.environment.name=a%2Cb"
    found = resource_attributes({}, environment)
    assert (found["service.name"], found["deployment.environment.name"]) == ("shop", "a,b")
    environment["OTEL_SERVICE_NAME"] = "checkout"
    assert resource_attributes({}, environment)["service.name"] == "checkout"
    assert resource_attributes({"service.name": "x"}, environment)["service.name"] == "x"


def test_the_process_and_its_runtime_are_attributes():
    found = resource_attributes({}, {})
    assert found["process.pid"] == os.getpid()
    assert found["process.runtime.name"] == "cpython"
    assert found["process.runtime.version"] == platform.python_version()


def test_certificates_of_the_environment():
    assert certificate_file({}) is None
    environment = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/a"}
    assert certificate_file(environment) == "/a"
    environment["OTEL_EXPORTER_OTLP_PROFILES_CERTIFICATE"] = "/b"
    assert certificate_file(environment) == "/b"
