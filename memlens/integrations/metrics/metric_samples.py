"""How the samples of each metric are read from the numbers of a profiler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from memlens.integrations.metrics.site_labels import SiteLabels
from memlens.profiler.metrics import ProfilerMetrics

__all__ = (
    "STATES",
    "Sample",
    "Samples",
    "of_confidences",
    "of_failures",
    "of_faults",
    "of_generations",
    "of_health",
    "of_limit",
    "of_reading",
    "of_sites",
    "of_states",
    "physical_bytes",
    "single",
)

STATES = ("warming", "stable", "growing", "leak")  # of a detector


class Sample(NamedTuple):
    """A number, and the values of the labels of its metric."""

    value: float
    labels: tuple[str | int, ...] = ()


Samples = Callable[[ProfilerMetrics, SiteLabels], Iterable[Sample]]


def single(value: Callable[[ProfilerMetrics], float | None]) -> Samples:
    """Return the single sample of a metric without labels; none where the number is unknown."""

    def samples(metrics: ProfilerMetrics, _: SiteLabels) -> list[Sample]:
        number = value(metrics)
        return [] if number is None else [Sample(number)]

    return samples


def of_reading(field: str) -> Samples:
    """Return the number of the newest reading."""
    return single(lambda metrics: getattr(metrics.reading, field, None))


def of_health(key: str) -> Samples:
    """Return a counter of the profiler."""
    return single(lambda metrics: metrics.health[key])


def of_generations(field: str) -> Samples:
    """Return a number for each generation of the collector."""

    def samples(metrics: ProfilerMetrics, _: SiteLabels) -> list[Sample]:
        numbers = getattr(metrics.reading, field, ())
        return [Sample(number, (generation,)) for generation, number in enumerate(numbers)]

    return samples


def physical_bytes(metrics: ProfilerMetrics) -> int | None:
    """All of the resident memory, also that of snapshots that memlens has open."""
    reading = metrics.reading
    return None if reading is None else reading.rss_bytes + reading.own_bytes


def of_sites(metrics: ProfilerMetrics, labels: SiteLabels) -> list[Sample]:
    """Return the live bytes of each line that allocated them."""
    if metrics.sites is None:
        return []
    return [Sample(size, (name,)) for name, size in labels.rows(metrics.sites)]


def of_limit(metrics: ProfilerMetrics, _: SiteLabels) -> list[Sample]:
    """Return the limit, by what sets it."""
    limit = metrics.limit
    return [] if limit.limit_bytes is None else [Sample(limit.limit_bytes, (limit.source,))]


def of_states(metrics: ProfilerMetrics, _: SiteLabels) -> list[Sample]:
    """Return 1 for the state of each detector, and 0 for the others."""
    return [
        Sample(float(detector.verdict.state == state), (detector.series, state))
        for detector in metrics.detectors
        for state in STATES
    ]


def of_confidences(metrics: ProfilerMetrics, _: SiteLabels) -> list[Sample]:
    """Return how sure each detector is."""
    return [Sample(one.verdict.confidence, (one.series,)) for one in metrics.detectors]


def of_failures(metrics: ProfilerMetrics, _: SiteLabels) -> list[Sample]:
    """Return the failures of each part."""
    health = metrics.health
    return [
        Sample(health["failures"], ("profiler",)),
        Sample(health["sampler"]["errors"], ("sampler",)),
        Sample(health["allocations"]["failures"], ("allocations",)),
    ]


def of_faults(metrics: ProfilerMetrics, _: SiteLabels) -> list[Sample]:
    """Return the page faults of each kind."""
    return [
        Sample(number, (kind,))
        for kind in ("minor", "major")
        if (number := getattr(metrics.reading, f"{kind}_page_faults", None)) is not None
    ]
