"""METRICS: what memlens tells monitoring systems, one row for each metric.

Both integrations are made from this table: the names of Prometheus follow its conventions (base
units, which the name ends with; counters get ``_total``), those of OpenTelemetry its semantic
conventions where there are some. A metric without samples is unknown at that moment.
"""

from __future__ import annotations

from typing import NamedTuple

from memlens.integrations.metrics import metric_samples as samples

__all__ = ("ATTRIBUTES", "METRICS", "Metric")

# Label in Prometheus -> attribute in OpenTelemetry.
ATTRIBUTES = {
    "fault": "system.paging.fault.type",
    "generation": "cpython.gc.generation",
    "part": "memlens.part",
    "series": "memlens.series",
    "site": "memlens.site",
    "source": "memlens.limit.source",
    "state": "memlens.state",
}


class Metric(NamedTuple):
    """A metric in both systems. ``name`` or ``otel_name`` is empty where another library has it.

    ``kind``: ``counter``, ``gauge``, or ``sum`` for a gauge whose values may be added up over
    processes (an UpDownCounter in OpenTelemetry). ``unit`` is in UCUM, as in OpenTelemetry.
    ``samples`` is called with the numbers and the names of sites.
    """

    name: str
    otel_name: str
    unit: str
    kind: str
    text: str
    samples: samples.Samples
    labels: tuple[str, ...] = ()


METRICS: tuple[Metric, ...] = (
    # Memory of the process.
    Metric(
        "memlens_resident_memory_bytes",
        "memlens.memory.resident",
        "By",
        "sum",
        "Resident memory without that of snapshots which memlens has open.",
        samples.of_reading("rss_bytes"),
    ),
    Metric(
        "memlens_own_memory_bytes",
        "memlens.memory.own",
        "By",
        "sum",
        "Resident memory of snapshots which memlens has open.",
        samples.of_reading("own_bytes"),
    ),
    Metric(
        "memlens_small_objects_bytes",
        "memlens.memory.small_objects",
        "By",
        "sum",
        "Python objects of at most 512 bytes, in pymalloc.",
        samples.single(lambda metrics: metrics.small_object_bytes),
    ),
    Metric(
        "memlens_malloc_bytes",
        "memlens.memory.malloc",
        "By",
        "sum",
        "In use by malloc: larger Python objects and native memory.",
        samples.single(lambda metrics: metrics.malloc_bytes),
    ),
    Metric(
        "memlens_untracked_memory_bytes",
        "memlens.memory.untracked",
        "By",
        "sum",
        "Resident memory that sampled allocations do not explain: native libraries, the interpreter,"
        " blocks from before the start, free memory of the allocators.",
        samples.single(lambda metrics: metrics.untracked_bytes),
    ),
    Metric(
        "memlens_live_blocks",
        "memlens.blocks.live",
        "{block}",
        "sum",
        "Live blocks of Python's allocator for small objects.",
        samples.of_reading("allocated_blocks"),
    ),
    # Sampled allocations.
    Metric(
        "memlens_live_bytes",
        "memlens.allocations.live",
        "By",
        "sum",
        "Estimated live bytes by the line that allocated them, since the profiler started.",
        samples.of_sites,
        ("site",),
    ),
    Metric(
        "memlens_allocated_bytes",
        "memlens.allocations.allocated",
        "By",
        "counter",
        "Estimated bytes allocated while allocations were sampled.",
        samples.single(
            lambda metrics: None if metrics.sites is None else metrics.sites.allocated_bytes
        ),
    ),
    # The garbage collector.
    Metric(
        "memlens_gc_pauses",
        "memlens.gc.pauses",
        "{collection}",
        "counter",
        "Garbage collections while the profiler ran.",
        samples.single(lambda metrics: metrics.gc_pauses),
    ),
    Metric(
        "memlens_gc_pause_seconds",
        "memlens.gc.pause.time",
        "s",
        "counter",
        "Time for which garbage collections stopped the program.",
        samples.single(lambda metrics: metrics.gc_pause_seconds),
    ),
    Metric(
        "memlens_gc_longest_pause_seconds",
        "memlens.gc.pause.longest",
        "s",
        "gauge",
        "The longest garbage collection while the profiler ran.",
        samples.single(lambda metrics: metrics.gc_longest_pause_seconds),
    ),
    # The verdict.
    Metric(
        "memlens_leak_state",
        "memlens.leak.state",
        "1",
        "gauge",
        "1 for the present state of a leak detector, 0 for its other states.",
        samples.of_states,
        ("series", "state"),
    ),
    Metric(
        "memlens_leak_confidence_ratio",
        "memlens.leak.confidence",
        "1",
        "gauge",
        "Confidence that the series rises, 0 to 1; 0 unless its state is growing or leak.",
        samples.of_confidences,
        ("series",),
    ),
    Metric(
        "memlens_time_to_limit_seconds",
        "memlens.limit.time_left",
        "s",
        "gauge",
        "Time until resident memory reaches the limit; only while a leak or a steep rise is certain.",
        samples.single(lambda metrics: metrics.seconds_to_limit),
    ),
    Metric(
        "memlens_memory_limit_bytes",
        "memlens.limit.size",
        "By",
        "gauge",
        "The lowest memory limit of the process: its container's, its own or the machine's.",
        samples.of_limit,
        ("source",),
    ),
    Metric(
        "memlens_memory_headroom_bytes",
        "memlens.limit.headroom",
        "By",
        "gauge",
        "Memory left until the limit.",
        samples.single(lambda metrics: metrics.limit.headroom_bytes),
    ),
    # The profiler itself.
    Metric(
        "memlens_running",
        "memlens.running",
        "1",
        "gauge",
        "1 while the profiler runs, else 0.",
        samples.single(lambda metrics: float(metrics.health["is_running"])),
    ),
    Metric(
        "memlens_readings",
        "memlens.readings",
        "{reading}",
        "counter",
        "Readings of memory that the profiler took.",
        samples.single(lambda metrics: metrics.health["sampler"]["readings_taken"]),
    ),
    Metric(
        "memlens_snapshots",
        "memlens.snapshots",
        "{snapshot}",
        "counter",
        "Heap snapshots that the profiler took.",
        samples.of_health("snapshots_taken"),
    ),
    Metric(
        "memlens_snapshot_files_bytes",
        "memlens.snapshot.size",
        "By",
        "sum",
        "Size of the kept snapshot files on disk.",
        samples.of_health("snapshot_bytes_kept"),
    ),
    Metric(
        "memlens_snapshot_pause_seconds",
        "memlens.snapshot.pause",
        "s",
        "gauge",
        "How long the newest kept snapshot stopped the program.",
        samples.single(lambda metrics: metrics.last_pause_seconds),
    ),
    Metric(
        "memlens_alerts",
        "memlens.alerts",
        "{alert}",
        "counter",
        "Alerts that the profiler gave.",
        samples.of_health("alerts"),
    ),
    Metric(
        "memlens_alerts_withdrawn",
        "memlens.withdrawn_alerts",
        "{alert}",
        "counter",
        "Alerts that later readings or snapshots did not confirm.",
        samples.of_health("alerts_withdrawn"),
    ),
    Metric(
        "memlens_failures",
        "memlens.failures",
        "{failure}",
        "counter",
        "Failures of memlens: what it could not do, without disturbing the program.",
        samples.of_failures,
        ("part",),
    ),
    # Of the semantic conventions; the client library of Prometheus has its own names for them.
    Metric(
        "",
        "process.memory.usage",
        "By",
        "sum",
        "The amount of physical memory in use.",
        samples.single(samples.physical_bytes),
    ),
    Metric(
        "",
        "process.memory.virtual",
        "By",
        "sum",
        "The amount of committed virtual memory.",
        samples.of_reading("vms_bytes"),
    ),
    Metric(
        "",
        "process.paging.faults",
        "{fault}",
        "counter",
        "Number of page faults the process has made.",
        samples.of_faults,
        ("fault",),
    ),
    Metric(
        "",
        "cpython.gc.collections",
        "{collection}",
        "counter",
        "The number of times a generation was collected since interpreter start.",
        samples.of_generations("gc_collections"),
        ("generation",),
    ),
    Metric(
        "",
        "cpython.gc.collected_objects",
        "{object}",
        "counter",
        "The total number of objects collected inside a generation since interpreter start.",
        samples.of_generations("gc_collected"),
        ("generation",),
    ),
    Metric(
        "",
        "cpython.gc.uncollectable_objects",
        "{object}",
        "counter",
        "The total number of objects which were found to be uncollectable inside a generation since"
        " interpreter start.",
        samples.of_generations("gc_uncollectable"),
        ("generation",),
    ),
)
