"""OTLP profiles, parsed by the generated code of opentelemetry-proto."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given

from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profiler import AllocationProfiler
from memlens.formats.otlp_profiles import otlp_profiles_bytes
from memlens.integrations.sending.profile_requests import OtlpRequests
from tests.formats import otlp_reader
from tests.formats.test_allocation_formats import FACTS
from tests.formats.test_allocation_formats import profiles as any_profile
from tests.formats.test_otlp_profiles import LINK, MEASURES, PATH, row
from tests.sampler import need_sampler

service = pytest.importorskip(
    "opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2"
)

pytestmark = pytest.mark.services

TABLES = {
    "mapping_table": "Mapping",
    "location_table": "Location",
    "function_table": "Function",
    "link_table": "Link",
    "attribute_table": "KeyValueAndUnit",
    "stack_table": "Stack",
}


def parsed(data):
    """Return the message, which has every byte in a field that this version knows."""
    message = service.ExportProfilesServiceRequest.FromString(data)
    assert message.ByteSize() == len(data)
    known = type(message).FromString(data)
    known.DiscardUnknownFields()
    assert known == message
    assert known.ByteSize() == len(data)
    return message


def check_first_rows(message):
    for name in TABLES:
        first = getattr(message.dictionary, name)[0]
        assert first == type(first)()


@given(any_profile)
def test_any_profile_is_valid_and_totals_are_those_of_the_profile(profile):
    message = parsed(otlp_profiles_bytes(profile, resource={"service.name": "shop", "n": 0}))
    otlp_reader.check_request(message)
    check_first_rows(message)
    for name, measure in MEASURES.items():
        found = otlp_reader.profiles(message)[name]
        total = sum(sample.values[0] for sample in found.samples)
        assert total == getattr(profile.total, measure)
        assert (found.time_unix_nano, found.duration_nano) == (1_000_500_000_000, 2_500_000_000)


def test_our_own_reader_reads_the_same():
    profile = AllocationProfile([row(PATH, 8.0, "MainThread", "mem"), row(())], FACTS)
    data = otlp_profiles_bytes(profile, link=LINK, scope_version="1")
    for name in MEASURES:
        ours = otlp_reader.call_paths(otlp_reader.read(data), name)
        assert ours == otlp_reader.call_paths(parsed(data), name)


def test_the_profile_of_a_program_is_valid():
    need_sampler()
    with AllocationProfiler(64) as profiler:
        kept = [{"number": number} for number in range(10_000)]
        profile = profiler.profile()
    message = parsed(
        gzip.decompress(OtlpRequests("http://c", None, {}).request(profile, None).body)
    )
    assert kept
    otlp_reader.check_request(message)
    check_first_rows(message)
    for name, measure in MEASURES.items():
        total = sum(one.values[0] for one in otlp_reader.profiles(message)[name].samples)
        assert total == pytest.approx(getattr(profile.total, measure), abs=len(profile.rows))


def test_a_partial_success_is_understood():
    answer = service.ExportProfilesServiceResponse()
    requests = OtlpRequests("http://c", None, {})
    assert requests.complaint(answer.SerializeToString()) is None
    answer.partial_success.SetInParent()
    assert requests.complaint(answer.SerializeToString()) is None
    answer.partial_success.rejected_profiles = 300
    answer.partial_success.error_message = "too old"
    assert "rejected 300 profiles: too old" in requests.complaint(answer.SerializeToString())
