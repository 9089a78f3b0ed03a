"""The work for a cache grows with its entries, not with their square."""

from __future__ import annotations

from tests.core.test_capture_unfinished import run

LARGE = """
    import functools, resource
    cache = functools.lru_cache(300_000)(abs)
    for number in range(1_000, 200_000):
        cache(number)
    # Of processor time, and far more than a linear search takes: a quadratic one needs minutes.
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    print(len(core.capture()["node_address"]) > 400_000)
"""


def test_a_bounded_cache_with_many_entries_is_read_in_linear_time(core):
    assert run(core, LARGE) == ["True"]
