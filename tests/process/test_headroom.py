"""The headroom under planted control groups, measured again and again."""

from __future__ import annotations

import os

import pytest

from memlens.process.headroom import Headroom, HeadroomMeter
from tests.clock import FakeClock
from tests.process.test_limits import MEMINFO, MIB, v1, v2
from tests.process.world import plant

TOP = "/sys/fs/cgroup/memory"
V2 = "/sys/fs/cgroup"
STATM = "1000 500 0 0 0 0 0\n"
PAGE = os.sysconf("SC_PAGE_SIZE")


def group_v1(tmp_path, used_mib, cache_mib=0):
    return plant(
        tmp_path,
        {
            **v1("/pod"),
            "/proc/self/statm": STATM,
            f"{TOP}/pod/memory.limit_in_bytes": f"{512 * MIB}\n",
            f"{TOP}/pod/memory.usage_in_bytes": f"{used_mib * MIB}\n",
            f"{TOP}/pod/memory.stat": "inactive_file 7\n"
            f"hierarchical_memory_limit {512 * MIB}\ntotal_inactive_file {cache_mib * MIB}\n",
        },
    )


def of(meter, source):
    return [room for room in meter.measure() if room.source == source]


def test_version_1_without_the_cache_that_can_be_dropped(tmp_path):
    meter = HeadroomMeter(root=group_v1(tmp_path, 300, cache_mib=100))
    assert of(meter, "cgroup-v1") == [Headroom("cgroup-v1", 512 * MIB, 200 * MIB)]
    assert of(meter, "cgroup-v1")[0].free_bytes == 312 * MIB


def test_every_group_up_the_tree_is_measured(tmp_path):
    root = plant(
        tmp_path,
        {
            **v2("/pod/app"),
            "/proc/self/statm": STATM,
            f"{V2}/pod/memory.max": f"{400 * MIB}\n",
            f"{V2}/pod/memory.current": f"{390 * MIB}\n",
            f"{V2}/pod/memory.stat": f"file 3\ninactive_file {10 * MIB}\n",
            f"{V2}/pod/app/memory.max": f"{200 * MIB}\n",
            f"{V2}/pod/app/memory.current": f"{50 * MIB}\n",
            f"{V2}/pod/app/memory.stat": "inactive_file 0\n",
        },
    )
    found = of(HeadroomMeter(root=root), "cgroup-v2")
    assert [room.free_bytes // MIB for room in found] == [150, 20]


def test_files_stay_open_and_are_read_again(tmp_path):
    meter = HeadroomMeter(root=group_v1(tmp_path, 300))
    meter.measure()
    opened = dict(meter._files)
    usage = tmp_path / "sys/fs/cgroup/memory/pod/memory.usage_in_bytes"
    usage.write_text(f"{400 * MIB}\n")
    assert of(meter, "cgroup-v1")[0].used_bytes == 400 * MIB
    assert meter._files == opened
    descriptors = [one[0] for one in opened.values()]
    meter.close()
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(descriptor)


def test_limit_that_changes_is_noticed_after_a_while(tmp_path):
    clock = FakeClock(0.0)
    meter = HeadroomMeter(root=group_v1(tmp_path, 300), clock=clock)
    meter.measure()
    folder = tmp_path / "sys/fs/cgroup/memory/pod"
    (folder / "memory.limit_in_bytes").write_text(f"{1024 * MIB}\n")
    (folder / "memory.stat").write_text(f"hierarchical_memory_limit {1024 * MIB}\n")
    assert of(meter, "cgroup-v1")[0].limit_bytes == 512 * MIB
    clock.advance(2.0)
    assert of(meter, "cgroup-v1")[0].limit_bytes == 1024 * MIB


@pytest.mark.parametrize(("share", "counts"), [(0.0, True), (0.25, False)])
def test_full_machine_is_no_limit_for_a_process_that_uses_little_of_it(tmp_path, share, counts):
    files = {"/proc/meminfo": MEMINFO, "/proc/self/statm": STATM}
    meter = HeadroomMeter(root=plant(tmp_path, files), machine_share=share)
    found = of(meter, "physical")
    assert found == ([Headroom("physical", 8192 * MIB, 6144 * MIB)] if counts else [])


def test_limit_that_the_caller_states_is_on_resident_memory(tmp_path):
    meter = HeadroomMeter(root=plant(tmp_path, {"/proc/self/statm": STATM}), given_bytes=MIB)
    assert of(meter, "given") == [Headroom("given", MIB, 500 * PAGE)]


def test_what_cannot_be_read_is_left_out(tmp_path):
    root = plant(
        tmp_path, {**v2("/pod"), f"{V2}/pod/memory.max": f"{MIB}\n", "/proc/self/statm": ""}
    )
    assert HeadroomMeter(root=root, given_bytes=MIB).measure() == ()


def test_given_limit_is_measured_where_there_is_no_proc(tmp_path, monkeypatch):
    monkeypatch.setattr("memlens.process.headroom.sys.platform", "darwin")
    (room,) = of(HeadroomMeter(root=tmp_path, given_bytes=1 << 50), "given")
    assert 1 << 20 < room.used_bytes < 1 << 40


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("some avg10=90.00 avg60=1.00 total=5\nfull avg10=12.50 avg60=0.00 total=9\n", 0.125),
        ("some avg10=90.00 avg60=1.00 total=5\n", None),
        ("full avg10=x\n", None),
        (None, None),
    ],
)
def test_share_of_time_in_which_all_tasks_of_the_group_wait_for_memory(tmp_path, text, share):
    files = v2("/pod")
    if text is not None:
        files[f"{V2}/pod/memory.pressure"] = text
    assert HeadroomMeter(root=plant(tmp_path, files)).stalled_share() == share


def test_this_process_has_headroom_and_text():
    rooms = HeadroomMeter(given_bytes=1 << 50).measure()
    assert 0 < rooms[0].used_bytes < 1 << 50
    assert str(Headroom("given", 4 * MIB, 3 * MIB)) == "1.00 MiB of 4.00 MiB are left (given)"
    assert Headroom("given", 1, 2).free_bytes == 0
