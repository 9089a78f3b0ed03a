"""Observable instruments of OpenTelemetry for the numbers of a `MemoryProfiler`.

    from memlens.integrations.opentelemetry import instrument

    instrument(profiler)

Needs ``pip install 'memlens[opentelemetry]'``. The instruments are listed in ``docs/metrics.md``.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from memlens._fork import ForkSafeLock, call_in_forked_child
from memlens._log import FailureLog
from memlens._options import check_callable, shown
from memlens.errors import MissingExtraError, OptionError
from memlens.integrations.metrics.metric_table import ATTRIBUTES, METRICS, Metric
from memlens.integrations.metrics.site_labels import SiteLabels
from memlens.profiler.memory_profiler import MemoryProfiler
from memlens.profiler.metrics import ProfilerMetrics

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

__all__ = ("MemlensInstruments", "instrument")

_SHARED_SECONDS = 0.5  # the callbacks of one collection come at once and share the numbers


def instrument(
    profiler: MemoryProfiler,
    meter: Meter | None = None,
    *,
    max_sites: int = 10,
    clock: Callable[[], float] = time.monotonic,
) -> MemlensInstruments:
    """Create the instruments of a profiler, and return what observes it.

    ``meter``: by default one of the global meter provider, named ``memlens``. ``max_sites`` is that
    of `memlens.integrations.prometheus.MemlensCollector`. Instruments cannot be removed: they give no
    more numbers when the profiler is deleted, or after ``close()`` of the returned object. Create them
    once for each profiler and meter. ``clock`` returns monotonic seconds.

    Raises OptionError for another profiler or option, MissingExtraError without OpenTelemetry.
    """
    if not isinstance(profiler, MemoryProfiler):
        raise OptionError(f"profiler must be a MemoryProfiler; got {shown(profiler)}")
    check_callable("clock", clock)
    observed = MemlensInstruments(profiler, max_sites, clock)
    try:
        from opentelemetry import metrics as api
    except ImportError as error:
        raise MissingExtraError(
            "instrument needs OpenTelemetry: pip install 'memlens[opentelemetry]'"
        ) from error
    if meter is None:
        from memlens import __version__

        meter = api.get_meter("memlens", __version__)
    elif not isinstance(meter, api.Meter):
        raise OptionError(f"meter must be a Meter of OpenTelemetry; got {shown(meter)}")
    makers: dict[str, Callable[..., Any]] = {
        "counter": meter.create_observable_counter,
        "gauge": meter.create_observable_gauge,
        "sum": meter.create_observable_up_down_counter,
    }
    for metric in METRICS:
        makers[metric.kind](
            metric.otel_name,
            callbacks=[observed.callback(metric, api.Observation)],
            unit=metric.unit,
            description=metric.text,
        )
    return observed


class MemlensInstruments:
    """What the instruments of a profiler observe; made by `instrument`.

    A collection reads numbers that exist already: no snapshot, no analysis. It never raises: a number
    that cannot be read is left out, counted in ``failures`` and logged once.
    """

    def __init__(
        self, profiler: MemoryProfiler, max_sites: int, clock: Callable[[], float]
    ) -> None:
        self._profiler: Callable[[], MemoryProfiler | None] = weakref.ref(profiler)
        self._labels = SiteLabels(max_sites)
        self._clock = clock
        self._lock = ForkSafeLock()
        self._failures = FailureLog()
        self._numbers: ProfilerMetrics | None = None
        self._numbers_until = 0.0
        call_in_forked_child(self._forget)

    def __repr__(self) -> str:
        return f"<MemlensInstruments: {self._profiler()!r}>"

    @property
    def failures(self) -> int:
        """How many numbers could not be read."""
        return self._failures.count

    def close(self) -> None:
        """Give no numbers from now on."""
        self._profiler = lambda: None
        self._forget()

    def callback(
        self, metric: Metric, observation: type[Observation]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """Return the callback of an instrument."""
        names = [ATTRIBUTES[label] for label in metric.labels]

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            try:
                numbers = self._latest()
                samples = [] if numbers is None else [*metric.samples(numbers, self._labels)]
            except Exception as error:  # noqa: BLE001 - the program's metrics must not fail
                self._failures.note(f"{metric.otel_name} could not be read", error)
                return []
            return [
                observation(sample.value, dict(zip(names, sample.labels, strict=True)))
                for sample in samples
            ]

        return observe

    def _latest(self) -> ProfilerMetrics | None:
        profiler = self._profiler()
        if profiler is None:
            return None
        with self._lock:
            now = self._clock()
            if self._numbers is None or not now < self._numbers_until:
                self._numbers = profiler.metrics(self._labels.max_sites)
                self._numbers_until = now + _SHARED_SECONDS
            return self._numbers

    def _forget(self) -> None:
        self._numbers = None
        self._failures.clear()
