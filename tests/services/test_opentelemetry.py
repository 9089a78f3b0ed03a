"""The instruments with the SDK of OpenTelemetry, and links to its spans."""

from __future__ import annotations

import gc
import gzip

import pytest

from memlens.errors import OptionError
from memlens.integrations.metrics.metric_table import METRICS
from memlens.integrations.opentelemetry import instrument
from memlens.integrations.profiles_out import ProfileSender
from memlens.integrations.sending.span_links import active_span_link
from tests.clock import FakeClock
from tests.formats import otlp_reader
from tests.integrations.receiver import Receiver
from tests.profiler.planted import profiler_in
from tests.sampler import need_sampler

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.metrics import (
    cpython_metrics,
    process_metrics,
)

pytestmark = pytest.mark.services


class World:
    """A profiler and a meter provider whose reader collects when asked."""

    def __init__(self, folder, **options):
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])
        self.clock = FakeClock()
        self.profiler = profiler_in(folder, allocation_interval_bytes=1, **options)
        self.observed = instrument(
            self.profiler, self.provider.get_meter("app"), max_sites=3, clock=self.clock
        )

    def collect(self):
        """Return the metrics by name."""
        self.clock.advance(10.0)
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        (resource,) = data.resource_metrics
        return {one.name: one for scope in resource.scope_metrics for one in scope.metrics}

    def points(self, name):
        """Return the values of a metric by its attributes."""
        return {
            tuple(sorted(point.attributes.items())): point.value
            for point in self.collect()[name].data.data_points
        }


@pytest.fixture
def world(planted, tmp_path):
    world = World(tmp_path, limit=1 << 40)
    with world.profiler:
        yield world
    world.provider.shutdown()


def test_every_metric_of_the_table_is_observed(world):
    kept = [bytes(1000) for _ in range(100)]
    found = world.collect()
    assert kept
    unknown_now = {"memlens.limit.time_left"}  # there is no leak
    if world.profiler.metrics().gc_pause_seconds is None:
        unknown_now |= {"memlens.gc.pause.time", "memlens.gc.pause.longest"}
    if world.profiler.metrics().sites is None:
        unknown_now |= {"memlens.memory.untracked"}
        unknown_now |= {"memlens.allocations.live", "memlens.allocations.allocated"}
    assert {metric.otel_name for metric in METRICS} - unknown_now <= set(found)
    for metric in METRICS:
        if metric.otel_name in found:
            one = found[metric.otel_name]
            assert (one.unit, one.description) == (metric.unit, metric.text)
            is_monotonic = getattr(one.data, "is_monotonic", None)
            assert is_monotonic == {"counter": True, "sum": False, "gauge": None}[metric.kind]


def test_names_units_and_instruments_are_those_of_the_semantic_conventions(world):
    found = world.collect()
    create = {
        "process.memory.usage": process_metrics.create_process_memory_usage,
        "process.memory.virtual": process_metrics.create_process_memory_virtual,
        "process.paging.faults": process_metrics.create_process_paging_faults,
        "cpython.gc.collections": cpython_metrics.create_cpython_gc_collections,
        "cpython.gc.collected_objects": cpython_metrics.create_cpython_gc_collected_objects,
        "cpython.gc.uncollectable_objects": cpython_metrics.create_cpython_gc_uncollectable_objects,
    }
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    for make in create.values():
        make(provider.get_meter("conventions")).add(1)
    (resource,) = reader.get_metrics_data().resource_metrics
    expected = {one.name: one for one in resource.scope_metrics[0].metrics}
    provider.shutdown()
    assert set(expected) == set(create)
    for name, one in expected.items():
        ours = found[name]
        assert (ours.unit, ours.data.is_monotonic) == (one.unit, one.data.is_monotonic)
    assert world.points("cpython.gc.collections").keys() == {
        (("cpython.gc.generation", generation),) for generation in range(3)
    }


def test_values_are_those_of_the_profiler(world):
    assert world.points("memlens.limit.size") == {(("memlens.limit.source", "given"),): 1 << 40}
    assert world.points("memlens.running") == {(): 1}
    assert world.points("memlens.snapshots") == {(): 1}
    states = world.points("memlens.leak.state")
    assert states[("memlens.series", "rss"), ("memlens.state", "warming")] == 1
    assert len(states) == 8
    reading = world.profiler.metrics().reading
    assert world.points("process.memory.usage")[()] == pytest.approx(reading.rss_bytes, rel=0.2)


def test_one_collection_reads_the_profiler_once(world, monkeypatch):
    calls = []
    kind = type(world.profiler)
    real = kind.metrics
    monkeypatch.setattr(kind, "metrics", lambda *a: calls.append(1) or real(*a))
    world.collect()
    world.collect()
    assert len(calls) == 2


def test_a_failure_is_left_out_counted_and_logged_once(world, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(type(world.profiler), "metrics", lambda *_: 1 / 0)
        assert world.collect() == {}
    assert world.observed.failures == len(METRICS)
    assert {record.name for record in caplog.records} == {"memlens"}
    assert world.points("memlens.running") == {(): 1}


def test_after_close_nothing_is_told(world):
    world.observed.close()
    assert world.collect() == {}


def test_a_profiler_that_is_gone_tells_nothing(tmp_path):
    world = World(tmp_path)
    assert world.collect()
    del world.profiler
    world.observed._forget()
    gc.collect()
    assert world.collect() == {}
    assert world.observed.failures == 0
    world.provider.shutdown()


def test_without_a_meter_it_is_one_of_the_global_provider(tmp_path, monkeypatch):
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)
    profiler = profiler_in(tmp_path)
    observed = instrument(profiler)
    (resource,) = reader.get_metrics_data().resource_metrics
    assert [scope.scope.name for scope in resource.scope_metrics] == ["memlens"]
    observed.close()
    provider.shutdown()


@pytest.mark.parametrize("options", [{"meter": object()}, {"max_sites": -1}, {"clock": 5}])
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(OptionError):
        instrument(profiler_in(tmp_path), **options)
    with pytest.raises(OptionError):
        instrument(object())


def test_the_active_span_is_the_link():
    tracer = TracerProvider().get_tracer("test")
    assert active_span_link() is None
    with tracer.start_as_current_span("load") as span:
        link = active_span_link()
        context = span.get_span_context()
    assert int.from_bytes(link.trace_id, "big") == context.trace_id
    assert int.from_bytes(link.span_id, "big") == context.span_id
    assert active_span_link() is None


def test_the_profile_of_a_block_is_linked_to_its_span(tmp_path, monkeypatch):
    need_sampler()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    tracer = TracerProvider().get_tracer("test")
    profiler = profiler_in(tmp_path)
    with Receiver() as receiver, ProfileSender(profiler, receiver.url) as sender:
        with tracer.start_as_current_span("load") as span, sender.profile_span(interval_bytes=1):
            kept = [bytes(1000) for _ in range(100)]
        message = otlp_reader.read(gzip.decompress(receiver.next().body))
        sender.stop(send_last=False)
    assert kept
    context = span.get_span_context()
    assert context.trace_id.to_bytes(16, "big") in {
        one.trace_id for one in message.dictionary.link_table
    }
    assert trace.get_current_span() is trace.INVALID_SPAN
