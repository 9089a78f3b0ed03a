"""A service that tells OpenTelemetry about its memory.

pip install 'memlens[opentelemetry]' opentelemetry-sdk
python examples/opentelemetry_metrics.py   # reads its instruments once, prints them, and ends
"""

from __future__ import annotations

import tempfile

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import memlens
from memlens.integrations.opentelemetry import instrument

SESSIONS: dict[int, bytes] = {}


def load_sessions(count: int) -> None:
    """Stand for the work of the service: sessions that are never deleted."""
    for number in range(count):
        SESSIONS[number] = bytes(10_000)


def main() -> None:
    """Run the service. In yours, the reader is a ``PeriodicExportingMetricReader`` with an exporter."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    with (
        tempfile.TemporaryDirectory() as folder,
        memlens.MemoryProfiler(folder, allocation_interval_bytes=64 * 1024) as profiler,
    ):
        instrument(profiler, provider.get_meter("service"), max_sites=5)
        load_sessions(1000)
        data = reader.get_metrics_data()
    provider.shutdown()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    print(metric.name, dict(point.attributes or {}), point.value, metric.unit)


if __name__ == "__main__":
    main()
