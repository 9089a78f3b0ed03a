"""OTLP profiles, read back by a reader that knows the description of the format only."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from memlens._frame import NATIVE_FRAME, Frame
from memlens.allocations.profile.allocation_profile import AllocationProfile
from memlens.allocations.profile.rows import AllocationRow
from memlens.errors import OptionError
from memlens.formats.otlp_profiles import SpanLink, otlp_profiles_bytes
from tests.formats.otlp_reader import call_paths, check_request, profiles, read
from tests.formats.test_allocation_formats import FACTS, shown
from tests.formats.test_allocation_formats import profiles as any_profile

MEASURES = {
    "alloc_objects": "allocated_count",
    "alloc_space": "allocated_bytes",
    "inuse_objects": "live_count",
    "inuse_space": "live_bytes",
}
LINK = SpanLink(bytes(range(16)), bytes(range(1, 9)), "MainThread")


def row(path, live=8.0, thread=None, domain=None, allocated=16.0):
    count = None if allocated is None else 2.0
    return AllocationRow(
        path, live, 0.0, 1.0, 0.0, allocated, 0.0, count, 0.0, 1, 1, thread=thread, domain=domain
    )


PATH = (Frame("main", "/srv/app.py", 3), Frame("load", "/srv/app.py", 9))


@given(any_profile)
def test_every_index_is_in_range_and_totals_are_those_of_the_profile(profile):
    data = otlp_profiles_bytes(profile)
    assert data == otlp_profiles_bytes(profile)
    request = read(data)
    check_request(request)
    assert set(profiles(request)) == set(MEASURES)
    for name, measure in MEASURES.items():
        expected = Counter()
        for one in profile.rows:
            path = tuple(
                (shown(f.function or f.location), shown(f.file), f.line)
                for f in reversed(one.call_path)
            )
            thread = () if one.thread is None else (("thread.name", shown(one.thread)),)
            expected[path, thread, (b"", b"")] += round(getattr(one, measure))
        assert call_paths(request, name) == {key: n for key, n in expected.items() if n}
        total = sum(sample.values[0] for sample in profiles(request)[name].samples)
        assert total == getattr(profile.total, measure)


def test_says_when_and_how_the_profile_was_made():
    request = read(otlp_profiles_bytes(AllocationProfile([row(PATH)], FACTS), scope_version="0.1"))
    (resource,) = request.resource_profiles
    assert (resource.scope_profiles[0].scope.name, resource.scope_profiles[0].scope.version) == (
        "memlens",
        "0.1",
    )
    texts = request.dictionary.string_table
    for name, profile in profiles(request).items():
        assert profile.time_unix_nano == 1_000_500_000_000
        assert profile.duration_nano == 2_500_000_000
        assert profile.period == FACTS.interval_bytes
        period = (profile.period_type.type_strindex, profile.period_type.unit_strindex)
        assert [texts[index] for index in period] == ["space", "bytes"]
        unit = texts[profile.sample_type.unit_strindex]
        assert unit == ("bytes" if name.endswith("space") else "count")


def test_resource_attributes_are_texts_and_numbers():
    resource = {"service.name": "shop", "process.pid": 42, "zero": 0}
    request = read(otlp_profiles_bytes(AllocationProfile([], FACTS), resource=resource))
    found = request.resource_profiles[0].resource.attributes
    assert [(one.key, one.value.string_value or one.value.int_value) for one in found] == [
        *resource.items()
    ]
    assert found[2].value.string_value == ""


def test_without_the_allocated_measures_there_are_two_profiles():
    request = read(otlp_profiles_bytes(AllocationProfile([row(PATH, allocated=None)], FACTS)))
    check_request(request)
    assert set(profiles(request)) == {"inuse_objects", "inuse_space"}


def test_what_is_gone_is_no_sample_of_the_live_profiles():
    gone = AllocationRow(PATH, 0.0, 0.0, 0.0, 0.0, 16.0, 0.0, 2.0, 0.0)
    request = read(otlp_profiles_bytes(AllocationProfile([gone], FACTS)))
    check_request(request)
    assert profiles(request)["inuse_space"].samples == []
    assert [one.values for one in profiles(request)["alloc_space"].samples] == [[16]]


def test_threads_of_the_same_name_share_a_sample():
    rows = [row(PATH, 8.4, "worker"), row(PATH, 8.4, "worker"), row(PATH, 1.0, "other")]
    request = read(otlp_profiles_bytes(AllocationProfile(rows, FACTS)))
    check_request(request)
    assert sorted(call_paths(request, "inuse_space").values()) == [1, 17]


def test_frames_say_whether_they_are_python():
    request = read(otlp_profiles_bytes(AllocationProfile([row((*PATH, NATIVE_FRAME))], FACTS)))
    check_request(request)
    tables = request.dictionary
    kinds = [
        tables.attribute_table[location.attribute_indices[0]].value.string_value
        for location in tables.location_table[1:]
    ]
    assert sorted(kinds) == ["cpython", "cpython", "native"]


def test_a_row_without_frames_has_the_empty_stack():
    request = read(otlp_profiles_bytes(AllocationProfile([row(())], FACTS)))
    check_request(request)
    assert profiles(request)["inuse_space"].samples[0].stack_index == 0


def test_only_the_thread_of_the_span_is_linked():
    rows = [row(PATH, 8.0, "MainThread"), row(PATH, 4.0, "worker"), row(PATH, 2.0)]
    request = read(otlp_profiles_bytes(AllocationProfile(rows, FACTS), link=LINK))
    check_request(request)
    found = {
        dict(attributes).get("thread.name"): ids
        for _, attributes, ids in call_paths(request, "inuse_space")
    }
    assert found == {
        "MainThread": (LINK.trace_id, LINK.span_id),
        "worker": (b"", b""),
        None: (b"", b""),
    }


def test_a_link_of_no_row_is_left_out():
    request = read(otlp_profiles_bytes(AllocationProfile([row(PATH, 8.0, "x")], FACTS), link=LINK))
    check_request(request)
    assert len(request.dictionary.link_table) == 1


@pytest.mark.parametrize(
    "link",
    [
        SpanLink(b"short", bytes(range(1, 9)), "MainThread"),
        SpanLink(bytes(range(16)), b"short", "MainThread"),
        SpanLink(bytes(16), bytes(range(1, 9)), "MainThread"),
        SpanLink(bytes(range(16)), bytes(8), "MainThread"),
    ],
)
def test_ids_that_are_not_of_a_span_are_refused(link):
    with pytest.raises(OptionError):
        otlp_profiles_bytes(AllocationProfile([], FACTS), link=link)
