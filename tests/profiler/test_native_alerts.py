"""Alerts where resident memory rises and Python's blocks stand still: who holds the native growth."""

import os

import pytest

from memlens._core.layout import EdgeKind
from tests.heap.planted import Planter
from tests.profiler.test_alerts import MIB, Service


class NativeService(Service):
    """A service whose blocks stand still; ``plant`` makes its heap of the leaked MiB."""

    leaked_blocks = 0

    def __init__(self, folder, monkeypatch, plant):
        self.plant = plant
        super().__init__(folder, monkeypatch)

    def take(self, path, *, reason, facts):
        self.snapshots_taken += 1
        p = Planter()
        self.plant(p, int(self.leaked_bytes / MIB))
        snapshot = p.snapshot(timestamp=self.clock.now, pid=os.getpid(), **facts)
        snapshot.facts["reason"] = reason
        snapshot.save(path)
        return snapshot


def tensors(p, leaked):
    """A list that gains a tensor of 1 MiB for each MiB that leaked."""
    batches = p.node("list", 100, key="batches", length=leaked)
    for position in range(leaked):
        tensor = p.node("torch.Tensor", 80, key=("tensor", position))
        p.edge(batches, tensor, EdgeKind.INDEX, position=position)
        p.native(MIB, tensor, key=("block", position))
    p.native(MIB, batches, key="first")  # so that the first snapshot has a block, too
    p.module("app", batches=batches)


def steps(p, leaked):
    """A pool whose memory grew in two steps: too few for a suspect."""
    pool = p.node("vendor.Pool", 64, key="pool")
    size = 1 + 50 * (leaked >= 20) + 50 * (leaked >= 60)
    p.native(size * MIB, pool, key="pool memory", library="vendor")
    p.module("app", pool=pool)


def constant(p, leaked):
    pool = p.node("vendor.Pool", 64, key="pool")
    p.native(MIB, pool, key="pool memory", library="vendor")
    p.module("app", pool=pool)


def reports_for_a_trend(tmp_path, monkeypatch, plant):
    service = NativeService(tmp_path, monkeypatch, plant)
    service.run(6)
    service.profiler.stop()
    return [one for one in service.alerts if one.alert is not None]


def text(report):
    return " ".join(str(report).split())


def test_an_alert_names_the_holder_of_native_growth(tmp_path, monkeypatch):
    reports = reports_for_a_trend(tmp_path, monkeypatch, tensors)
    assert reports
    for report in reports:
        assert report.alert.series == "rss"
        assert report[0].holder == "app.batches"
        assert report[0].native_growth[0].library == "torch"
        assert "Native memory with known holders:" in text(report)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (steps, "native (vendor, cpu), held by app.pool."),
        (constant, "None of the native memory with known holders grew."),
    ],
)
def test_an_alert_without_a_suspect_says_whether_native_memory_grew(
    tmp_path, monkeypatch, plant, expected
):
    reports = reports_for_a_trend(tmp_path, monkeypatch, plant)
    assert reports
    assert all(report.alert.series == "rss" and not report.suspects for report in reports)
    assert any(expected in text(report) for report in reports)
