"""Limits read from planted trees of control groups, as kernels and containers show them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import psutil
import pytest

from memlens.process import MemoryLimit, limits, memory_limit
from memlens.process.limits import LIMIT_SOURCES
from tests.process.world import plant

MIB = 1 << 20
NO_LIMIT_V1 = "9223372036854771712\n"
MEMINFO = "MemTotal:       8388608 kB\nMemFree:        1 kB\nMemAvailable:   2097152 kB\n"
MOUNT_V2 = "30 23 0:26 {shown} {point} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
MOUNT_V1 = "35 31 0:32 {shown} {point} rw shared:9 - cgroup cgroup rw,{controllers}\n"
OTHER_MOUNTS = (
    "23 1 0:21 / / rw - ext4 /dev/root rw\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
)


def v2(group, shown="/", point="/sys/fs/cgroup", **files):
    return {
        "/proc/meminfo": MEMINFO,
        "/proc/self/cgroup": f"0::{group}\n",
        "/proc/self/mountinfo": OTHER_MOUNTS + MOUNT_V2.format(shown=shown, point=point),
    }


def v1(group, shown="/", controllers="memory"):
    mount = MOUNT_V1.format(
        shown=shown, point=f"/sys/fs/cgroup/{controllers}", controllers=controllers
    )
    return {
        "/proc/meminfo": MEMINFO,
        "/proc/self/cgroup": f"5:cpu,cpuacct:/elsewhere\n4:{controllers}:{group}\n0::/\n",
        "/proc/self/mountinfo": OTHER_MOUNTS + mount,
    }


def test_version_2_lowest_limit_of_all_ancestors_applies(tmp_path):
    top = "/sys/fs/cgroup/kubepods.slice"
    root = plant(
        tmp_path,
        {
            **v2("/kubepods.slice/pod7.slice/app.scope"),
            f"{top}/memory.max": f"{4096 * MIB}\n",
            f"{top}/pod7.slice/memory.max": f"{512 * MIB}\n",
            f"{top}/pod7.slice/memory.current": f"{300 * MIB}\n",
            f"{top}/pod7.slice/memory.stat": f"anon 5\nfile 7\ninactive_file {100 * MIB}\n",
            f"{top}/pod7.slice/app.scope/memory.max": "max\n",
        },
    )
    limit = memory_limit(root)
    assert limit == MemoryLimit(
        limit_bytes=512 * MIB,
        source="cgroup-v2",
        path=f"{root}{top}/pod7.slice/memory.max",
        used_bytes=200 * MIB,
        soft_limit_bytes=None,
    )
    assert str(limit).startswith("512 MiB (cgroup-v2, ")
    assert json.loads(json.dumps(limit.to_dict()))["used_bytes"] == 200 * MIB


@pytest.mark.parametrize(("pid", "limit_bytes"), [(None, 512 * MIB), (77, 64 * MIB)])
def test_limit_of_another_process_is_that_of_its_own_group(tmp_path, pid, limit_bytes):
    root = plant(
        tmp_path,
        {
            **v2("/ours"),
            "/proc/77/cgroup": "0::/theirs\n",
            "/sys/fs/cgroup/ours/memory.max": f"{512 * MIB}\n",
            "/sys/fs/cgroup/theirs/memory.max": f"{64 * MIB}\n",
        },
    )
    assert memory_limit(root, pid).limit_bytes == limit_bytes


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_address_space_limit_of_another_process_is_its_own():
    command = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29));"
    command += " print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"\n"
        limit = memory_limit(pid=child.pid)
        child.kill()
    assert limit.limit_bytes is not None
    assert limit.limit_bytes == 1 << 29
    assert limit.source == "rlimit-as"
    assert 0 < limit.used_bytes < 1 << 29
    ended = memory_limit(pid=child.pid)
    assert ended.source != "rlimit-as"


def test_version_2_lowest_memory_high_is_the_soft_limit(tmp_path):
    root = plant(
        tmp_path,
        {
            **v2("/a/b"),
            "/sys/fs/cgroup/a/memory.max": f"{800 * MIB}",
            "/sys/fs/cgroup/a/memory.high": f"{300 * MIB}",
            "/sys/fs/cgroup/a/b/memory.high": f"{400 * MIB}",
        },
    )
    limit = memory_limit(root)
    assert (limit.limit_bytes, limit.soft_limit_bytes) == (800 * MIB, 300 * MIB)


def test_version_2_container_in_a_namespace_finds_its_limit_at_the_top(tmp_path):
    root = plant(tmp_path, {**v2("/"), "/sys/fs/cgroup/memory.max": f"{64 * MIB}\n"})
    assert memory_limit(root).limit_bytes == 64 * MIB


def test_version_2_without_a_limit_the_physical_memory_applies(tmp_path):
    root = plant(tmp_path, {**v2("/a"), "/sys/fs/cgroup/a/memory.max": "max\n"})
    limit = memory_limit(root)
    assert (limit.limit_bytes, limit.source) == (8192 * MIB, "physical")
    assert limit.used_bytes == 6144 * MIB


def test_limit_above_the_physical_memory_does_not_apply(tmp_path):
    root = plant(tmp_path, {**v2("/a"), "/sys/fs/cgroup/a/memory.max": f"{9000 * MIB}\n"})
    assert memory_limit(root).source == "physical"


def test_limit_of_zero_is_a_limit(tmp_path):
    root = plant(tmp_path, {**v2("/a"), "/sys/fs/cgroup/a/memory.max": "0\n"})
    assert memory_limit(root).limit_bytes == 0


@pytest.mark.parametrize("controllers", ["memory", "cpu,memory"])
def test_version_1_reads_the_group_and_its_ancestors(tmp_path, controllers):
    top = f"/sys/fs/cgroup/{controllers}"
    root = plant(
        tmp_path,
        {
            **v1("/docker/abc", controllers=controllers),
            f"{top}/memory.limit_in_bytes": NO_LIMIT_V1,
            f"{top}/docker/memory.limit_in_bytes": f"{700 * MIB}\n",
            f"{top}/docker/memory.usage_in_bytes": f"{100 * MIB}\n",
            f"{top}/docker/memory.stat": f"total_inactive_file {30 * MIB}\n",
            f"{top}/docker/abc/memory.limit_in_bytes": f"{900 * MIB}\n",
        },
    )
    limit = memory_limit(root)
    assert (limit.limit_bytes, limit.source) == (700 * MIB, "cgroup-v1")
    assert limit.path == f"{root}{top}/docker/memory.limit_in_bytes"
    assert limit.used_bytes == 70 * MIB


def test_version_1_hierarchical_limit_overrides_ancestors_without_hierarchy(tmp_path):
    top = "/sys/fs/cgroup/memory"
    root = plant(
        tmp_path,
        {
            **v1("/a/b"),
            f"{top}/a/memory.limit_in_bytes": f"{100 * MIB}\n",  # without use_hierarchy
            f"{top}/a/b/memory.limit_in_bytes": f"{300 * MIB}\n",
            f"{top}/a/b/memory.stat": f"cache 1\nhierarchical_memory_limit {300 * MIB}\n",
        },
    )
    limit = memory_limit(root)
    assert limit.limit_bytes == 300 * MIB
    assert limit.path == f"{root}{top}/a/b/memory.limit_in_bytes"


def test_version_1_limit_of_an_invisible_ancestor_applies(tmp_path):
    top = "/sys/fs/cgroup/memory"
    root = plant(
        tmp_path,
        {
            **v1("/docker/abc", shown="/docker/abc"),
            f"{top}/memory.limit_in_bytes": NO_LIMIT_V1,
            f"{top}/memory.stat": f"hierarchical_memory_limit {250 * MIB}\n",
        },
    )
    limit = memory_limit(root)
    assert limit == MemoryLimit(250 * MIB, "cgroup-v1", f"{root}{top}/memory.stat")


def test_version_1_huge_number_means_no_limit(tmp_path, monkeypatch):
    top = "/sys/fs/cgroup/memory/a"
    root = plant(
        tmp_path,
        {
            **v1("/a"),
            f"{top}/memory.limit_in_bytes": NO_LIMIT_V1,
            f"{top}/memory.stat": f"hierarchical_memory_limit {NO_LIMIT_V1}",
        },
    )
    assert memory_limit(root).source == "physical"
    os.remove(tmp_path / "proc" / "meminfo")
    physical = psutil.virtual_memory().total
    assert memory_limit(root) == MemoryLimit(physical, "physical")
    monkeypatch.setattr(limits, "_physical_memory", lambda base: iter(()))
    assert memory_limit(root) == MemoryLimit(None, "unknown")


def test_container_that_mounts_only_its_own_group_finds_it_at_the_mount(tmp_path):
    root = plant(
        tmp_path,
        {
            **v2("/docker/abc/worker", shown="/docker/abc"),
            "/sys/fs/cgroup/memory.max": f"{200 * MIB}\n",
            "/sys/fs/cgroup/worker/memory.max": f"{90 * MIB}\n",
            "/sys/fs/cgroup/docker/abc/memory.max": f"{1 * MIB}\n",  # somebody else's
        },
    )
    assert memory_limit(root).limit_bytes == 90 * MIB


@pytest.mark.parametrize(
    ("group", "shown", "not_ours"),
    [
        ("/../outside", "/", "/sys/fs/outside"),
        ("/docker/other", "/docker/abc", "/sys/fs/cgroup/docker/other"),
        ("/docker/abcdef", "/docker/abc", "/sys/fs/cgroup/def"),
    ],
)
def test_group_outside_the_mounted_tree_uses_the_mount(tmp_path, group, shown, not_ours):
    root = plant(
        tmp_path,
        {
            **v2(group, shown=shown),
            "/sys/fs/cgroup/memory.max": f"{80 * MIB}",
            f"{not_ours}/memory.max": f"{MIB}",
        },
    )
    assert memory_limit(root).limit_bytes == 80 * MIB


def test_mount_that_shows_the_group_is_preferred(tmp_path):
    files = v2("/docker/abc", shown="/docker/xyz", point="/other")
    files["/proc/self/mountinfo"] += MOUNT_V2.format(shown="/docker/abc", point="/mine")
    root = plant(
        tmp_path,
        {**files, "/other/memory.max": f"{MIB}", "/mine/memory.max": f"{60 * MIB}"},
    )
    assert memory_limit(root).limit_bytes == 60 * MIB


def test_mount_point_may_contain_a_blank(tmp_path):
    root = plant(
        tmp_path,
        {**v2("/", point="/mnt/my\\040groups"), "/mnt/my groups/memory.max": f"{50 * MIB}\n"},
    )
    assert memory_limit(root).limit_bytes == 50 * MIB


def test_lower_limit_applies_if_both_versions_are_mounted(tmp_path):
    files = v1("/a")
    files["/proc/self/mountinfo"] += MOUNT_V2.format(shown="/", point="/sys/fs/cgroup/unified")
    root = plant(
        tmp_path,
        {
            **files,
            "/sys/fs/cgroup/unified/cgroup.procs": "1\n",  # the memory controller is version 1's
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": f"{77 * MIB}\n",
        },
    )
    assert memory_limit(root).limit_bytes == 77 * MIB
    plant(tmp_path, {"/sys/fs/cgroup/unified/memory.max": f"{44 * MIB}\n"})
    assert memory_limit(root).source == "cgroup-v2"


@pytest.mark.parametrize(
    "damage",
    [
        {"/proc/self/cgroup": "nonsense\n::\n"},
        {"/proc/self/mountinfo": "short line\n30 23 0:26 - cgroup2\n"},
        {"/sys/fs/cgroup/a/memory.max": "plenty\n"},
    ],
)
def test_unreadable_file_sets_no_limit(tmp_path, damage):
    good = {**v2("/a"), "/sys/fs/cgroup/a/memory.max": f"{5 * MIB}\n"}
    assert memory_limit(plant(tmp_path / "good", good)).limit_bytes == 5 * MIB
    assert memory_limit(plant(tmp_path / "bad", {**good, **damage})).source == "physical"


def test_this_machine_has_a_limit():
    limit = memory_limit()
    assert limit.source in LIMIT_SOURCES
    assert limit.source != "unknown"
    assert 0 < limit.limit_bytes <= psutil.virtual_memory().total


def test_unknown_limit_has_a_text():
    assert str(MemoryLimit(None, "unknown")) == "no known limit"


def test_address_space_limit_applies_with_its_usage():
    resource = pytest.importorskip("resource")
    script = (
        "import json, resource, memlens.process.limits as limits\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({3000 * MIB}, resource.RLIM_INFINITY))\n"
        "print(json.dumps(limits.memory_limit().to_dict()))"
    )
    if psutil.virtual_memory().total <= 3000 * MIB or resource.getrlimit(resource.RLIMIT_AS)[1] > 0:
        pytest.skip("this machine is smaller, or the address space limited already")
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    limit = json.loads(done.stdout)
    assert (limit["limit_bytes"], limit["source"]) == (3000 * MIB, "rlimit-as")
    assert MIB < limit["used_bytes"] < 3000 * MIB
