"""The table of metrics: names and units by the conventions, and the same in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memlens.integrations.metrics.metric_samples import STATES, Sample
from memlens.integrations.metrics.metric_table import ATTRIBUTES, METRICS
from memlens.integrations.metrics.site_labels import SiteLabels
from tests.profiler.planted import profiler_in

DOCS = Path(__file__).resolve().parents[2] / "docs"
SUFFIXES = {"By": "_bytes", "s": "_seconds"}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return profiler_in(tmp_path_factory.mktemp("metrics")).metrics()


def prometheus_name(metric):
    return f"{metric.name}_total" if metric.kind == "counter" else metric.name


def test_names_of_prometheus_end_with_their_unit():
    for metric in METRICS:
        if metric.name:
            assert re.fullmatch(r"memlens_[a-z_]+", metric.name)
            assert not metric.name.endswith("_total")  # which the client library adds
            suffix = SUFFIXES.get(metric.unit)
            assert suffix is None or metric.name.endswith(suffix), metric.name


def test_names_of_opentelemetry_are_no_namespaces_of_others():
    names = [metric.otel_name for metric in METRICS]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"(memlens|process|cpython)(\.[a-z_]+)+", name)
        assert not any(other.startswith(f"{name}.") for other in names), name


def test_every_label_has_an_attribute():
    assert {label for metric in METRICS for label in metric.labels} == set(ATTRIBUTES)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.otel_name)
def test_samples_have_a_number_and_the_labels_of_the_metric(metric, numbers):
    labels = SiteLabels(3)
    samples = [*metric.samples(numbers, labels)]
    for sample in samples:
        assert isinstance(sample, Sample)
        assert sample.value >= 0
        assert len(sample.labels) == len(metric.labels)
    assert len({sample.labels for sample in samples}) == len(samples)


def test_one_state_of_each_series_is_1(numbers):
    (metric,) = [one for one in METRICS if one.name == "memlens_leak_state"]
    samples = [*metric.samples(numbers, SiteLabels(0))]
    for series in ("rss", "blocks"):
        found = {sample.labels[1]: sample.value for sample in samples if sample.labels[0] == series}
        assert list(found) == list(STATES)
        assert sorted(found.values()) == [0.0, 0.0, 0.0, 1.0]
        assert found["warming"] == 1.0


def test_the_documentation_lists_every_metric_and_no_other():
    text = (DOCS / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+?)`?(?:\{.*\}`)? \|", text, re.MULTILINE)
    expected = [prometheus_name(metric) for metric in METRICS if metric.name]
    assert [row for row in rows if row.startswith("memlens_")] == [
        *expected,
        "memlens_scrape_failures_total",
    ]
    for metric in METRICS:
        assert f"`{metric.otel_name}`" in text, metric.otel_name
