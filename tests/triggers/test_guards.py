"""What a capture may use of the headroom."""

from __future__ import annotations

import pytest

from memlens.heap.capture.need import CaptureNeed, capture_need
from memlens.process.headroom import Headroom
from memlens.triggers import guards
from memlens.triggers.guards import HeadroomGuard, need_under
from tests.triggers.hosts import PlantedMeter

MIB = 1 << 20
NEED = CaptureNeed(100 * MIB, 150 * MIB, 1.0)


def guard_of(free_mib, source="cgroup-v2", **options):
    meter = PlantedMeter()
    meter.set_free(free_mib * MIB, 1000 * MIB, source)
    return HeadroomGuard(meter, need=lambda: NEED, **options), meter


def test_capture_that_needs_more_than_the_headroom_is_refused_with_both_sizes():
    guard, _ = guard_of(99)
    assert guard.refusal() == (
        "a capture needs about 100 MiB, and 99.0 MiB of 0.98 GiB are left (cgroup-v2)"
    )


def test_what_cannot_wait_is_tried_with_less_than_the_estimate():
    assert guard_of(61, is_urgent=True)[0].refusal() is None
    assert "about 60.0 MiB" in guard_of(59, is_urgent=True)[0].refusal()


def test_address_space_alone_is_no_reason_to_refuse():
    """A capture that fails there does no harm, unlike in a control group."""
    assert guard_of(1, "rlimit-as")[0].refusal() is None


def test_program_that_uses_up_the_headroom_is_held_and_then_the_capture_is_killed():
    guard, meter = guard_of(300)
    assert guard.refusal() is None
    paces = []
    for free_mib in (300, 190, 99, 19):
        meter.set_free(free_mib * MIB, 1000 * MIB)
        paces.append(guard.pace())
    assert paces == ["run", "run", "hold", "kill"]


def test_what_the_child_needs_itself_holds_nobody():
    guard, meter = guard_of(300)
    guard.refusal()
    meter.set_free(200 * MIB, 1000 * MIB)
    assert guard.pace() == "run"


@pytest.mark.parametrize("hard", [None, 1000 * MIB, 2000 * MIB])
def test_a_soft_limit_does_not_bind_the_child(monkeypatch, hard):
    resource = pytest.importorskip("resource")
    limits = 1000 * MIB, resource.RLIM_INFINITY if hard is None else hard
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    needed = need_under(Headroom("rlimit-as", 1000 * MIB, 0), NEED)
    assert needed == (150 * MIB if hard == 1000 * MIB else 0)


def test_need_grows_with_the_blocks_and_is_greater_in_pure_python(monkeypatch):
    from memlens import _core

    monkeypatch.setattr(_core, "fork_capture", lambda: None)
    small, large = capture_need(0), capture_need(1_000_000)
    assert large.resident_bytes - small.resident_bytes == 110_000_000
    assert large.seconds > small.seconds
    monkeypatch.setattr(_core, "fork_capture", None)
    assert capture_need(1_000_000).resident_bytes > 5 * large.resident_bytes
    assert guards.capture_need is capture_need
