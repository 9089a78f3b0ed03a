"""MemlensCollector: the numbers of a `MemoryProfiler` for Prometheus.

    from prometheus_client import REGISTRY
    from memlens.integrations.prometheus import MemlensCollector

    REGISTRY.register(MemlensCollector(profiler))

Needs ``pip install 'memlens[prometheus]'``. The metrics are listed in ``docs/metrics.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from memlens._fork import call_in_forked_child
from memlens._log import FailureLog
from memlens._options import shown
from memlens.errors import MissingExtraError, OptionError
from memlens.integrations.metrics.metric_samples import Sample
from memlens.integrations.metrics.metric_table import METRICS, Metric
from memlens.integrations.metrics.site_labels import SiteLabels
from memlens.profiler.memory_profiler import MemoryProfiler

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

__all__ = ("MemlensCollector",)

_FAILURES = "memlens_scrape_failures"
_FAILURES_TEXT = "Numbers that memlens could not read in a scrape; the log says why."


class MemlensCollector:
    """A collector to be registered with a registry of ``prometheus_client``.

    ``max_sites``: how many lines that allocated get a series of ``memlens_live_bytes`` at once; the
    sum of all others is ``site="other"``. Over the life of the process at most ten times as many
    lines are named.

    A scrape reads numbers that exist already: it takes no snapshot, analyses nothing and waits for no
    lock of the profiler. It never raises: a number that cannot be read is left out and counted. A
    stopped profiler still has memory, limits and its counters. In a forked child the numbers are those
    of the child.

    Raises OptionError for another profiler or ``max_sites``, MissingExtraError without
    ``prometheus_client``.
    """

    def __init__(self, profiler: MemoryProfiler, *, max_sites: int = 10) -> None:
        if not isinstance(profiler, MemoryProfiler):
            raise OptionError(f"profiler must be a MemoryProfiler; got {shown(profiler)}")
        self._profiler = profiler
        self._labels = SiteLabels(max_sites)
        self._failures = FailureLog()
        try:
            import prometheus_client.metrics_core as families
        except ImportError as error:
            raise MissingExtraError(
                "MemlensCollector needs prometheus_client: pip install 'memlens[prometheus]'"
            ) from error
        self._families = families
        call_in_forked_child(self._forget)

    def __repr__(self) -> str:
        return f"<MemlensCollector: {self._profiler!r}>"

    def describe(self) -> Iterable[Family]:
        """Return the metrics without samples, so that the registry finds names given twice."""
        return [*(self._family(metric, []) for metric in _SHOWN), self._own_family()]

    def collect(self) -> Iterable[Family]:
        """Return the metrics with their samples. Never raises."""
        found: list[Family] = []
        try:
            numbers = self._profiler.metrics(self._labels.max_sites)
        except Exception as error:  # noqa: BLE001 - a scrape must not fail because of memlens
            self._failures.note("the numbers of the profiler could not be read", error)
        else:
            for metric in _SHOWN:
                try:
                    samples = [*metric.samples(numbers, self._labels)]
                    found.append(self._family(metric, samples))
                except Exception as error:  # noqa: BLE001 - the other metrics are still given
                    self._failures.note(f"{metric.name} could not be read", error)
        return [*found, self._own_family()]

    def _forget(self) -> None:
        self._failures.clear()

    def _family(self, metric: Metric, samples: list[Sample]) -> Family:
        is_counter = metric.kind == "counter"
        made = (
            self._families.CounterMetricFamily if is_counter else self._families.GaugeMetricFamily
        )
        family: Any = made(metric.name, metric.text, labels=metric.labels)
        for sample in samples:
            family.add_metric([str(label) for label in sample.labels], sample.value)
        family_found: Family = family
        return family_found

    def _own_family(self) -> Family:
        family = self._families.CounterMetricFamily(_FAILURES, _FAILURES_TEXT)
        family.add_metric([], self._failures.count)
        return family


_SHOWN = tuple(metric for metric in METRICS if metric.name)
