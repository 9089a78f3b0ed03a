"""The requests that carry a profile, as a receiver reads them."""

from __future__ import annotations

import email.parser
import gzip
import json
import urllib.parse

import pytest

from memlens._frame import Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import AllocationRow
from memlens.errors import OptionError
from memlens.formats.protobuf import as_bytes, as_number, as_text
from memlens.integrations.sending import profile_requests
from memlens.integrations.sending.profile_requests import (
    OtlpRequests,
    PyroscopeRequests,
    TooLargeError,
    check_attributes,
)
from tests.formats import otlp_reader, pprof_reader
from tests.formats.test_allocation_formats import FACTS

PATH = (Frame("main", "/srv/app.py", 3), Frame("load", "/srv/app.py", 9))
ROWS = [
    AllocationRow(PATH, 8.0, 0.0, 1.0, 0.0, 16.0, 0.0, 2.0, 0.0, 1, 1, thread=thread, domain="mem")
    for thread in ("MainThread", "worker-1", "worker-2")
]
PROFILE = AllocationProfile(ROWS, FACTS)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("ENDPOINT", "HEADERS", "PROFILES_ENDPOINT", "PROFILES_HEADERS"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")


def test_otlp_is_compressed_protobuf_with_the_attributes_of_the_process():
    requests = OtlpRequests("http://c:1", {"Authorization": "t"}, {"deployment": "staging"})
    request = requests.request(PROFILE, None)
    assert request.url == "http://c:1/v1development/profiles"
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Authorization"] == "t"
    message = otlp_reader.read(gzip.decompress(request.body))
    otlp_reader.check_request(message)
    attributes = {
        one.key: one.value.string_value for one in message.resource_profiles[0].resource.attributes
    }
    assert (attributes["service.name"], attributes["deployment"]) == ("shop", "staging")
    assert len(otlp_reader.call_paths(message, "inuse_space")) == 3


def test_a_mistake_in_the_environment_shows_when_the_sender_is_made(monkeypatch):
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "nonsense")
    with pytest.raises(OptionError, match="OTEL_RESOURCE_ATTRIBUTES"):
        OtlpRequests("http://c:1", None, {})


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", None),
        (as_bytes(1, b""), None),
        (as_bytes(1, as_number(1, 0) + as_text(2, "")), None),
        (as_bytes(1, as_number(1, 4)), "rejected 4 profiles"),
        (as_bytes(1, as_number(1, 2) + as_text(2, "too old")), "rejected 2 profiles: too old"),
        (as_bytes(1, as_text(2, "please upgrade")), "please upgrade"),
        (b"<html>not protobuf</html>", None),
        (b"\x0a\xff\xff\xff\xff", None),
        (b"\xff" * 30, None),
    ],
)
def test_what_a_receiver_of_otlp_rejects(answer, complaint):
    found = OtlpRequests("http://c:1", None, {}).complaint(answer)
    assert (found is None) == (complaint is None)
    assert complaint is None or complaint in found


def parts_of(request):
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser().parsebytes(head + request.body)
    assert message.is_multipart()
    assert not message.defects
    return {
        part.get_param("name", header="content-disposition"): part for part in message.get_payload()
    }


def test_pyroscope_gets_pprof_in_a_form():
    requests = PyroscopeRequests("http://p:4040/base", {"X-Scope-OrgID": "a"}, {})
    request = requests.request(PROFILE, None)
    url = urllib.parse.urlsplit(request.url)
    assert (url.netloc, url.path) == ("p:4040", "/base/ingest")
    assert dict(urllib.parse.parse_qsl(url.query)) == {
        "name": "shop{}",
        "from": "1000500000000",
        "until": "1003000000000",
        "spyName": "memlens",
    }
    assert request.headers["X-Scope-OrgID"] == "a"
    parts = parts_of(request)
    assert set(parts) == {"profile", "sample_type_config"}
    assert all(part.get_filename() for part in parts.values())
    config = json.loads(parts["sample_type_config"].get_payload(decode=True))
    found = pprof_reader.read(parts["profile"].get_payload(decode=True))
    assert set(config) == {name for name, _ in found["types"]}
    assert config["inuse_space"] == {"units": "bytes", "aggregation": "average"}
    assert config["alloc_space"] == {"units": "bytes"}
    # One sample for all threads: a label would be a series for each.
    assert [(values, labels) for _, values, labels in found["samples"]] == [([6, 48, 3, 24], {})]


def test_attributes_are_labels_of_pyroscope_without_what_has_a_meaning_there():
    attributes = {"deployment.environment": 'a,b="c"}', "service.name": "my shop{x}"}
    request = PyroscopeRequests("http://p", None, attributes).request(PROFILE, None)
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.url).query))
    assert query["name"] == "my_shop_x_{deployment_environment=a_b_c_}"


@pytest.mark.parametrize(
    ("service", "name"),
    [
        (None, "unknown_service_python{}"),  # it accepts no colon
        ("a-b.c/d_1", "a-b.c/d_1{}"),
        ("世 界", "_{}"),
    ],
)
def test_the_name_of_the_service_has_characters_that_pyroscope_accepts(service, name, monkeypatch):
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    attributes = {} if service is None else {"service.name": service}
    request = PyroscopeRequests("http://p", None, attributes).request(PROFILE, None)
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.url).query))
    assert query["name"] == name


def test_pyroscope_needs_an_address():
    with pytest.raises(OptionError, match="address of Pyroscope"):
        PyroscopeRequests(None, None, {})


@pytest.mark.parametrize("kind", [OtlpRequests, PyroscopeRequests])
def test_a_profile_that_no_receiver_accepts_is_not_sent(kind, monkeypatch):
    monkeypatch.setattr(profile_requests, "MAX_BODY_BYTES", 10)
    with pytest.raises(TooLargeError):
        kind("http://c", None, {}).request(PROFILE, None)


@pytest.mark.parametrize("attributes", [{"a": 1}, {1: "a"}, {"": "a"}, ["a"], "a"])
def test_attributes_are_texts_by_name(attributes):
    with pytest.raises(OptionError):
        check_attributes(attributes)
